"""Answers format strings, one JSON object {"in": format} a line, with what Python's % makes of them.

    python3 percent.py --record > percent.jsonl      (the recorded table)
    python3 percent.py < formats                     (the live comparison)

"out" is the text, or "err" the error; "missing" is the unknown name. "dict" marks formats that used the whole mapping as a value,
which we refuse.
"""
import json
import random
import sys

VALUES = {
    "s": "héllo wörld", "e": "", "q": "it's", "dq": "it's \"x\"\\", "c": "é", "nl": "a\nb\t\x01\u2028", "a(b)c": "nested", "": "empty",
    "n": 7, "z": 0, "neg": -42, "big": 123456789, "process_num": 3,
}
ALPHABET = ["%", "%", "%(s)", "%(n)", "%(neg)", "%(z)", "%(big)", "%(q)", "%(c)", "%(nope)", "%(a(b)c)", "%()", "(", ")", "-", "+", " ",
            "#", "0", "1", "5", "12", ".", "*", "h", "l", "L", "s", "r", "a", "d", "i", "u", "o", "x", "X", "e", "E", "f", "F", "g", "G",
            "c", "b", "q", "é", "s", "d", "%%", "text"]


class Mapping(dict):
    """Notices when it is used as a value itself."""

    used = False

    def __repr__(self):
        self.used = True
        return "{}"

    __str__ = __repr__


def answer(text):
    values = Mapping(VALUES)
    out = {"in": text}
    try:
        out["out"] = text % values
    except KeyError as why:
        out["missing"] = why.args[0]
    except Exception as why:
        out["err"] = str(why).replace("not Mapping", "not dict")
    if values.used:
        out["dict"] = True
    return out


def structured():
    for name in VALUES:
        for flags in ["", "-", "0", "+", " ", "#", "-0", "+0", "#0", "# ", "-#+", "0+ "]:
            for size in ["", "1", "9", ".0", ".3", "12.5", "4."]:
                for verb in "sradiouxXeEfFgGc%b":
                    yield "<%%(%s)%s%s%s>" % (name, flags, size, verb)
    for text in ["100%", "%", "%%", "%%%", "a%%b", "%s", "%d", "%x", "%f", "%c", "%b", "date +%s", "%(s", "%(s)", "%(s)5", "%(s).",
                 "%(n)d%s", "%s%s", "%(n)*d", "%(s)*d", "%(n)*%", "%(n).*%", "%(n)ld", "%(n)hhd", "%5%", "%(nope)%", "%(n)\x01", "%(n)é",
                 "é%(n)q", "%*d", "%.*f", "%(n).d", "%(z).0d", "%(z)#.0f", "%(z)#g", "%(n)#.3g", "%(big)g", "%(big).2g", "%(big)#g"]:
        yield text


def main():
    if "--record" not in sys.argv:
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line)["in"])))
        return
    random.seed(2)
    cases = random.sample(list(structured()), 4000)
    cases += ["".join(random.choice(ALPHABET) for _ in range(random.randint(1, 6))) for _ in range(4000)]
    for text in list(structured())[-37:] + cases:
        print(json.dumps(answer(text), ensure_ascii=False, separators=(",", ":")))


main()
