"""The server's half: grace.UpdateNumprocs and grace.removeProcessFromGroup."""

import json

from supervisor.states import STOPPED_STATES
from supervisor.xmlrpc import Faults, RPCError


class GraceInterface(object):
    def __init__(self, supervisord):
        self.supervisord = supervisord

    def getAPIVersion(self):
        return '1.0'

    def _group(self, name):
        group = self.supervisord.process_groups.get(name)
        if group is None:
            raise RPCError(Faults.BAD_NAME, 'group: %s' % name)
        return group

    def UpdateNumprocs(self, name):
        group = self._group(name)
        options = self.supervisord.options
        options.process_config(do_usage=False)
        wanted = [c for c in options.process_group_configs if c.name == name][0]
        return json.dumps(self._apply(group, wanted))

    def _apply(self, group, wanted):
        old, new = group.config.process_configs, wanted.process_configs
        if group.config.priority != wanted.priority:
            return refusal('Not only numprocs has changed: priority is difference')
        if len(old) == len(new):
            if old == new:
                return refusal('No need to update')
            return refusal('Other settings has changed, please use update')
        small, large = sorted((old, new), key=len)
        if not all(c in large for c in small):
            return refusal('Not only numprocs has changed')
        rest = sorted((c for c in large if c not in small), key=lambda c: c.name)
        if large is new:
            for config in rest:
                config.create_autochildlogs()
                group.processes[config.name] = config.make_process(group)
        group.config = wanted
        return {
            'processes_name': ['%s:%s' % (group.config.name, c.name) for c in rest],
            'type': 'add' if large is new else 'reduce',
        }

    def removeProcessFromGroup(self, group_name, process_name):
        group = self._group(group_name)
        process = group.processes.get(process_name)
        if process is None:
            raise RPCError(Faults.BAD_NAME, process_name)
        if process.get_state() not in STOPPED_STATES:
            raise RPCError(Faults.STILL_RUNNING, process_name)
        group.transition()
        del group.processes[process_name]
        return True


def refusal(text):
    return {'msg': text, 'type': 'error'}


def make_grace_rpcinterface(supervisord, **_options):
    return GraceInterface(supervisord)
