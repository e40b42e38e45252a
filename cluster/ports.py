"""The ports of a cluster that are the same at every start, and what occupies one."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import psutil

from actors.runtime.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of a cluster; 0 means any free port.

    Attributes:
        dashboard: port of Ray's dashboard.
        metrics: port of the metrics of the node and all actors.
        dashboard_metrics: port of the metrics of the dashboard itself.
    """

    dashboard: int = 0
    metrics: int = 0
    dashboard_metrics: int = 0


def check_free(what: str, host: str, port: int, variable: str) -> None:
    """Refuse a port that cannot be listened on.

    Args:
        what: name of the program that wants the port, such as "the gateway".
        host: IPv4 address.
        port: port number; 0 is always free.
        variable: environment variable that sets the port.

    Raises:
        ConfigurationError: the port is taken (the error names by which process), or the address
            does not belong to this host.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"{what} cannot listen on {host}:{port}",
                f"{error.strerror or error}{_listener(port)}",
                f"End what listens there, or set {variable} to another port, or to 0 for a free"
                " one.",
                variable=variable,
            ) from error


def _listener(port: int) -> str:
    """The process that listens on a port, as far as this user may know it."""
    for found in psutil.net_connections("tcp"):
        if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port:
            if found.pid is None:
                return ", by a process of another user"
            try:
                name = psutil.Process(found.pid).name()
            except psutil.Error:
                break
            return f", by process {found.pid} ({name})"
    return ""
