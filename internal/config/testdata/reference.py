"""Records what the real Supervisor makes of the files in reference/.

    /usr/bin/python3 reference.py [FILE...] > reference.jsonl

Each line has the error text, or groups, servers, options and messages. The directory of the files is written HERE.
"""
import glob
import json
import os
import platform
import socket
import sys
import warnings

warnings.simplefilter("ignore")
from supervisor import datatypes, options  # noqa: E402

DIRECTORY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "reference")
ENVIRON = {"HOME": "/root", "GREETING": "hello", "SLASHED": "a/b", "TMPDIR": "/tmp"}
SUPERVISORD = ["minfds", "minprocs", "directory", "user", "umask", "logfile", "logfile_maxbytes", "logfile_backups", "loglevel", "pidfile",
               "identifier", "nodaemon", "silent", "childlogdir", "nocleanup", "strip_ansi", "environment"]


def plain(value):
    return {datatypes.Automatic: "AUTO", datatypes.RestartUnconditionally: "true", datatypes.RestartWhenExitUnexpected: "unexpected"}.get(
        value, value) if isinstance(value, type) else value


def process(config):
    names = config.req_param_names + config.optional_param_names
    return {name: plain(getattr(config, name)) for name in names}


def group(config):
    out = {"name": config.name, "priority": config.priority, "processes": [process(p) for p in config.process_configs]}
    if type(config) is options.FastCGIGroupConfig:
        s = config.socket_config
        unix = isinstance(s, datatypes.UnixStreamSocketConfig)
        out["socket"] = {"url": s.url, "backlog": s.backlog, "mode": s.mode if unix else None, "owner": s.owner if unix else None}
    return out


def answer(name):
    reader = options.ServerOptions()
    reader.environ_expansions = {"ENV_" + k: v for k, v in ENVIRON.items()}
    reader.configfile = name
    out = {"file": name}
    try:
        reader.process_config(do_usage=False)
    except ValueError as why:
        out["error"] = str(why)
        return out
    section = reader.configroot.supervisord
    kinds = (options.ProcessGroupConfig, options.FastCGIGroupConfig)
    out["groups"] = [group(g) for g in reader.process_group_configs if type(g) in kinds]
    out["servers"] = [{"section": s["section"], "inet": s["family"] == socket.AF_INET, "username": s["username"], "password": s["password"],
                       "host": s.get("host"), "port": s.get("port"), "file": s.get("file"), "chmod": s.get("chmod"), "chown": s.get("chown")}
                      for s in section.server_configs]
    out["supervisord"] = {key: getattr(section, key) for key in SUPERVISORD}
    out["plugins"] = [[name, extras] for name, _, extras in section.rpcinterface_factories]
    out["warnings"], out["infos"] = reader.parse_warnings, reader.parse_infos
    return out


def main():
    platform.node = lambda: "node"
    os.environ.clear()
    os.environ.update(ENVIRON)
    os.chdir(DIRECTORY)
    for name in sys.argv[1:] or sorted(glob.glob("*.conf")):
        print(json.dumps(answer(name)).replace(DIRECTORY, "HERE"))


main()
