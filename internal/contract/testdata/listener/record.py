"""An event listener that writes down everything it is told and accepts it, with Supervisor's own helper module.

usage: record.py FILE
"""
import json
import sys

from supervisor import childutils

with open(sys.argv[1], 'a') as record:
    while True:
        headers, payload = childutils.listener.wait(sys.stdin, sys.stdout)
        record.write(json.dumps([headers, payload]) + '\n')
        record.flush()
        childutils.listener.ok(sys.stdout)
