"""Records what Python's RawConfigParser, set up as Supervisor does, makes of INI texts.

    python3 ini.py --record > ini.jsonl
    python3 ini.py < questions              (one {"in": text} or {"hex": bytes} a line)

"sections" lists [name, [[key, value], ...]] without DEFAULT's keys; "defaults" are those; "err" is the error text.
"""
import configparser
import io
import json
import sys

CASES = {
    "inline ;": "[s]\na=b ;c\n",
    "no-space ;": "[s]\na=b;c\n",
    "inline #": "[s]\na=b #c\n",
    "no-space #": "[s]\na=b#c\n",
    "continuation": "[s]\na=b\n  c\n  d\n",
    "continuation w/ comment": "[s]\na=b\n; x\n  c\n",
    "blank in continuation": "[s]\na=b\n\n  c\n",
    "colon": "[s]\na: b\n",
    "colon then eq": "[s]\na: b=c\n",
    "eq then colon": "[s]\na= b:c\n",
    "upper key": "[s]\nFoo=1\n",
    "dup key": "[s]\na=1\na=2\n",
    "dup section": "[s]\na=1\n[s]\nb=2\n",
    "dup section+key": "[s]\na=1\n[s]\na=2\n",
    "quotes kept": "[s]\na=\"b c\"\n",
    "single quotes": "[s]\na='b c'\n",
    "backslash eol": "[s]\na=b \\\nc=d\n",
    "percent": "[s]\na=%(x)s\n",
    "triple quote": "[s]\na=\"\"\"b\nc\"\"\"\n",
    "backtick": "[s]\na=`b`\n",
    "empty val": "[s]\na=\n",
    "no delim": "[s]\na\n",
    "key before section": "a=1\n[s]\nb=2\n",
    "crlf": "[s]\r\na=b\r\n",
    "bom": "\ufeff[s]\na=b\n",
    "section w/ spaces": "[ s ]\na=b\n",
    "section colon": "[program:x]\ncommand=ls -l\n",
    "section trailing": "[s] ; c\na=b\n",
    "indented section": "  [s]\n  a=b\n",
    "indented keys": "[s]\n  a=b\n  c=d\n",
    "spaces in key": "[s]\na b = c\n",
    "DEFAULT": "[DEFAULT]\nx=1\n[s]\na=b\n",
    "hash comment": "# x\n[s]\na=b\n",
    "semi comment": "; x\n[s]\na=b\n",
    "rem": "rem x\n[s]\na=b\n",
    "comma env": "[s]\nenvironment=A=\"1\",B=\"2;3\"\n",
    "env semi": "[s]\nenvironment=A=\"1 ;2\"\n",
    "bash -c": "[s]\ncommand=bash -c 'foo ; bar'\n",
    "tab inline": "[s]\na=b\t;c\n",
    "multi inline": "[s]\na=b ;c ;d\n",
    "value ]": "[s]\na=[b]\n",
    "multi-line list": "[inc]\nfiles =\n  a.conf\n  b.conf\n",
    "unicode": "[s]\na=é ü\n",
    "trailing ws": "[s]\na=b   \n",
    "eq in value": "[s]\na=b=c\n",
    "child section": "[a]\nx=1\n[a.b]\ny=2\n",
    "section with ]": "[a]b]\nx=1\n",
}
# Places where the reader's rules meet.
CORNERS = [
    "[s]\na=x;y ;z #c\n", "[s]\na=x;y;w ;z #c\n", "[s]\na=b\n;c\n  d\n", "[s]\na=b\n\n\n", "[s]\na=b\n\n\n  c\n\n", "[s]\n=x\n", "[s]\n:x\n  y\n",
    "[s]\na\nb\nc=1\n[\n", "[]\na=1\n", "[]]\na=1\n", "[s]\n[t\na=1\n", "[s] junk ] more\na=1\n", "[s]\na=1\n [t]\nb=2\n", "[s]\n[t]=1\n",
    "[s]\na=1\n\t b\n", "[s]\n a=1\n b=2\n  c\nd=3\n", "[DEFAULT]\nA=1\n[DEFAULT]\na=2\nb=3\n[s]\n", "[s]\na=\n b\n", "[s]\na=;c\n", "[s]\na= ;c\n",
    "[s]\na=b\x0bc\n", "[s]\na=b\x85#c\n", "[s]\na=b\u3000;c\n", "\u00a0[s]\na=1\n", "[s]\na\u00a0=\u00a01\u00a0\n", "[s]\na=b\rc=d\r", "[s]\na=b\x00c\n",
    "[s]\nİ=1\n", "", "\n\n", "; only\n", "[s]\n", "[s]", "[s]\na=1", "a", "a = b ; c", "[s]\nkey with ; comment = 1\n", "[s]\n#a=1\n ;b\n", "[ ]\na=1\n",
    "[s]\na=1\n#\n\n  b\n", "[s]\na=b # c\n  d # e\n  # f\n  g\n", "[s]\n'it''s'\n", "[s]\nline \u2028 x\n", "[s]\na=b\n c=d\n", "  [s]\n [t]\na=1\n",
]


def answer(data):
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"), strict=False)
    try:
        parser.read_file(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"), source="FILE")
    except (configparser.Error, ValueError) as why:
        return {"err": str(why)}
    return {
        "sections": [[name, list(parser._sections[name].items())] for name in parser.sections()],
        "defaults": list(parser.defaults().items()),
    }


def main():
    if "--record" in sys.argv:
        named = list(CASES.items()) + [("", text) for text in CORNERS]
        for name, text in named:
            print(json.dumps({"name": name, "in": text, **answer(text.encode())}, ensure_ascii=False))
        return
    for line in sys.stdin:
        question = json.loads(line)
        data = bytes.fromhex(question["hex"]) if "hex" in question else question["in"].encode()
        print(json.dumps({**question, **answer(data)}))


main()
