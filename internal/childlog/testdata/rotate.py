# Answers rotation cases with Supervisor's own handler: one JSON object per line in, the resulting files out.
import json, os, sys, tempfile, shutil
sys.path.insert(0, "/usr/lib/python3/dist-packages")
from supervisor import loggers

for line in sys.stdin:
    case = json.loads(line)
    where = tempfile.mkdtemp()
    path = os.path.join(where, "log")
    for name, text in case["before"].items():
        with open(os.path.join(where, name), "w") as f:
            f.write(text)
    logger = loggers.getLogger()
    loggers.handle_file(logger, path, "%(message)s", rotating=case["maxbytes"] != 0, maxbytes=case["maxbytes"], backups=case["backups"])
    for chunk in case["chunks"]:
        logger.info(chunk.encode())
    logger.close()
    case["files"] = {name: open(os.path.join(where, name)).read() for name in os.listdir(where)}
    shutil.rmtree(where)
    print(json.dumps(case, sort_keys=True), flush=True)
