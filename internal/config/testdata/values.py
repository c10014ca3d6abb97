"""Answers value questions, one {"type": ..., "in": text} a line, with what Supervisor 4.2.5's own converters make of them.

    /usr/bin/python3 values.py --record > values.jsonl

"environment" is answered twice: "legacy" by Supervisor's converter, "posix" by the same grammar over the POSIX lexer, which is what
Supervisor 4.4 does.
"""
import json
import random
import shlex
import sys

from supervisor import datatypes

CASES = {
    "int": ["1", " 7 ", "-3", "+4", "1_000", "_1", "1__0", "1_", "007", "0x10", "1.5", "", " ", "ten", "١٢", "𝟟", "a'b", "a'\"b", "é\x01", "-", "--1", "- 1",
            "1 2", "9" * 18, "x" * 300],
    "bool": ["yes", "TRUE", "On", "1", "no", "False", "OFF", "0", "t", "y", "2", "", " true", "it's"],
    "bytes": ["0", "1", "-1", "1KB", "1 kb", "2MB", "3gB", "-1MB", "1.5MB", "1M", "1B", "1TB", "", "MB", "1_0KB", "+1kb", "é", "1\tKB"],
    "octal": ["022", "22", "0o22", "0O7", "-1", "1_2", "9", "", "0x1", " 7 ", "0o_7", "0o", "o7", "8"],
    "exitcodes": ["0", "0,2", "", " 1 , 2", "256", "-1", "0-5", "0,", "a", "0,,1", "1_0"],
    "autorestart": ["true", "FALSE", "Unexpected", "1", "off", "maybe", "", "É"],
    "loglevel": ["critical", "ERROR", "Warn", "info", "debug", "trace", "blather", "warning", "20", "", " info"],
    "list": ["", "a", "a, b", "a,", ",", " a ,b c"],
    "name": ["a", " a ", "a b", "a:b", "a/b", "", "a b:c/", "it's x"],
    "port": ["9001", "*:9001", ":9001", "Host:80", "127.0.0.1:65535", "[::1]:9001", "0", "65536", "x", "", "h:", "h:0", "h:65536", "h:x", "h: 80 ", "-1", "é x"],
    "signal": [str(n) for n in range(-2, 67)] + [
        "TERM", "SIGTERM", "term", " Hup ", "SIGSIGHUP", "CLD", "IOT", "POLL", "STKFLT", "IO", "SIG_DFL", "_IGN", "_BLOCK", "SIG_SETMASK", "_UNBLOCK", "sig",
        "", "NOPE", "RTMIN", "RTMAX", "SIGRTMIN", "0x9", "1_0", "it's"],
    "environment": [
        'A="a,b",B=c', "A='x\"y'", "A=1,B=2,", "A = 1 , B=2", "A=1;B=2", "A=1*B=2", "A=a b", "A=a*", "A=$HOME", "A=~/x", "A=", "A=,B=1", "A=a@b",
        "A={x}", "A=b=c", "A=#x", 'A=""', 'A="x\\"y"', 'A="a\\\\b"', "A=x\\,y", 'A="a"b', 'A=a"b c"d', '"A"=1', "A=it's", 'A="open', "A='open",
        'A="x\ny"', "A=1\n,B=2", "A=1\nB=2", "A=1,A=2", "", "  ", "# only", "A=1 # c\n,B=2", "A=é", "A=x#c\ny", "A", "A=1,B", "A=1,,B=2", "A=a(b):c-d.e/f+g_1",
        'A="%%"', "A='it''s'", "A=\\", 'A="\\', "=1", "A==1", "A='\"q\"'", "A=\"'q'\"", "Ä=1", "A=1 B=2 C=3", "A= 'x y' ,B=\"\""],
}
ENVIRONMENT_ALPHABET = list("AB==,,'\"\\ #;\néx1-$") + ["A=", ",B=", '"x y"']
RANDOM_ENVIRONMENTS = 3000

CONVERTERS = {
    "int": datatypes.integer, "bool": datatypes.boolean, "bytes": datatypes.byte_size, "octal": datatypes.octal_type,
    "exitcodes": datatypes.list_of_exitcodes, "loglevel": datatypes.logging_level, "list": datatypes.list_of_strings,
    "name": datatypes.process_or_group_name, "port": lambda s: list(datatypes.inet_address(s)),
    "signal": lambda s: int(datatypes.signal_number(s)),
    "autorestart": lambda s: {datatypes.RestartUnconditionally: "true", False: "false",
                              datatypes.RestartWhenExitUnexpected: "unexpected"}[datatypes.auto_restart(s)],
}


def posix_environment(text):
    lexer = shlex.shlex(text, posix=True)
    lexer.wordchars += "/.+-():"
    tokens = list(lexer)
    out = {}
    for at in range(0, len(tokens), 4):
        triple = tokens[at:at + 3]
        if len(triple) < 3 or triple[1] != "=":
            raise ValueError("Unexpected end of key/value pairs in value '%s'" % text)
        out[triple[0]] = triple[2]
    return out


def one(function, text):
    try:
        return {"ok": function(text)}
    except ValueError as why:
        return {"err": str(why)}


def answer(kind, text):
    if kind == "environment":
        return {"type": kind, "in": text, "legacy": one(datatypes.dict_of_key_value_pairs, text), "posix": one(posix_environment, text)}
    return {"type": kind, "in": text, **one(CONVERTERS[kind], text)}


def main():
    if "--record" not in sys.argv:
        for line in sys.stdin:
            question = json.loads(line)
            print(json.dumps(answer(question["type"], question["in"])))
        return
    random.seed(3)
    for kind, texts in CASES.items():
        for text in texts:
            print(json.dumps(answer(kind, text), ensure_ascii=False))
    for _ in range(RANDOM_ENVIRONMENTS):
        text = "".join(random.choice(ENVIRONMENT_ALPHABET) for _ in range(random.randint(1, 9)))
        print(json.dumps(answer("environment", text), ensure_ascii=False))


main()
