"""How some of Ray's processes differ from what Ray starts: where they listen, and who goes first.

Python runs this module at the start of each process that finds it on its path.

Ray's agent and dashboard both open a port that answers anybody, without a token: on loopback where
the cluster is private to its host, else on all addresses; no option of Ray names another. Here it
is the address that the operator chose for metrics.

Two agents of Ray, whose imports take seconds of a core, let the actors go first that start at the
same time.
"""

from __future__ import annotations

import os
import sys

_AGENTS = ("/ray/dashboard/agent.py", "/runtime_env/agent/main.py")
_BEHIND = 10  # niceness
_SERVERS = ("/ray/dashboard/agent.py", "/ray/dashboard/dashboard.py")
_RAYS = ("", "0.0.0.0", "::", "127.0.0.1")  # noqa: S104 - what is replaced

if any(argument.endswith(_AGENTS) for argument in sys.orig_argv):
    os.nice(_BEHIND)

host = os.environ.get("X0_METRICS_HOST", "")
if host and any(argument.endswith(_SERVERS) for argument in sys.orig_argv):
    import socketserver

    _bind = socketserver.TCPServer.server_bind

    def _server_bind(server: socketserver.TCPServer) -> None:
        address, port = server.server_address[:2]
        if address in _RAYS:
            server.server_address = (host, port)
        _bind(server)

    setattr(socketserver.TCPServer, "server_bind", _server_bind)  # noqa: B010 - of another's class
