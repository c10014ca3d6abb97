"""Records what Python's shlex makes of many strings.

    python3 record.py > cases.jsonl && gzip -9n cases.jsonl

Each line is a JSON object: "in" is the text; "split" the words of shlex.split; "posix" and "legacy" the tokens of the two lexers
that the environment grammar uses. A value is a list, or a string with the error text.
"""
import itertools
import json
import random
import shlex

FIXED = [
    "a b c", "a 'b c' d", 'a "b c" d', "a\\ b c", 'a "b\\"c"', "a 'b\\'c'", 'a "b\\c"', 'a "\\$x"', "a # b", "a#b c",
    'echo "x"y', 'a ""', "a ''", "a\tb\nc", "a $(b c) d", "a `b c` d", "a;b | c", "a & b", "a > b", 'a "b', "a \\",
    'é "ü x"', "a\\\nb", '"a\\\nb"', 'a=b"c d"', "bash -c 'foo ; bar'", "a \"b'c\"", "a 'b\"c'", "a {b,c}", "a *", "a ~",
    '\\"a b\\"', "   ", "", "a\x0bb", "a\xa0b", "a\r\nb", "$HOME x", 'a "$HOME"', "(a b)", "a <b", "a 2>&1", '"\\a\\n"',
]
ALPHABET = list("ab'\"\\ #$;|()`\n\t>&é=")
RANDOM_CASES = 20000
WORD_CHARS = "/.+-():"
SHORT_ALPHABET = "a\"'\\ #"  # every text over it up to SHORT_LENGTH is recorded too: quoting is rare in random texts
SHORT_LENGTH = 5


def answer(function, text):
    try:
        return list(function(text))
    except ValueError as why:
        return str(why)


def lexer(posix):
    def tokens(text):
        lex = shlex.shlex(text, posix=posix)
        lex.wordchars += WORD_CHARS
        return lex

    return tokens


def main():
    random.seed(1)
    cases = list(FIXED)
    for _ in range(RANDOM_CASES):
        cases.append("".join(random.choice(ALPHABET) for _ in range(random.randint(1, 9))))
    for length in range(1, SHORT_LENGTH + 1):
        cases += ["".join(letters) for letters in itertools.product(SHORT_ALPHABET, repeat=length)]
    for text in cases:
        print(json.dumps({
            "in": text,
            "split": answer(shlex.split, text),
            "posix": answer(lexer(True), text),
            "legacy": answer(lexer(False), text),
        }, ensure_ascii=False, separators=(",", ":")))


main()
