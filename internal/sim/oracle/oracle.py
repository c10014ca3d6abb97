#!/usr/bin/python3
"""Let Supervisor's own classes play scenarios in virtual time.

Reads one scenario a line (JSON, see scenario.go) from standard input and answers each with one line: the seed and the trace, a list of
[microseconds, kind, subject, text].

Everything that decides is the genuine article: supervisord.Supervisor (its main loop), process.Subprocess and ProcessGroup, the methods of
rpcinterface.SupervisorNamespaceRPCInterface, and the events they send. Replaced is only the world around them: time.time, fork, kill,
waitpid and poll. Poll is where virtual time passes: it jumps to the next moment at which anything can happen, lets children end there and
hands in the commands that are due, as the HTTP server would.
"""
import errno
import heapq
import json
import sys
import time as realtime

from supervisor import events, options, process, rpcinterface, states, supervisord
from supervisor.datatypes import RestartUnconditionally, RestartWhenExitUnexpected
from supervisor.http import NOT_DONE_YET
from supervisor.medusa import asyncore_25 as asyncore
from supervisor.tests.base import DummyLogger, DummyOptions
from supervisor.xmlrpc import RPCError

ORIGIN = 100000.0  # the virtual clock's start; Supervisor takes a time of 0 for "never"
STRICTLY = 1e-8    # added where Supervisor asks for "later than", to get there in one step

STATE = {code: name for name, code in vars(states.ProcessStates).items() if not name.startswith('_')}
AUTORESTART = {0: RestartWhenExitUnexpected, 1: False, 2: RestartUnconditionally}
DENIED = 'unknown problem'


class Clock:
    """Stands in for the module time inside Supervisor's modules."""
    now = ORIGIN

    def time(self):
        return Clock.now

    def __getattr__(self, name):
        return getattr(realtime, name)


for module in (process, supervisord, rpcinterface):
    module.time = Clock()


class Quiet(DummyLogger):
    """Keeps no log."""
    def log(self, *args, **kwargs):
        pass
    info = debug = warn = error = critical = trace = blather = log


class Child:
    """One fork: which life it is, and what has happened to it."""
    def __init__(self, subject, number, program, life):
        self.subject, self.number, self.program, self.life = subject, number, program, life
        self.killed = False


class World(DummyOptions):
    """The options object, through which Supervisor's classes reach the system. It is the poller as well."""

    def __init__(self, scenario):
        DummyOptions.__init__(self)
        self.scenario = scenario
        self.poller = self
        self.test = False     # run more than one pass
        self.trace = []
        self.heap = []       # (time, order, what): what will happen
        self.order = 0
        self.living = {}     # pid -> Child
        self.born = {}       # pid -> Child, for ever
        self.dead = []       # (pid, wait status), to be reaped
        self.forks = {}      # subject -> number of forks so far
        self.forking = None  # the process that is about to fork
        self.deferred = []   # commands whose answer is a function to be asked again
        self.programs = {g['name'] + ':' + p['name']: p for g in scenario['groups'] for p in g['programs']}
        for command in scenario['commands']:
            self.at(ORIGIN + command['at'] / 1e6, ('command', command))

    # what Supervisor asks of the system

    def getLogger(self, *args, **kwargs):
        return Quiet()

    def fork(self):
        Clock.now += STRICTLY  # no fork is for nothing: a process with startsecs=0 is up when it is looked at next
        subject = self.forking
        lives = self.programs[subject]['lives']
        number = self.forks.get(subject, 0)
        self.forks[subject] = number + 1
        life = lives[number % len(lives)]
        if life.get('fork'):
            raise OSError(getattr(errno, life['fork']), life['fork'])
        pid = 100 + len(self.born) + 1
        self.living[pid] = self.born[pid] = Child(subject, number + 1, self.programs[subject], life)
        if life['lasts'] >= 0:
            self.ends(pid, life['lasts'], 11 if life['code'] < 0 else life['code'] << 8)
        return pid

    def kill(self, target, sig):
        child = self.born[abs(target)]
        if sig != 9 or child.program['stopwaitsecs'] > 0 or not child.killed:
            self.note('signal', child.subject, '%d %s life=%d' % (sig, 'group' if target < 0 else 'pid', child.number))
        pid, life = abs(target), child.life
        if pid not in self.living:
            raise OSError(errno.ESRCH, 'no such process')
        if life['denied']:
            raise OSError(errno.EPERM, 'not permitted')
        if sig == 9:
            child.killed = True
            self.ends(pid, life['kill'], 9)
        elif sig in (15, child.program['stopsignal']) and life['stop'] >= 0:
            self.ends(pid, life['stop'], sig if life['stops'] < 0 else life['stops'] << 8)

    def waitpid(self):
        return self.dead.pop(0) if self.dead else (None, None)

    def register_readable(self, fd):
        pass
    register_writable = unregister_readable = unregister_writable = register_readable

    def poll(self, timeout):
        """Jump to the next moment and let happen what is due."""
        self.ask_deferred()
        moment = self.next_moment()
        if moment is None or moment > ORIGIN + self.scenario['end'] / 1e6:
            raise asyncore.ExitNow
        Clock.now = moment
        while self.heap and self.heap[0][0] <= Clock.now:
            what = heapq.heappop(self.heap)[2]
            if what[0] == 'command':
                self.command(what[1])
            elif what[1] in self.living:
                del self.living[what[1]]
                self.dead.append(what[1:])
        return [], []

    # the world's own affairs

    def at(self, moment, what):
        self.order += 1
        heapq.heappush(self.heap, (moment, self.order, what))

    def ends(self, pid, after, status):
        self.at(Clock.now + after / 1e6, ('end', pid, status))

    def next_moment(self):
        """When poll would return, were it called over and over: the next event, or the next moment at which a process has to act."""
        moments = [self.heap[0][0]] if self.heap else []
        S, running = states.ProcessStates, self.mood >= 1
        for group in self.supervisor.process_groups.values():
            for p in group.processes.values():
                c = p.config
                if p.state == S.STARTING:
                    moments.append(p.laststart + c.startsecs + STRICTLY)
                elif p.state == S.BACKOFF:
                    if p.backoff > c.startretries:
                        moments.append(Clock.now)
                    elif running:
                        moments.append(p.delay + STRICTLY)
                elif p.state == S.STOPPING:
                    again = p.delay <= Clock.now and self.born[p.pid].killed
                    moments.append(Clock.now + 1 if again else p.delay)
                elif running and p.state == S.STOPPED and not p.laststart and c.autostart:
                    moments.append(Clock.now)
                elif running and p.state == S.EXITED and c.autorestart and (
                        c.autorestart is RestartUnconditionally or p.exitstatus not in c.exitcodes):
                    moments.append(Clock.now)
        if not running:
            queue = self.supervisor.stop_groups
            if not self.supervisor.stopping or queue and not queue[-1].get_unstopped_processes():
                moments.append(Clock.now)  # another pass takes the shutdown further
        return max(Clock.now, min(moments)) if moments else None

    def note(self, kind, subject, text):
        self.trace.append([round((Clock.now - ORIGIN) * 1e6), kind, subject, text])

    # commands

    def command(self, command):
        op, name = command['op'], command['name']
        method = getattr(self.rpc, op)
        if op.startswith('signal'):
            arguments = [str(command['signal'])]
        elif op.startswith(('start', 'stop')):
            arguments = [command['wait']]
        else:
            arguments = []
        if name:
            arguments.insert(0, name)
        self.attempt(command, lambda: method(*arguments))

    def ask_deferred(self):
        waiting, self.deferred = self.deferred, []
        for command, function in waiting:
            self.attempt(command, function)

    def attempt(self, command, function):
        """Answer a command, or keep the function that will know the answer later."""
        try:
            result = function()
        except RPCError as e:
            self.reply(command, fault(e.code, e.text))
            return
        if result is NOT_DONE_YET:
            self.deferred.append((command, function))
        elif callable(result):
            self.attempt(command, result)
        elif isinstance(result, list):
            rows = ['%s:%s=%s' % (r['group'], r['name'], fault(r['status'], r['description'])) for r in result]
            self.reply(command, ' | '.join(['rows'] + rows))
        else:
            self.reply(command, 'OK')

    def reply(self, command, text):
        self.note('reply', '#%d' % command['req'], text)


def fault(code, text):
    """Code and detail of a fault or row, without the code's name."""
    if code == 80:
        return 'OK'
    _, colon, detail = text.partition(': ')
    if not colon or detail.startswith(DENIED):
        return str(code)
    return '%d %s' % (code, detail)


class Config(options.ProcessConfig):
    """A process's configuration whose pipes are numbers."""
    def make_dispatchers(self, proc):
        self.options.forking = proc.group.config.name + ':' + self.name
        return {}, dict(child_stdin=3, stdin=4, stdout=5, child_stdout=6, stderr=7, child_stderr=8)


def process_config(world, p):
    values = dict.fromkeys(Config.req_param_names)
    values.update(
        name=p['name'], command='/bin/true', priority=p['priority'], autostart=p['autostart'], autorestart=AUTORESTART[p['autorestart']],
        startsecs=p['startsecs'], startretries=p['startretries'], stopsignal=p['stopsignal'], stopwaitsecs=p['stopwaitsecs'],
        stopasgroup=p['stopasgroup'], killasgroup=p['killasgroup'], exitcodes=p['exitcodes'], redirect_stderr=False)
    return Config(world, **values)


def watch(world):
    """Note the events that Supervisor sends, with the values their payloads carry."""
    def life(proc):
        return world.born[proc.pid].number if proc.pid else 0

    def state(event):
        proc, to = event.process, event.process.state
        text = STATE[event.from_state] + '>' + STATE[to]
        values = dict(event.extra_values)
        if 'tries' in values:
            text += ' tries=%d' % values['tries']
        if 'expected' in values:
            text += ' expected=%d' % values['expected']
        if 'pid' in values:
            text += ' life=%d' % life(proc)
        world.note('state', proc.group.config.name + ':' + proc.config.name, text)

    events.clear()
    events.subscribe(events.ProcessStateEvent, state)
    events.subscribe(events.ProcessGroupAddedEvent, lambda e: world.note('group', e.group, 'added'))
    events.subscribe(events.ProcessGroupRemovedEvent, lambda e: world.note('group', e.group, 'removed'))


def run(scenario):
    Clock.now = ORIGIN
    world = World(scenario)
    watch(world)
    for g in scenario['groups']:
        members = [process_config(world, p) for p in g['programs']]
        world.process_group_configs.append(options.ProcessGroupConfig(world, g['name'], g['priority'], members))
    world.supervisor = supervisord.Supervisor(world)
    world.rpc = rpcinterface.SupervisorNamespaceRPCInterface(world.supervisor)
    for g, config in zip(scenario['groups'], world.process_group_configs):
        if not g['later']:
            world.supervisor.add_process_group(config)
    try:
        world.supervisor.runforever()
    except asyncore.ExitNow:
        pass
    if world.supervisor.stopping and not any(g.get_unstopped_processes() for g in world.supervisor.process_groups.values()):
        world.note('halt', '', 'true' if world.mood == 0 else 'false')
    return world.trace


if __name__ == '__main__':
    for line in sys.stdin:
        scenario = json.loads(line)
        sys.stdout.write(json.dumps({'seed': scenario['seed'], 'trace': run(scenario)}, separators=(',', ':')) + '\n')
        sys.stdout.flush()
