# Answers cases of child output with Supervisor's own dispatcher: one JSON object per line in; out come the log file, what the events told in
# their order, and what the dispatcher still held at the end. Bytes are base64.
import base64, json, os, sys, tempfile
sys.path.insert(0, "/usr/lib/python3/dist-packages")
from supervisor import dispatchers, events, loggers


class Options:
    loglevel = 20
    logger = loggers.getLogger()

    def __init__(self, chunks, strip):
        self.chunks, self.strip_ansi = chunks, strip

    def getLogger(self):
        return loggers.getLogger()

    def readfd(self, fd):
        return self.chunks.pop(0) if self.chunks else b""


class Config:
    name = "p"
    stdout_syslog = False
    stdout_logfile_maxbytes = 0
    stdout_logfile_backups = 0
    stdout_events_enabled = True
    stderr_events_enabled = False


class Process:
    pid = 1
    group = None


told = []
encode = lambda data: base64.b64encode(data).decode()
events.subscribe(events.ProcessLogEvent, lambda e: told.append({"kind": "log", "data": encode(e.data)}))
events.subscribe(events.ProcessCommunicationEvent, lambda e: told.append({"kind": "captured", "data": encode(e.data)}))
fd, path = tempfile.mkstemp()
os.close(fd)

for line in sys.stdin:
    case = json.loads(line)
    del told[:]
    open(path, "w").close()
    process, config = Process(), Config()
    config.options = Options([base64.b64decode(c) for c in case["chunks"]], case["strip"])
    config.stdout_capture_maxbytes = case["max"]
    config.stdout_logfile = path
    process.config = config
    d = dispatchers.POutputDispatcher(process, events.ProcessCommunicationStdoutEvent, 0)
    while not d.closed:
        d.handle_read_event()
    case["file"] = encode(open(path, "rb").read())
    case["told"] = list(told)
    case["buffer"] = encode(d.capturelog.getvalue()) if d.capturelog else ""
    case["inside"], case["held"] = d.capturemode, encode(d.output_buffer)
    print(json.dumps(case, sort_keys=True), flush=True)
os.remove(path)
