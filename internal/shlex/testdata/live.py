"""Answers strings, one JSON string a line, with what shlex.split and the two lexers of the environment grammar make of them."""
import json
import shlex
import sys


def answer(function, text):
    try:
        return list(function(text))
    except ValueError as why:
        return str(why)


def lexer(posix):
    def tokens(text):
        lex = shlex.shlex(text, posix=posix)
        lex.wordchars += "/.+-():"
        return lex

    return tokens


for line in sys.stdin:
    text = json.loads(line)
    print(json.dumps({
        "in": text, "split": answer(shlex.split, text), "posix": answer(lexer(True), text), "legacy": answer(lexer(False), text),
    }))
