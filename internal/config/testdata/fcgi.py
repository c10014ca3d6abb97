"""Answers socket questions, one {"in": text} a line, with what Supervisor 4.2.5 makes of the address: {"url": ...} or {"err": ...}."""
import json
import sys

from supervisor import options

reader = options.ServerOptions()
for line in sys.stdin:
    text = json.loads(line)["in"]
    try:
        print(json.dumps({"url": reader.parse_fcgi_socket(text, None, None, None, None).url}))
    except ValueError as why:
        template, *values = why.args
        print(json.dumps({"err": template % tuple(values) if values else template}))
