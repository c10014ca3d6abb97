"""Prints what Supervisor's own event classes say, as JSON."""
import json

from supervisor import events
from supervisor.states import ProcessStates


class Thing:
    def __init__(self, **fields):
        self.__dict__.update(fields)


process = Thing(config=Thing(name='p'), group=Thing(config=Thing(name='g')), pid=7, backoff=3)
types = {name: kind for name, kind in vars(events.EventTypes).items() if not name.startswith('_')}
covers = {name: sorted(other for other, base in types.items() if issubclass(kind, base)) for name, kind in types.items()}

payloads = {}
for name, kind in types.items():
    if name.startswith('PROCESS_STATE_'):
        payloads[name] = kind(process, ProcessStates.BACKOFF).payload()
    elif name.startswith('TICK_'):
        payloads[name] = kind(1000000005, None).payload()
    elif name.startswith('SUPERVISOR_STATE_CHANGE_'):
        payloads[name] = kind().payload()
    elif name.startswith('PROCESS_GROUP_'):
        payloads[name] = kind('g').payload()
payloads['PROCESS_STATE_EXITED unexpected'] = events.ProcessStateExitedEvent(process, ProcessStates.BACKOFF, False).payload()
payloads['PROCESS_LOG_STDOUT'] = events.ProcessLogStdoutEvent(process, 7, 'h\u00e9\n'.encode()).payload()
payloads['PROCESS_LOG_STDERR'] = events.ProcessLogStderrEvent(process, 7, b"h\xe9'\x00\n").payload()
payloads['PROCESS_COMMUNICATION_STDOUT'] = events.ProcessCommunicationStdoutEvent(process, 7, 'h\u00e9\n'.encode()).payload()
payloads['PROCESS_COMMUNICATION_STDERR'] = events.ProcessCommunicationStderrEvent(process, 7, b"h\xe9\"'\x7f").payload()
payloads['REMOTE_COMMUNICATION'] = events.RemoteCommunicationEvent('kind', 'data').payload()
print(json.dumps({'Types': covers, 'Payloads': payloads}))
