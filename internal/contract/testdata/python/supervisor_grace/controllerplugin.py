"""The client's half: the verb grace_update."""

import json
import shlex

from supervisor.options import split_namespec
from supervisor.supervisorctl import ControllerPluginBase


class GraceControllerPlugin(ControllerPluginBase):
    name = 'grace'

    def __init__(self, controller, **_options):
        ControllerPluginBase.__init__(self, controller)
        self.supervisor = controller.get_server_proxy('supervisor')
        self.grace = controller.get_server_proxy('grace')

    def do_grace_update(self, arg):
        words = shlex.split(arg)
        if len(words) != 1:
            self.ctl.exitstatus = 1
            self.help_grace_update()
            return
        answer = json.loads(self.grace.UpdateNumprocs(words[0]))
        if answer['type'] == 'error':
            self.ctl.output(answer['msg'])
            return
        names = answer['processes_name']
        if answer['type'] == 'add':
            for name in names:
                self.ctl.output('%s added' % name)
            return
        for name in names:
            self.supervisor.stopProcess(name)
            self.ctl.output('%s stoped' % name)
        for name in names:
            self.grace.removeProcessFromGroup(*split_namespec(name))
            self.ctl.output('%s removed' % name)

    def help_grace_update(self):
        self.ctl.output('grace_update xxx\tgrace_update programe xxx')


def make_grace_controllerplugin(controller, **options):
    return GraceControllerPlugin(controller, **options)
