"""One start of a head (the program `cluster.head`): its options, its environment, and its output.

Ray is not imported: the caller stays a small process that starts at once.

Security: token authentication (see `token`), files under umask 077, no Ray Client server, no secret
of one part in the environment of all, and every port on loopback, those of gRPC included; metrics
where the operator wants them (see `process_start`). Ray 2.60 replaces a loopback address by the
host's own and then listens on all, unless it is told that this host forms no cluster with others:
see `ONE_HOST`, which each process that joins needs too (`spawn.connect` sets it).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import sysconfig
from dataclasses import dataclass, field
from importlib.util import cache_from_source, find_spec
from pathlib import Path
from typing import Final

from actors.runtime.errors import ConfigurationError, Unavailable
from cluster import ingress
from cluster.ports import Ports

OBJECT_STORE_BYTES: Final = 512 * 2**20  # modest: the mesh sends batches, not large objects
_OUTPUT: Final = "ray-start.out"
DASHBOARD: Final = "dashboard: "  # begins the line by which `head` says its URL
# Of Ray's agents: metrics from actors, metrics for Prometheus, HTTP, and that of environments. All
# are chosen here: the raylet waits for an agent that chooses, and dies if that takes it 15 s.
_AGENT_PORTS: Final = 4
_SAID_AT_END: Final = 2000  # characters of a failed command's output that an error repeats
_SERVE_PORTS: Final = (
    "RAY_SERVE_HAPROXY_STATS_PORT",
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)
_PORTS: Final = range(20_000, 30_000)  # where neither Linux nor Serve picks ports (ip(7), 30000 on)
# Made for laptops with firewalls: 0 makes 127.0.0.1 the address of this node. To let nodes of other
# hosts join, set it to 1; then only the token guards the ports.
ONE_HOST: Final = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
_AROUND_REQUESTS: Final = "serve_apps.web.turnstile.middlewares"
_FOREIGN: Final = ("RAY_ADDRESS", "RAY_NAMESPACE", "RAY_TMPDIR")  # they point to other clusters


@dataclass(frozen=True, slots=True)
class StartingHead:
    """A running `cluster.head`. All processes that it starts are in the session `session`."""

    command: subprocess.Popen[bytes]
    temp_dir: Path
    dashboard: bool

    @property
    def session(self) -> int:
        """Session id, setsid(2); it outlives the command."""
        return self.command.pid

    def wait(self, *, timeout_s: float) -> tuple[str, str]:
        """Wait until the head takes drivers.

        Returns:
            Its address "host:port", and the URL of its dashboard or "".

        Raises:
            Unavailable: the start failed or took too long; the error repeats its output.
        """
        try:
            code = self.command.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            raise self._failed(f"it was not ready after {timeout_s:g} s") from None
        if code != 0:
            raise self._failed(f"its start ended with code {code}")
        return self._address(), self._dashboard_url() if self.dashboard else ""

    def _address(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            if address := (self.temp_dir / "ray_current_cluster").read_text().strip():
                return address
        raise self._failed("it left no address")

    def _dashboard_url(self) -> str:
        match = re.search(rf"^{DASHBOARD}(http://\S+)$", self._said(), re.MULTILINE)
        if match is None:
            raise self._failed("it gave no address of a dashboard")
        return match[1]

    def _said(self) -> str:
        return (self.temp_dir / _OUTPUT).read_text(errors="replace")

    def _failed(self, why: str) -> Unavailable:
        return Unavailable(
            "the Ray cluster did not start",
            f"{why}; it said: {self._said().strip()[-_SAID_AT_END:] or 'nothing'}",
            f"Check free memory and /dev/shm, and that {sys.executable} has ray installed.",
            retry_after_s=5.0,
        )


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """The options of a head.

    Attributes:
        num_cpus: number of cores that Ray may schedule; None for all.
        dashboard: whether to run the dashboard, also needed by `ray job submit` and the state API.
        object_store_bytes: shared memory for objects, bytes.
        ports: ports that the head listens on.
        metrics_host: IPv4 address that its metrics, which anybody may read, listen on.
        without: names of environment variables that its processes must not have.
    """

    num_cpus: int | None = None
    dashboard: bool = True
    object_store_bytes: int = OBJECT_STORE_BYTES
    ports: Ports = field(default_factory=Ports)
    metrics_host: str = "127.0.0.1"
    without: tuple[str, ...] = ()


def launch(temp_dir: Path, options: HeadOptions) -> StartingHead:
    """Start a head and return at once.

    Args:
        temp_dir: existing directory for this cluster alone.
        options: options of the head.

    Raises:
        ConfigurationError: Ray is not installed beside this Python.
    """
    _check_installed()
    metrics, exported, listening, environments = free_ports(_AGENT_PORTS)
    told = {
        "dashboard": options.dashboard,
        "dashboard_port": options.ports.dashboard,
        "num_cpus": options.num_cpus,
        "object_store_bytes": options.object_store_bytes,
        "metrics_port": options.ports.metrics or exported,
        "agent_ports": (metrics, listening, environments),
    }
    arguments = [sys.executable, "-m", "cluster.head", str(temp_dir), json.dumps(told)]
    with (temp_dir / _OUTPUT).open("wb") as said:
        # A file and not a pipe: the daemons inherit it, and would hold a pipe open for ever.
        # A session of its own: Ctrl-C reaches only the caller, which ends this in order.
        command = subprocess.Popen(  # noqa: S603 - our own program, no shell
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=_environment(temp_dir, options),
            cwd=temp_dir,
            umask=0o077,
            start_new_session=True,
        )
    return StartingHead(command, temp_dir, options.dashboard)


def _check_installed() -> None:
    if find_spec("ray") is None:
        raise ConfigurationError(
            "Ray cannot be started",
            f"{sys.executable} has no package `ray`",
            "Run `make setup`, and start with the Python of its .venv.",
            variable="PATH",
        )


def _environment(temp_dir: Path, options: HeadOptions) -> dict[str, str]:
    environment = dict(os.environ)
    for name in (*_FOREIGN, *options.without):
        environment.pop(name, None)
    environment["X0_METRICS_HOST"] = options.metrics_host
    # Ray's default is one fixed port, which a second cluster would not get.
    metrics_port = options.ports.dashboard_metrics or free_ports(1)[0]
    environment["DASHBOARD_METRIC_PORT"] = str(metrics_port)
    # So that `ray job submit -- python -m jobs.NAME` finds the Python that has the project.
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]
    )
    environment.setdefault("RAY_AUTH_MODE", "token")
    environment.setdefault(ONE_HOST, "0")
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    # Callers learn of an actor's death when it is known, not a second later: a take-over then
    # comes before the restart.
    environment.setdefault("RAY_timeout_ms_task_wait_for_death_info", "50")
    # Ray gives its workers a priority so low that a shard, or a replica of Serve, waits up to a
    # tenth of a second for a processor whenever one of Ray's own processes is busy.
    environment.setdefault("RAY_worker_niceness", "0")
    # Since 2.50 Ray announces a change of how it hides GPUs from actors that ask for none.
    environment.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    here = Path(__file__).resolve().parent
    paths = [str(here / "process_start")]
    if here.parent != Path(sysconfig.get_path("purelib")).resolve():
        paths.append(
            str(here.parent)
        )  # workers import the code that started them, installed or not
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [*paths, environment.get("PYTHONPATH", "")])
    )
    _cache_bytecode(environment)
    _serve(environment, temp_dir.parent / "h")
    return environment


def _serve(environment: dict[str, str], directory: Path) -> None:
    """Set how Ray Serve answers HTTP on this cluster, if it is started there.

    HAProxy takes five times the requests of Ray's own proxy. Its files go where the cluster's go
    (sockets of it have long names, and 107 bytes are the limit), and each cluster has ports of its
    own for what Serve would put on fixed ones.
    """
    environment.setdefault("RAY_SERVE_ENABLE_HA_PROXY", "1")
    environment.setdefault("RAY_SERVE_THROUGHPUT_OPTIMIZED", "1")
    environment["RAY_SERVE_HAPROXY_CONFIG_FILE_LOC"] = str(directory / "haproxy.cfg")
    environment["RAY_SERVE_HAPROXY_SOCKET_PATH"] = str(directory / "admin.sock")
    environment["RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH"] = str(directory / "metrics.sock")
    environment["RAY_SERVE_HAPROXY_SERVER_STATE_BASE"] = str(directory)
    environment["RAY_SERVE_HAPROXY_SERVER_STATE_FILE"] = str(directory / "server-state")
    environment.setdefault("RAY_SERVE_HAPROXY_NBTHREAD", "2")
    # How long a connection may be silent in the midst of a request or an answer: longer than any
    # stream of the gateway is. An hour by Serve's default; `ingress` bounds the head of a request.
    environment.setdefault("RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S", "60")
    # HAProxy is started anew after three such checks in a row have failed: 30 s by Serve's default.
    environment.setdefault("RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S", "2")
    environment.setdefault("RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH", _AROUND_REQUESTS)
    program = Path(sysconfig.get_path("scripts")) / ingress.PROGRAM
    if program.exists():  # absent where the project is not installed
        environment.setdefault(ingress.CHOICE, str(program))
    for name, port in zip(_SERVE_PORTS, free_ports(len(_SERVE_PORTS)), strict=True):
        environment.setdefault(name, str(port))


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on now.

    None is in the range from which the kernel picks: Ray asks for such ports for most of its
    processes, and the processes that get a port here listen only seconds later.

    Raises:
        Unavailable: too few are free.
    """
    found: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(_PORTS, len(_PORTS)):
            each = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                each.bind(("", port))
                found.append(port)
            if len(found) == count:
                return found
    raise Unavailable(
        "no port is free",
        f"{count} are needed, of {_PORTS.start} to {_PORTS.stop - 1}",
        "End what listens on them: `ss -tlnp` shows it.",
        retry_after_s=5.0,
    )


def _cache_bytecode(environment: dict[str, str]) -> None:
    # Under PYTHONDONTWRITEBYTECODE with nothing compiled, each of Ray's processes compiles Ray
    # anew: 12 to 16 s to start instead of 5, and seconds more for each actor. The wish is that no
    # files appear beside the sources, and a cache elsewhere respects it.
    spec = find_spec("ray")
    if spec is None or spec.origin is None or not environment.get("PYTHONDONTWRITEBYTECODE"):
        return
    if Path(cache_from_source(spec.origin)).exists():
        return
    home = Path(environment.get("XDG_CACHE_HOME", ""))
    cache = (home if home.is_absolute() else Path.home() / ".cache") / "x0tta6bl4" / "pycache"
    environment.pop("PYTHONDONTWRITEBYTECODE")
    environment.setdefault("PYTHONPYCACHEPREFIX", str(cache))
