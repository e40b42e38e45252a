"""Keeps the metrics of Ray's agent and dashboard on the address that the operator chose.

Both open a port that answers anybody, without a token: on loopback where the cluster is private to
its host, else on all addresses; no option of Ray names another. Python runs this module at the
start of each process that finds it on its path.
"""

from __future__ import annotations

import os
import sys

_SERVERS = ("/ray/dashboard/agent.py", "/ray/dashboard/dashboard.py")
_RAYS = ("", "0.0.0.0", "::", "127.0.0.1")  # noqa: S104 - what is replaced

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
