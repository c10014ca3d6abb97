# Sends cases to syslog with Supervisor's own handler: one JSON object per line in and, once it is sent, out again. Whoever listens at
# /dev/log gets the messages.
import base64, json, sys
sys.path.insert(0, "/usr/lib/python3/dist-packages")
from supervisor import loggers

for line in sys.stdin:
    case = json.loads(line)
    logger = loggers.getLogger()
    loggers.handle_syslog(logger, fmt="web %(message)s")
    for chunk in case["chunks"]:
        logger.info(base64.b64decode(chunk))
    print(json.dumps(case), flush=True)
