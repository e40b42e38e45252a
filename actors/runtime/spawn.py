"""The only way actors are made, found and ended, and the only module here that imports Ray.

Invariants: every actor is detached, named and in the project's namespace, so Ray's own registry of
named actors lists all of them and tear-down can forget none. A process joins a cluster that is
named; it never starts one by accident, as `ray.init()` would.

An actor class gives itself `__repr__` returning its actor name (`mesh-shard-03`): Ray puts it
before every line the actor logs and shows it in the dashboard.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import ray
import ray.exceptions
from ray._private import ray_constants
from ray._raylet import (  # type: ignore[attr-defined]  # missing in Ray's stub
    Config,
    node_ip_address_from_perspective,
)
from ray.util import list_named_actors
from ray.util import metrics as ray_instruments
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from actors.runtime.errors import (
    ActorFailed,
    ActorUnavailable,
    ConfigurationError,
    Conflict,
    NotRunning,
    Unavailable,
    X0Error,
)
from actors.runtime.metrics import Definition, Metrics, check_increment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ray.actor import ActorHandle

    from actors.runtime.metrics import Counter, Gauge, Histogram

ERRANDS: Final = "errands"  # namespace of those who run them
_HEAD: Final = "node:__internal_head__"  # a resource that only the head has
_LINGER_S: Final = 1.0
_FORGOTTEN_S: Final = 60.0  # that the process of an errand waits to be asked whether it has ended
_POLL_S: Final = 0.05
_looks_in: Final[list[str]] = []  # namespace set by `work_in`; empty: the connection's
_PROBE_S: Final = 3.0  # longest wait for a head to accept a connection


def connect(address: str | None, namespace: str) -> None:
    """Join the cluster at `address` ("host:port"; None: the one of RAY_ADDRESS, as in a job).

    Joining the same cluster again is allowed.

    Raises:
        NotRunning: no cluster is named, or none answers there.
        ConfigurationError: the cluster refuses this user's token.
        Conflict: this process already works in another namespace.
    """
    if ray.is_initialized():
        joined = ray.get_runtime_context().namespace
        if joined != namespace:
            raise Conflict(
                f"namespace {namespace} cannot be joined",
                f"this process works in namespace {joined}",
                "Use one namespace a process.",
            )
        return
    address = address or os.environ.get("RAY_ADDRESS")
    if not address:
        raise NotRunning("a cluster", why="no address was given and RAY_ADDRESS is unset")
    _probe(address)
    # Ray would replace a loopback address by the host's own.
    ray_constants.ENABLE_RAY_CLUSTER = not _is_private(address)
    if "RAY_AUTH_MODE" not in os.environ:
        # Ray has read its configuration when it was imported, and reads it again only when told;
        # its own `_enable_token_auth` does it in the same way.
        os.environ["RAY_AUTH_MODE"] = "token"
        Config.initialize("")
    try:
        ray.init(
            address=address,
            namespace=namespace,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise _not_joined(address, error) from error


def work_in(namespace: str) -> None:
    """Make this process look actors up in `namespace`, whichever it was started in.

    Serve starts its replicas, and in its own namespace when the application comes from a file.
    """
    _looks_in[:] = [namespace]


def disconnect() -> None:
    """Leave the cluster; detached actors live on. Allowed when not connected."""
    ray.shutdown()


def connection() -> tuple[str, str, str]:
    """The identity of the joined connection; another value after each join.

    Raises:
        NotRunning: this process is in no cluster.
    """
    namespace = _joined_namespace(None)
    context = ray.get_runtime_context()
    # Neither is enough alone: job ids repeat between clusters, and a node outlives many jobs.
    return context.get_node_id(), context.get_job_id(), namespace


def control_address() -> str:
    """Where the control process of the joined cluster (the GCS) listens, "host:port".

    Raises:
        NotRunning: this process is in no cluster.
    """
    _joined_namespace(None)
    return str(ray.get_runtime_context().gcs_address)


def scope() -> tuple[str, str]:
    """The scope in which names of actors are unique: Ray session and namespace.

    Raises:
        NotRunning: this process is in no cluster.
    """
    namespace = _joined_namespace(None)
    return ray.get_runtime_context().get_session_name(), namespace


def hosts() -> dict[str, str]:
    """The hosts of the joined cluster: by name, the id of a living Ray node there.

    Raises:
        NotRunning: this process is in no cluster.
    """
    _joined_namespace(None)
    nodes: Any = ray.nodes  # without annotations
    alive = [node for node in nodes() if node["Alive"]]
    return {node["NodeManagerHostname"]: node["NodeID"] for node in alive}


def head() -> dict[str, str]:
    """The host of the head of the joined cluster: by name, the id of its Ray node.

    Raises:
        NotRunning: this process is in no cluster.
    """
    _joined_namespace(None)
    nodes: Any = ray.nodes  # without annotations
    found = [node for node in nodes() if node["Alive"] and _HEAD in node["Resources"]]
    return {node["NodeManagerHostname"]: node["NodeID"] for node in found}


def detached(
    cls: type,
    name: str,
    *args: object,
    max_restarts: int = -1,
    node: str | None = None,
) -> ActorHandle[Any]:
    """Make the actor `name`, or return the handle of the one that has that name.

    Returns at once: an error of the constructor appears at the first call, or in `wait_ready`.

    Args:
        cls: the class, importable in the workers.
        name: unique in the namespace of this process.
        *args: arguments of the constructor, used again at each restart.
        max_restarts: largest number of restarts; -1 for no limit.
        node: id of the Ray node that it lives on, and nowhere else; None: any.

    Raises:
        NotRunning: this process is in no cluster.
    """
    remote: Any = ray.remote(cls)  # Ray's annotations do not follow options()
    handle: ActorHandle[Any] = remote.options(
        name=name,
        namespace=_joined_namespace(None),
        lifetime="detached",
        get_if_exists=True,
        num_cpus=0,
        max_restarts=max_restarts,
        # A repeated call is the caller's decision: only it knows whether the call is idempotent.
        max_task_retries=0,
        scheduling_strategy=(
            None if node is None else NodeAffinitySchedulingStrategy(node, soft=False)
        ),
    ).remote(*args)
    return handle


def wait_ready(handles: Sequence[ActorHandle[Any]], *, timeout_s: float) -> None:
    """Wait until the constructors of all `handles` have run.

    Raises:
        Unavailable: not all were ready after `timeout_s` seconds, or one's constructor failed; the
            error repeats what the constructor raised.
    """
    _joined_namespace(None)
    try:
        ray.get([handle.__ray_ready__.remote() for handle in handles], timeout=timeout_s)
    except ray.exceptions.GetTimeoutError as error:
        raise _not_started(f"not all {len(handles)} were ready after {timeout_s:g} s") from error
    except ray.exceptions.RayError as error:
        said = [line for line in str(error).splitlines() if line.strip()]
        raise _not_started(said[-1].strip() if said else type(error).__name__) from error


class Errand:
    """A function that a process of the cluster runs, once.

    Args:
        runner: the actor that runs it.
    """

    def __init__(self, runner: ActorHandle[Any]) -> None:
        self._runner = runner
        self._reference: Any = runner.ended.remote()

    def wait(self, timeout_s: float) -> str | None:
        """Wait until it has ended; the reason of its failure, or "". None: it has not ended.

        Args:
            timeout_s: longest wait, s.
        """
        try:
            ray.get(self._reference, timeout=timeout_s)
        except ray.exceptions.GetTimeoutError:
            return None
        except ray.exceptions.RayError as error:
            said = [line for line in str(error).splitlines() if line.strip()]
            return said[-1].strip() if said else type(error).__name__
        return ""

    def end(self) -> None:
        """End its process, wherever the function is."""
        ray.kill(self._runner)


class _Errands:
    """A process that runs one function while it is made, and then ends."""

    def __init__(self, name: str, function: Callable[..., object], *args: object) -> None:
        function(*args)
        self._name = name
        threading.Timer(_FORGOTTEN_S, self._end).start()  # for one whose caller has gone

    def _end(self) -> None:
        ray.kill(ray.get_actor(self._name, namespace=ERRANDS))

    def ended(self) -> None:
        """Answer once the function has ended; the process ends a little later, when that is said.

        On a busy machine the question is heard seconds after the function has ended.
        """
        threading.Timer(_LINGER_S, self._end).start()


def run_once(function: Callable[..., object], *args: object) -> Errand:
    """Have a process of the cluster run a function, which reserves no core; return at once.

    It runs to its end, also if this process leaves the cluster before.

    Raises:
        NotRunning: this process is in no cluster.
    """
    _joined_namespace(None)
    name = f"errand-{uuid.uuid4().hex}"
    remote: Any = ray.remote(_Errands)  # Ray's annotations do not follow options()
    runner: ActorHandle[Any] = remote.options(
        name=name,
        namespace=ERRANDS,
        lifetime="detached",  # a task would end with its driver
        num_cpus=0,
        max_restarts=0,
    ).remote(name, function, *args)
    return Errand(runner)


def find(name: str, *, namespace: str | None = None) -> Any:  # noqa: ANN401 - see below
    """Handle of the living or restarting actor `name`.

    The type is Any: Ray's annotations know no methods of an actor found by name.

    Raises:
        NotRunning: this process is in no cluster, or there is no such actor.
    """
    space = _joined_namespace(namespace)
    try:
        return ray.get_actor(name, namespace=space)
    except ValueError as error:
        why = f"no actor of that name lives in namespace {space}"
        raise NotRunning(f"actor {name}", why=why) from error


def listing(namespace: str | None = None) -> tuple[str, ...]:
    """Sorted names of all actors in `namespace`, starting and restarting ones included.

    Raises:
        NotRunning: this process is in no cluster.
    """
    space = _joined_namespace(namespace)
    rows = list_named_actors(all_namespaces=True)
    return tuple(sorted(row["name"] for row in rows if row["namespace"] == space))


def tear_down(namespace: str | None = None, *, timeout_s: float = 10.0) -> tuple[str, ...]:
    """End all actors of `namespace` for good and return their names; none is fine.

    Raises:
        NotRunning: this process is in no cluster.
        Conflict: some still lived after `timeout_s` seconds. It names them.
    """
    space = _joined_namespace(namespace)
    ended: set[str] = set()
    deadline = time.monotonic() + timeout_s
    # Listed anew each time: an actor may have been making another one.
    while names := listing(space):
        if time.monotonic() > deadline:
            raise Conflict(
                f"namespace {space} is not empty",
                f"still alive after {timeout_s:g} s: {', '.join(names)}",
                "Repeat, or end the cluster with `x0 down`.",
            )
        for name in names:
            try:
                ray.kill(ray.get_actor(name, namespace=space), no_restart=True)
            except ValueError:
                continue  # the actor has ended by itself
        ended.update(names)
        time.sleep(_POLL_S)
    return tuple(sorted(ended))


def end(name: str) -> None:
    """End the actor `name` of this process's namespace for good; it may be this process.

    Raises:
        NotRunning: this process is in no cluster, or there is no such actor.
    """
    ray.kill(find(name), no_restart=True)


def cancel(answer: Any) -> None:  # noqa: ANN401 - Ray's reference, whose type is its content's
    """Make an async actor end the call behind the reference `answer`, at its next await."""
    ray.cancel(answer)


def explained(error: Exception, name: str) -> X0Error:
    """The project's error for an exception that a call of the actor `name` raised.

    A typed error that the actor raised comes back as itself, another one as `ActorFailed`, a dead
    or restarting actor as `ActorUnavailable`: whether the call ran is then unknown.
    """
    if isinstance(error, ray.exceptions.RayTaskError):  # may be an X0Error as well
        cause = error.cause
        return cause if isinstance(cause, X0Error) else ActorFailed(name, cause)
    if isinstance(error, X0Error):
        return error
    if isinstance(error, ray.exceptions.RayActorError):
        return ActorUnavailable(name)
    if isinstance(error, ray.exceptions.RayError):
        return ActorUnavailable(name, str(error).splitlines()[0])
    return ActorFailed(name, error)


def ray_metrics() -> Metrics:
    """Instruments that Ray exports to Prometheus, as `ray_` + their name."""
    return RayMetrics()


class RayMetrics(Metrics):
    """Instruments of `ray.util.metrics`; they count only in a process of a cluster."""

    def _new_counter(self, definition: Definition) -> Counter:
        return _RayCounter(definition)

    def _new_gauge(self, definition: Definition) -> Gauge:
        return _RayGauge(definition)

    def _new_histogram(self, definition: Definition) -> Histogram:
        return _RayHistogram(definition)


class _RayCounter:
    __slots__ = ("_definition", "_instrument")

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._instrument = ray_instruments.Counter(
            definition.name, definition.description, definition.labels
        )

    def inc(self, value: float = 1.0, **labels: str) -> None:
        self._definition.series(labels)
        check_increment(self._definition, value)
        if value:  # Ray refuses an increment of 0
            self._instrument.inc(value, tags=labels)


class _RayGauge:
    __slots__ = ("_definition", "_instrument")

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._instrument = ray_instruments.Gauge(
            definition.name, definition.description, definition.labels
        )

    def set(self, value: float, **labels: str) -> None:
        self._definition.series(labels)
        self._instrument.set(value, tags=labels)


class _RayHistogram:
    __slots__ = ("_definition", "_instrument")

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._instrument = ray_instruments.Histogram(
            definition.name, definition.description, list(definition.buckets), definition.labels
        )

    def observe(self, value: float, **labels: str) -> None:
        self._definition.series(labels)
        self._instrument.observe(value, tags=labels)


def _joined_namespace(namespace: str | None) -> str:
    # Ray's own functions would start a cluster here if there is none.
    if not ray.is_initialized():
        raise NotRunning(
            "a cluster",
            why="this process has joined no cluster",
            remedy="Join one first: spawn.connect(ADDRESS, NAMESPACE), as `x0 status` shows them.",
        )
    if namespace is not None:
        return namespace
    return _looks_in[0] if _looks_in else str(ray.get_runtime_context().namespace)


def _not_started(why: str) -> Unavailable:
    return Unavailable(
        "an actor did not start", why, "Its log is in the Ray dashboard.", retry_after_s=5.0
    )


def _probe(address: str) -> None:
    # Ray itself waits most of a minute for an absent head.
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=_PROBE_S):
            pass
    except ValueError:
        raise ConfigurationError(
            f"cluster address {address!r} is refused",
            "it is not of the form host:port",
            "Give the address that `x0 up` printed.",
            variable="RAY_ADDRESS",
        ) from None
    except OSError as error:
        why = f"nothing answers there ({error.strerror or error})"
        raise NotRunning(f"the cluster at {address}", why=why) from error


def _is_private(address: str) -> bool:
    """Whether a cluster on loopback, where one answers, is not on the host's own address too."""
    host, _, port = address.rpartition(":")
    if host not in {"127.0.0.1", "localhost"}:
        return False
    own = node_ip_address_from_perspective()
    if own == "127.0.0.1":  # this host has no other address
        return True
    with socket.socket() as probe:
        probe.settimeout(_PROBE_S)
        return probe.connect_ex((own, int(port))) != 0


def _not_joined(address: str, error: BaseException) -> X0Error:
    # Ray wraps the cause, sometimes as text only.
    causes: list[BaseException] = []
    step: BaseException | None = error
    while step is not None:
        causes.append(step)
        step = step.__cause__ or step.__context__
    if any("AuthenticationError" in f"{type(cause).__name__} {cause}" for cause in causes):
        return ConfigurationError(
            f"the cluster at {address} refuses this process",
            "the token of this user is not the cluster's, or authentication is off here",
            "Use the account that ran `x0 up`, with RAY_AUTH_MODE unset or `token`.",
            variable="RAY_AUTH_MODE",
        )
    return NotRunning(f"the cluster at {address}", why=str(error).splitlines()[0])
