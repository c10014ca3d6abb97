"""Answers daemon command lines, one JSON list a line, with what the real Supervisor makes of them: its error text, or its options.

    /usr/bin/python3 args.py --record > args.jsonl
"""
import json
import os
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
from supervisor.options import ServerOptions  # noqa: E402

CASES = [
    [], ["-n"], ["-ns"], ["-n", "-n"], ["-n", "--nodaemon"], ["--nod"], ["--no"], ["--nodaemon=1"], ["-Z"], ["-nZ"], ["-é"], ["--zzz"], ["--zzz=1"],
    ["-c"], ["--configuration"], ["--conf", "the-file"], ["-cthe-file"], ["--conf=the-file"], ["-c", "the-file", "-c", "the-file"], ["foo"], ["-n", "foo", "-s"],
    ["--", "-n"], ["-"], ["-y", "1M"], ["-y", "1MB"], ["--logfile_maxbytes=2gb"], ["--logfile", "x"], ["--logfile_", "1"], ["--log=x"],
    ["--logf=x"], ["-m", "99"], ["-m", "022"], ["-d", "/nonexistent"], ["-d", "/"], ["-l", "/nonexistent/x"], ["-e", "loud"], ["-e", "DEBUG"],
    ["-z", "x"], ["-z", "3"], ["-a", "x"], ["-a", "12"], ["--minprocs", "y"], ["--minprocs=5"], ["--min=5"], ["-q", "/nonexistent"],
    ["-q", "/tmp"], ["-j", "/nonexistent/p"], ["-i", ""], ["-i", "me"], ["-i", "a", "-i", "b"], ["-u", "nosuchuser"], ["-k"], ["-t"],
    ["--strip"], ["--s"], ["--silent", "--sil"], ["-h"], ["-?"], ["--help"], ["--hel"], ["-v"], ["--version"], ["-nh"], ["-n", "-n", "-h"], ["-h", "-Z"],
    ["-h", "foo"], ["-y", "1M", "-v"], ["--profile_options=cumulative,calls"], ["-n", "it's"], ["--=x"], ["--user="], ["-u", ""], ["--umask", "-1"],
]


class Exit(Exception):
    pass


def answer(args):
    out = {"in": args}
    with tempfile.TemporaryDirectory() as directory:
        conf = os.path.join(directory, "supervisord.conf")
        with open(conf, "w") as file:
            file.write("[supervisord]\n")
        real = [a.replace("the-file", conf) for a in args]
        options = ServerOptions()
        options.searchpaths = [conf]
        said = []

        def stop(code):
            raise Exit(code)

        def usage(text):
            said.append(text)
            stop(2)

        options.exit, options.usage = stop, lambda text: usage(str(text))
        options.stdout = type("Out", (), {"write": lambda self, s: None})()
        try:
            options.realize(real, doc="help")
            names = ["nodaemon", "silent", "nocleanup", "strip_ansi", "user", "umask", "directory", "logfile_maxbytes", "logfile_backups",
                     "loglevel", "identifier", "minfds", "minprocs"]
            given = {n: getattr(options, n) for n in names if options.attr_priorities.get(n) == 2}
            out["set"] = {n: v.replace(conf, "the-file") if isinstance(v, str) else v for n, v in given.items()}
        except Exit as why:
            if why.args[0] == 2:
                out["err"] = said[0].replace(conf, "the-file")
            else:
                out["exit"] = True
    return out


if "--record" in sys.argv:
    for case in CASES:
        print(json.dumps(answer(case), ensure_ascii=False))
else:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))))
