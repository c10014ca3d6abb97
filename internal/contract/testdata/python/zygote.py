"""Starts Supervisor's own programs without the time that their imports take.

The process imports Supervisor once and then forks for each request: the child becomes what `/usr/bin/supervisord` or
`/usr/bin/supervisorctl` is right before it calls its main function. Requests come as datagrams on descriptor 3: JSON with argv, cwd, env
and tty, and four descriptors: the child's 0, 1 and 2, and a pipe that gets its pid and, when it has ended, its status. The end of
descriptor 3 ends the process.
"""

import array
import atexit
import fcntl
import gc
import json
import os
import select
import signal
import socket
import sys
import termios
import threading
import time

import encodings.idna  # noqa: F401  what the programs import late
import supervisor.http  # noqa: F401
import supervisor.medusa.asyncore_25
import supervisor.rpcinterface  # noqa: F401
import supervisor.supervisorctl
import supervisor.supervisord
import supervisor.web  # noqa: F401

import calls

MAINS = {
    'supervisord': supervisor.supervisord.main,
    'supervisorctl': supervisor.supervisorctl.main,
    'calls': calls.main,
}

# fg ends when its reading thread has noticed, which is when its poll returns: at the next output, or after this time, 30 s by default.
loop = supervisor.medusa.asyncore_25.loop
loop.__defaults__ = (0.1,) + loop.__defaults__[1:]


def become(request, descriptors):
    """Turns a fork into a fresh process."""
    os.setsid()
    if request['tty']:
        fcntl.ioctl(descriptors[0], termios.TIOCSCTTY, 0)
    for i in range(3):
        os.dup2(descriptors[i], i)
    os.closerange(3, 1024)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    time.tzset()
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    sys.argv = request['argv']
    sys.path[0:1] = [os.path.dirname(sys.argv[0])] + [p for p in request['env'].get('PYTHONPATH', '').split(':') if p]
    return MAINS[os.path.basename(sys.argv[0])]


def serve():
    """Forks for each request; returns in the forks alone, with what they have to do."""
    requests = socket.socket(fileno=3)
    children = {}  # pidfd: pid, pipe
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in children:
                pid, report = children.pop(fd)
                _, status = os.waitpid(pid, 0)
                os.write(report, b'%d\n' % os.waitstatus_to_exitcode(status))
                os.close(report)
                poll.unregister(fd)
                os.close(fd)
                continue
            text, ancillary, _, _ = requests.recvmsg(1 << 20, socket.CMSG_SPACE(16))
            if not text:
                sys.exit(0)
            descriptors = array.array('i')
            descriptors.frombytes(ancillary[0][2])
            pid = os.fork()
            if pid == 0:
                return become(json.loads(text), descriptors)
            for descriptor in descriptors[:3]:
                os.close(descriptor)
            report = descriptors[3]
            os.write(report, b'%d\n' % pid)
            pidfd = os.pidfd_open(pid)
            children[pidfd] = pid, report
            poll.register(pidfd, select.POLLIN)


def end(code):
    """Ends a fork as the interpreter does, without taking apart what its siblings use too: that is three quarters of the time of a fork."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except BrokenPipeError:
            pass
    os._exit(code)


if __name__ == '__main__':
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what started this one may ignore it: a job in a shell's background does
    gc.freeze()  # a collection in a fork would copy every page
    main = serve()
    try:
        sys.exit(main())
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            end((ending.code or 0) & 0xff)
        raise
