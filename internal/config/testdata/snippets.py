"""Answers, one JSON object a line, what the real Supervisor makes of a configuration.

A question is {"dir": ..., "files": {...}, "args": [...], "env": {...}, "reread": ..., "ctl": ...}: the working directory, which holds
supervisord.conf; unless empty, what it shall hold, in base64; the rest of the command line; the whole environment; unless empty, the
next text of supervisord.conf; and whether supervisorctl reads the file. The answer is {"error": text} or everything that was read;
Automatic is AUTO.
"""
import base64
import io
import json
import os
import platform
import shutil
import socket
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
from supervisor import datatypes, options  # noqa: E402

SUPERVISORD = ["minfds", "minprocs", "directory", "user", "uid", "gid", "umask", "logfile", "logfile_maxbytes", "logfile_backups", "loglevel",
               "pidfile", "identifier", "nodaemon", "silent", "childlogdir", "nocleanup", "strip_ansi", "serverurl"]
FLAGS = ["nodaemon", "silent", "nocleanup", "strip_ansi"]
WORDS = {datatypes.Automatic: "AUTO", datatypes.RestartUnconditionally: "true", datatypes.RestartWhenExitUnexpected: "unexpected"}


class Exit(Exception):
    pass


def plain(value):
    return WORDS.get(value, value) if isinstance(value, type) else value


def spec(factory):
    return "%s:%s" % (factory.__module__, factory.__qualname__) if callable(factory) else "the module " + factory.__name__


def process(config):
    return {name: plain(getattr(config, name)) for name in config.req_param_names + config.optional_param_names}


def group(config):
    out = {"name": config.name, "priority": config.priority, "kind": "program", "processes": [process(p) for p in config.process_configs]}
    if type(config) is options.EventListenerPoolConfig:
        from supervisor.events import EventTypes
        names = {getattr(EventTypes, n): n for n in dir(EventTypes) if n.isupper()}
        out.update(kind="eventlistener", buffer_size=config.buffer_size, events=sorted(names[e] for e in config.pool_events),
                   result_handler=spec(config.result_handler))
    if type(config) is options.FastCGIGroupConfig:
        sock = config.socket_config
        out.update(kind="fcgi", socket=sock.url, socket_backlog=sock.get_backlog(), socket_owner=getattr(sock, "owner", None),
                   socket_mode=getattr(sock, "mode", None))
    return out


def server(config):
    out = {k: config.get(k) for k in ("section", "name", "username", "password", "host", "port", "file", "chmod", "chown")}
    out["inet"] = config["family"] == socket.AF_INET
    return out


def reread(reader, text):
    """Returns the names that reloadConfig answers after the file has become text, when all groups of the old one run."""
    active = {}
    for config in reader.process_group_configs:
        active.setdefault(config.name, config)
        for process_config in config.process_configs:
            for key in ("stdout_logfile", "stderr_logfile"):  # as create_autochildlogs, without the file
                if getattr(process_config, key) is datatypes.Automatic:
                    setattr(process_config, key, "/tmp/auto")
    with open("supervisord.conf", "w") as file:
        file.write(text)
    reader.process_config(do_usage=False)
    new = reader.process_group_configs
    return {"added": [c.name for c in new if c.name not in active], "changed": [c.name for c in new if c != active.get(c.name, c)],
            "removed": [n for n in active if n not in [c.name for c in new]]}


def exit_with(code):
    raise Exit(code)


def usage_text(reader):
    text = reader.stderr.getvalue()
    return text[len("Error: "):text.rindex("\nFor help, use ")]


def answer(question):
    reader = options.ServerOptions()
    reader.stderr = reader.stdout = io.StringIO()
    reader.exit = exit_with
    try:
        reader.realize(["-c", "supervisord.conf"] + question["args"], doc="")
    except Exit:
        return {"error": usage_text(reader)}
    except Exception as why:
        return {"error": "%s is not caught: %s" % (type(why).__name__, why)}
    finally:
        reader.poller.close()
    out = {key: getattr(reader, key) for key in SUPERVISORD}
    out.update({key: bool(out[key]) for key in FLAGS})
    out["environment"] = reader.configroot.supervisord.environment
    out = {"supervisord": out, "groups": [group(g) for g in reader.process_group_configs],
            "servers": [server(s) for s in reader.server_configs],
            "plugins": [{"name": name, "factory": spec(factory), "options": extras} for name, factory, extras in reader.rpcinterface_factories],
            "messages": ["CRIT " + s for s in reader.parse_criticals] + ["WARN " + s for s in reader.parse_warnings] +
            ["INFO " + s for s in reader.parse_infos]}
    if question.get("reread"):
        try:
            out["reread"] = reread(reader, question["reread"])
        except ValueError as why:
            return {"error": str(why)}
    return out


def ctl_answer(question):
    reader = options.ClientOptions()
    reader.stderr = reader.stdout = io.StringIO()
    reader.exit = exit_with
    try:
        reader.realize(["-c", "supervisord.conf"], doc="")
    except Exit:
        return {"error": usage_text(reader)}
    except Exception as why:
        return {"error": "%s is not caught: %s" % (type(why).__name__, why)}
    return {"supervisorctl": {k: getattr(reader, k) or "" for k in ("serverurl", "username", "password", "prompt", "history_file")},
            "plugins": [{"name": name, "factory": spec(factory), "options": extras} for name, factory, extras in reader.plugin_factories[1:]]}


def write(files):
    """Makes files what the working directory holds. An empty map leaves it as it is."""
    for name in os.listdir(".") if files else []:
        if os.path.isdir(name):
            shutil.rmtree(name)
        elif name not in files:
            os.unlink(name)
    for name, text in files.items():
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        if not name.endswith("/"):
            with open(name, "wb") as file:
                file.write(base64.b64decode(text))


def main():
    platform.node = lambda: "node"
    os.getuid = lambda: 0
    for line in sys.stdin:
        question = json.loads(line)
        here = question["dir"]
        os.chdir(here)
        write(question["files"])
        os.environ.clear()
        os.environ.update(question["env"])
        tempfile.tempdir = None
        print(json.dumps((ctl_answer if question["ctl"] else answer)(question)).replace(here, "HERE").replace(os.path.dirname(here), "ABOVE"))


main()
