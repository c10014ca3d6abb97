# Answers readFile and tailFile with Supervisor's own functions: one JSON object per line in and out.
import json, sys, tempfile
sys.path.insert(0, "/usr/lib/python3/dist-packages")
from supervisor import options

for line in sys.stdin:
    case = json.loads(line)
    with tempfile.NamedTemporaryFile() as f:
        f.write(case["text"].encode())
        f.flush()
        try:
            case["read"] = options.readFile(f.name, case["offset"], case["length"]).decode()
        except ValueError as why:
            case["fault"] = why.args[0]
        case["tail"] = options.tailFile(f.name, case["offset"], case["length"])
    print(json.dumps(case, sort_keys=True), flush=True)
