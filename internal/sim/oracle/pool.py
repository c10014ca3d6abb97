"""Drives Supervisor's own listener pool and protocol reader, for comparison.

Each line of standard input is a scenario, each line of standard output the list of what happened in it: log lines as "LEVEL text", and
"send N message" for what listener N was given.
"""
import json
import sys

from supervisor import events
from supervisor.dispatchers import PEventListenerDispatcher, default_handler
from supervisor.process import EventListenerPool, GlobalSerial
from supervisor.states import ProcessStates


class Record:
    """Stands for the main log and for the options that the classes ask."""

    identifier = 'super'
    strip_ansi = False
    loglevel = 0

    def __init__(self, facts):
        self.facts = facts
        self.logger = self
        self.output = b''

    def note(self, level, text):
        # Where the reference shows raw output is compared elsewhere.
        if ' output:\n' not in text:
            self.facts.append('%s %s' % (level, text))

    def debug(self, text, **names):
        self.note('DEBG', text % names if names else text)

    def warn(self, text):
        self.note('WARN', text)

    def error(self, text):
        self.note('ERRO', text)

    def readfd(self, fd):
        return self.output


class Config:
    def __init__(self, **fields):
        self.__dict__.update(fields)


class Process:
    pid = 7
    event = None
    state = ProcessStates.STOPPED
    listener_state = None
    reader = None

    def __init__(self, number, options, facts):
        self.config = Config(name='l%d' % number, options=options, stdout_logfile=None)
        self.number, self.facts = number, facts

    def transition(self):
        pass

    def write(self, chars):
        self.facts.append('send %d %s' % (self.number, chars.decode('utf-8')))

    def start(self, now):
        if self.state == ProcessStates.STOPPED:
            self.state = ProcessStates.STARTING
            self.due = now + 1000
            self.reader = PEventListenerDispatcher(self, 'stdout', 0)

    def say(self, data):
        if self.reader is not None:
            self.config.options.output = data
            self.reader.handle_read_event()

    def die(self):
        if self.state == ProcessStates.STOPPED:
            return
        self.state = ProcessStates.STOPPED
        self.reader = None
        if self.event is not None:
            events.notify(events.EventRejectedEvent(self, self.event))
            self.event = None


def play(scenario):
    facts = []
    options = Record(facts)
    events.clear()
    GlobalSerial.serial = -1
    pool = EventListenerPool.__new__(EventListenerPool)
    pool.config = Config(
        name='pool', options=options, buffer_size=scenario['Buffer'], result_handler=default_handler,
        pool_events=[events.RemoteCommunicationEvent])
    pool.processes = {}
    for number in range(scenario['Listeners']):
        process = Process(number, options, facts)
        process.group = pool
        pool.processes['l%d' % number] = process
    pool.event_buffer, pool.serial, pool.last_dispatch, pool.dispatch_throttle = [], -1, 0, 0
    pool._subscribe()
    now = 0

    def starting():
        return sorted((p for p in pool.processes.values() if p.state == ProcessStates.STARTING), key=lambda p: p.due)

    def promote():
        for p in starting():
            if p.due <= now:
                p.state = ProcessStates.RUNNING
                pool.transition()

    for op in scenario['Ops']:
        process = pool.processes['l%d' % op['Listener']]
        kind = op['Do']
        if kind == 'event':
            events.notify(events.RemoteCommunicationEvent('t', op['Text']))
        elif kind == 'say':
            process.say(op['Text'].encode('utf-8'))
        elif kind == 'start':
            now += 1
            promote()
            process.start(now)
        elif kind == 'up':
            if starting():
                now = starting()[0].due
            promote()
        elif kind == 'die':
            process.die()
        pool.transition()
    return facts



for line in sys.stdin:
    print(json.dumps(play(json.loads(line))), flush=True)
