"""Prometheus and Alertmanager of the tests' own: on free loopback ports, ended by their pids."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from cluster.ray_start import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PROMETHEUS: Final = "prometheus"
ALERTMANAGER: Final = "prometheus-alertmanager"
LONG_S: Final = 60.0  # bound of all waits, for a slow and busy machine


def program(name: str) -> str:
    """Path of a program of Debian's packages; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (Debian: prometheus, prometheus-alertmanager)")
    return path


@dataclass
class Server:
    """A server that can be ended and started again, at the same address and with its data.

    Attributes:
        command: what runs it, its address included.
        log: file that its output goes to.
        port: its port on loopback.
        environment: variables beside those of this process, such as `SSL_CERT_FILE`.
    """

    command: Sequence[str]
    log: Path
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        assert self.process is None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        deadline = time.monotonic() + LONG_S
        while not self._is_ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as its service manager does; nothing to do if it does not run."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(LONG_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End it as a lack of power does."""
        process, self.process = self.process, None
        assert process is not None
        process.kill()
        process.wait()

    def reload(self) -> None:
        """Have it read its configuration again."""
        assert self.process is not None
        httpx.post(f"{self.url}/-/reload", trust_env=False).raise_for_status()

    def get(self, path: str, **parameters: str | list[str]) -> Any:
        """What it answers at a path of its API."""
        answer = httpx.get(f"{self.url}{path}", params=parameters, timeout=LONG_S, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def _is_ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/-/ready", trust_env=False).is_success
        return False


@contextlib.contextmanager
def alertmanager(
    directory: Path, config: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A running Alertmanager; its data and log are kept in `directory`."""
    (port,) = free_ports(1)
    command = [
        program(ALERTMANAGER),
        f"--config.file={config}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",  # it is alone
    ]
    yield from _running(Server(command, directory / "alertmanager.log", port, environment or {}))


@contextlib.contextmanager
def prometheus(directory: Path, config: Path) -> Iterator[Server]:
    """A running Prometheus; its data and log are kept in `directory`."""
    (port,) = free_ports(1)
    command = [
        program(PROMETHEUS),
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
    ]
    yield from _running(Server(command, directory / "prometheus.log", port))


def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.stop()
