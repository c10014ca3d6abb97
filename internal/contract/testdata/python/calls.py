"""Calls one XML-RPC method as Python's users do and prints the answer as JSON: argv is the server's URL, the method, its arguments as JSON.

Over TCP it is xmlrpc.client alone, over a Unix socket with the transport that Supervisor offers for it.
"""

import json
import sys
import xmlrpc.client

from supervisor.xmlrpc import SupervisorTransport


def plain(value):
    """What JSON has no form for becomes an object with one member that names the type."""
    if isinstance(value, xmlrpc.client.Binary):
        return {'(base64)': value.data.decode('latin-1')}
    if isinstance(value, xmlrpc.client.DateTime):
        return {'(dateTime)': str(value)}
    raise TypeError(type(value))


def call(url, method, arguments):
    if url.startswith('unix://'):
        transport = SupervisorTransport(None, None, serverurl=url)
        proxy = xmlrpc.client.ServerProxy('http://127.0.0.1', transport=transport, allow_none=True)
    else:
        proxy = xmlrpc.client.ServerProxy(url, allow_none=True)
    try:
        return {'value': getattr(proxy, method)(*arguments)}
    except xmlrpc.client.Fault as fault:
        return {'fault': [fault.faultCode, fault.faultString]}
    except xmlrpc.client.ProtocolError as error:
        return {'status': [error.errcode, error.errmsg]}
    except xmlrpc.client.ResponseError:
        return {'garbled': True}
    except Exception as error:
        if type(error).__module__ == 'xml.parsers.expat':
            return {'garbled': True}
        if isinstance(error, OSError):
            return {'unreachable': True}
        raise


def main():
    json.dump(call(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])), sys.stdout, default=plain)
    return 0
