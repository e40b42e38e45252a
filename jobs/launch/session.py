"""The life of a session as its driver sees it: launched or found, waited for, left or ended.

A session is an emulated mesh, an observed network, or both, with their companions.

Invariants: whatever fails or is interrupted on the way, all that was started is ended again; a
state directory has one session at a time; a cluster is ended only by who started it. A session
owns its namespace, so the namespace must be empty before, and is empty after.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.mesh import control
from actors.mesh.contract import COORDINATOR
from actors.mesh.errors import NoEmulatedMesh
from actors.observe import client as observer
from actors.observe import control as observer_control
from actors.observe.contract import OBSERVER
from actors.runtime import log
from actors.runtime.errors import Conflict, NotRunning, Unavailable, X0Error
from actors.runtime.state_files import ensure_directory, exclusive_lock
from actors.topology import fetch, radio_spec
from cluster.local import KEPT_LOGS, LocalCluster
from jobs.launch import companions, gateway_companion, interruption, joining, ray_head
from jobs.launch.companion import LATER, STARTER, Plan, Rest, Stage
from jobs.launch.found import FoundSession
from jobs.launch.gateway_companion import GatewayCompanion
from jobs.launch.options import mesh_options, names_of, observer_options
from jobs.launch.record import LOCK, SessionRecord, nothing_on_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from actors.mesh.contract import MeshOptions, MeshStatus
    from actors.observe.contract import ReadingSource
    from actors.runtime.flags import Flags
    from jobs.launch.companion import Companion, Wait
    from jobs.launch.readiness import Progress
    from serve_apps.settings import Settings

__all__ = ["Session", "ephemeral", "launch", "mesh_options", "running", "running_mesh"]

READY_TIMEOUT_S: Final = 180.0
_TOPOLOGY_TIMEOUT_S: Final = 180.0  # beyond every bound of a download
_ANSWER_TIMEOUT_S: Final = 10.0  # for the coordinator to answer what it knows by heart

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """A session that this process has joined.

    Attributes:
        settings: of this process, but for the namespace, which is the session's.
        record: of the session. One that was started from another state directory has a record that
            is on no disk.
        options: what its emulated mesh was started with; None: it has none.
        cluster: the cluster, if it was started for this session and ends with it.
        waits: what waits for the companions that this process has started.
        rest: companions that are still to be started, see `follow`.
    """

    settings: Settings
    record: SessionRecord
    options: MeshOptions | None
    cluster: LocalCluster | None = None
    waits: tuple[Wait, ...] = ()
    rest: Rest | None = None

    @property
    def gateway_url(self) -> str:
        """Where the HTTP gateway answers, or ""."""
        return self.record.gateway_url

    @property
    def mesh(self) -> MeshOptions:
        """What its emulated mesh was started with.

        Raises:
            NoEmulatedMesh: it has none.
        """
        if self.options is None:
            raise NoEmulatedMesh
        return self.options

    async def status(self) -> MeshStatus:
        """How the emulated mesh is.

        Raises:
            Unavailable: the mesh has ended, or its coordinator is restarting.
        """
        return await control.coordinator().status()

    async def wait_ready(
        self, progress: Progress | None = None, timeout_s: float = READY_TIMEOUT_S
    ) -> MeshStatus:
        """Wait until the mesh is ready (see `readiness`).

        Args:
            progress: is told what is waited for, whenever that changes.
            timeout_s: for all but the wait for neighbours, which comes on top.

        Raises:
            Unavailable: it is not ready in time; the error says what is missing.
        """
        from jobs.launch import readiness

        tell = progress or _silence
        status = await readiness.wait(self.status, tell, self.mesh.shard.host.hold_s, timeout_s)
        for wait in self.waits:
            await asyncio.to_thread(wait, tell)
        return status

    async def found(self) -> FoundSession:
        """How the session and its companions are, asked of the actors.

        Raises:
            Unavailable: it has ended, or an actor of it is restarting.
        """
        from serve_apps import operations

        state = await operations.session_state(self.record.networks)
        if self.rest is not None:
            state["actors"][STARTER] = {"state": "starting", "why": self.rest.why}
        return FoundSession(self.record, self.settings.state_dir, state)

    def follow(self) -> Session:
        """Have the companions started that nobody waits for; they start also if this process ends.

        Returns:
            The session as it then is.
        """
        if self.rest is None:
            return self
        from actors.runtime import spawn
        from jobs.launch.starter import StarterActor

        spawn.detached(StarterActor, STARTER, self.rest)
        return replace(self, rest=None)

    def close(self) -> None:
        """Leave the session to itself: disconnect this process."""
        joining.leave()

    def end(self, *, keep_logs: Path | None = None) -> None:
        """End it and what was started for it; its journals stay. Again: nothing happens.

        Args:
            keep_logs: state directory to keep the logs of its cluster in, after a failure.

        Raises:
            Conflict: something does not end; the error says what.
            Unavailable: the cluster, which is another's, does not answer.
        """
        from actors.runtime import spawn

        if self.cluster is not None:
            spawn.disconnect()
            self.cluster.stop(
                keep_logs=keep_logs
            )  # and its actors with it, even if Ray no longer answers
            ray_head.remove_targets(self.settings)
        else:
            spawn.connect(self.record.address, self.settings.namespace)
            spawn.tear_down(self.settings.namespace)
            spawn.disconnect()
        self.record.remove(self.settings.state_dir)


def launch(
    settings: Settings,
    flags: Flags,
    *,
    progress: Progress | None = None,
    beside: bool = False,
    emulate: bool = True,
    observe: Sequence[ReadingSource] = (),
) -> Session:
    """Start a session, and a cluster for it unless RAY_ADDRESS names one.

    Returns when the emulated mesh is agreed; its nodes then are starting to speak, and
    `Session.wait_ready` waits for the routes. Without a mesh, returns when the twin can be asked;
    `Session.follow` then has the other companions started.

    Args:
        settings: what to start it with.
        flags: those of the mesh.
        progress: is told what is being done.
        beside: start the companions too (see `companions`); none of them under MINIMAL.
        emulate: start a mesh.
        observe: sources of the network to observe; with a mesh, it is one of that network.

    Raises:
        Conflict: a session runs from this state directory or in this namespace.
        TopologyError: the topology cannot be used.
        ConfigurationError: a setting cannot be used.
        Unavailable: Ray did not start, or does not answer, or nothing can be observed.
        Interrupted: by a signal; nothing is left.
    """
    tell = progress or _silence
    address = os.environ.get("RAY_ADDRESS")
    plan = Plan(
        settings,
        mesh_options(settings, flags, observe) if emulate else None,
        own_cluster=not address,
        observer=observer_options(settings, flags, observe) if observe else None,
    )
    chosen = companions.wanted(plan, minimal=flags.minimal) if beside else ()
    ensure_directory(settings.state_dir)
    with interruption.guarded(), exclusive_lock(settings.state_dir / LOCK):
        _refuse_second(settings)
        _check_source(plan)
        plan = companions.prepared(plan, chosen)
        cluster, own = None, None
        if not address:
            tell("starting Ray")
            # Ray's dashboard costs a second and 200 MB: it is for whoever runs a mesh.
            own = ray_head.options(settings, dashboard=emulate and not flags.minimal)
            with _loading(chosen):
                cluster = LocalCluster.start(settings.state_dir, own)
            address = cluster.address
        session = None
        try:
            session = _registered(plan, address, cluster, chosen)
            if own is not None:
                ray_head.write_targets(settings, own, session.record.gateway_url)
            waits, rest = _populated(plan, chosen, tell)
            session = replace(session, waits=waits, rest=rest)
            return session if plan.mesh is None else session.follow()
        except BaseException as error:
            keep = settings.state_dir if is_failure(error) else None
            if session is not None:
                session.end(keep_logs=keep)
            else:
                joining.leave()
                if cluster is not None:
                    cluster.stop(keep_logs=keep)
            raise


@contextlib.contextmanager
def _loading(chosen: tuple[Companion, ...]) -> Iterator[None]:
    """Import Ray and the classes of actors in a thread, while this block waits for a process."""

    def load() -> None:
        from actors.runtime import spawn  # noqa: F401 - it imports Ray

        for companion in chosen:
            companion.load()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def _registered(
    plan: Plan, address: str, cluster: LocalCluster | None, chosen: tuple[Companion, ...]
) -> Session:
    """Join the cluster and put the session on record, before its first actor.

    Args:
        plan: the session.
        address: of the Ray cluster.
        cluster: the cluster, if it is the session's own.
        chosen: its companions.

    Raises:
        Conflict: the namespace is taken.
    """
    from actors.runtime import spawn

    settings = plan.settings
    joining.join(address, settings.namespace)
    if present := spawn.listing():
        raise Conflict(
            f"namespace {settings.namespace} of the cluster at {address} is taken",
            f"it has actors that were not started from {settings.state_dir}: {', '.join(present)}",
            "Use another X0TTA6BL4_NAMESPACE, or `x0 down` where they were started.",
        )
    if plan.mesh is not None:
        ensure_directory(plan.mesh.shard.directory)
    record = SessionRecord(
        address=address,
        dashboard_url=cluster.dashboard_url if cluster else joining.dashboard_url(),
        namespace=settings.namespace,
        own_cluster=cluster is not None,
        source=_source(plan.mesh),
        pid=os.getpid(),
        started_at=time.time(),
        gateway_url=_gateway_url(plan, chosen),
        logs=str(cluster.logs) if cluster else "",
        observed=names_of(plan.observer.sources) if plan.observer else "",
        poll_s=settings.observe_poll_s,
        session=spawn.scope()[0],
        companions=", ".join(each.name for each in chosen),
    )
    session = Session(settings, record, plan.mesh, cluster)
    try:
        record.save(settings.state_dir)
    except BaseException:
        session.end()
        raise
    return session


def _populated(
    plan: Plan, chosen: tuple[Companion, ...], tell: Progress
) -> tuple[tuple[Wait, ...], Rest | None]:
    """Start what is planned, in the order in which one needs the other.

    Returns:
        What is to wait for, and what is left to the starter: with a mesh, what takes seconds that
        nobody waits for; without one, all that an answer of the twin does not need and would be
        delayed by.

    Raises:
        X0Error: what kept it from starting.
    """
    if plan.observer is not None:
        tell("starting the observer")
    if plan.mesh is None:  # the twin can load while the observer asks its sources
        _await_all(_started(chosen, plan, Stage.FIRST) + _started(chosen, plan, Stage.LATE), tell)
        _check_observed()
        return (), Rest.of(plan, [each for each in chosen if each.stage in LATER])
    _await_all(_started(chosen, plan, Stage.FIRST), tell)
    if plan.observer is not None:
        _check_observed()
    tell("starting the mesh")
    from actors.mesh.coordinator import MeshCoordinator
    from actors.runtime import spawn

    spawn.detached(MeshCoordinator, COORDINATOR, plan.mesh)
    waits = _started(chosen, plan, Stage.BESIDE)
    joining.ask(lambda mesh: mesh.membership(), _TOPOLOGY_TIMEOUT_S)
    waits += _started(chosen, plan, Stage.LATE)
    waits += _started(chosen, plan, Stage.LAST)
    return waits, Rest.of(plan, [each for each in chosen if each.stage is Stage.BEHIND])


def _check_observed() -> None:
    """Refuse to go on with nothing.

    Raises:
        Unavailable: no source has ever told anything.
    """
    states = joining.wait_for(observer.sources)
    if any(state.good_at is not None for state in states):
        return
    if joining.wait_for(observer.network).nodes:
        return  # as it was known when it was last observed
    raise Unavailable(
        "nothing can be observed",
        "; ".join(f"{state.name}: {state.why or state.state}" for state in states),
        "`x0 source test KIND:WHERE` says what is read there, and what is not; a map is held that"
        " has a larger share of odd records than X0TTA6BL4_OBSERVE_ODD_SHARE.",
        retry_after_s=60.0,
    )


def _started(chosen: tuple[Companion, ...], plan: Plan, stage: Stage) -> tuple[Wait, ...]:
    """Start those companions that start at this stage; what waits for them."""
    waits = [each.start(plan) for each in chosen if each.stage is stage]
    return tuple(wait for wait in waits if wait is not None)


def _await_all(waits: tuple[Wait, ...], tell: Progress) -> None:
    for wait in waits:
        wait(tell)


def _source(mesh: MeshOptions | None) -> str:
    """Where an emulated mesh is from, without credentials; "" without one."""
    if mesh is None:
        return ""
    return mesh.topology if mesh.observed is not None else fetch.shown(mesh.topology)


def _gateway_url(plan: Plan, chosen: tuple[Companion, ...]) -> str:
    has_gateway = any(isinstance(each, GatewayCompanion) for each in chosen)
    return gateway_companion.url(plan.settings) if has_gateway else ""


def running(settings: Settings) -> Session:
    """Join the session that runs: that of RAY_ADDRESS and the namespace, or the one on record.

    Raises:
        NotRunning: there is none. The record of one that is gone is cleared.
    """
    named = os.environ.get("RAY_ADDRESS")
    record = _on_record(settings, named)
    if record is None and not named:
        raise nothing_on_record(settings.state_dir)
    cluster = None
    if record is not None and not named:
        settings = settings.model_copy(update={"namespace": record.namespace})
        cluster = _own_cluster(settings, record)
    options = _joined(settings, record, named or "")
    if record is None:
        record = _unrecorded(settings, named or "", options)
    elif named:  # who joins by address ends actors, not the cluster on record
        record = replace(record, own_cluster=False)
    return Session(settings, record, options, cluster)


def running_mesh(settings: Settings) -> Session:
    """As `running`, for whoever needs an emulated mesh.

    Raises:
        NotRunning: no session runs.
        NoEmulatedMesh: one runs that only observes.
    """
    session = running(settings)
    if session.options is None:
        session.close()
        raise NoEmulatedMesh
    return session


def _own_cluster(settings: Settings, record: SessionRecord) -> LocalCluster | None:
    """The cluster that was started for the mesh, if one was."""
    if not record.own_cluster:
        return None
    cluster = LocalCluster.recorded(settings.state_dir)
    same = cluster is not None and cluster.address == record.address
    if why := cluster.dead() if cluster is not None and same else "its Ray cluster has ended":
        LocalCluster.load(settings.state_dir)  # ends what is left of it, and keeps the logs
        raise _gone(settings, record, why)
    return cluster


def _joined(settings: Settings, record: SessionRecord | None, named: str) -> MeshOptions | None:
    """Join the cluster on record, else the named one; the options of its mesh, if it has one."""
    try:
        joining.join(record.address if record is not None else named, settings.namespace)
        return _mesh_there(record)
    except NotRunning as error:
        joining.leave()
        if record is None or record.own_cluster:
            raise  # nothing on record, or a cluster that `x0 down` has yet to end
        raise _gone(settings, record, error.why) from error
    except BaseException:
        joining.leave()
        raise


def _mesh_there(record: SessionRecord | None) -> MeshOptions | None:
    """Ask the mesh of the session for its options; None: it only observes.

    Raises:
        NotRunning: it does neither.
    """
    observes = record is not None and not record.source
    if not observes:
        try:
            return joining.ask(lambda mesh: mesh.options(), _ANSWER_TIMEOUT_S)
        except NotRunning:
            if record is not None:
                raise
    joining.wait_for(observer_control.health)
    return None


def _unrecorded(settings: Settings, address: str, options: MeshOptions | None) -> SessionRecord:
    """What can be told of a session that was started from another state directory."""
    from actors.runtime import spawn

    names = spawn.listing()
    observed = joining.wait_for(observer.sources) if OBSERVER in names else ()
    return SessionRecord(
        address=address,
        dashboard_url=joining.dashboard_url(),
        namespace=settings.namespace,
        own_cluster=False,
        source=_source(options),
        pid=0,
        started_at=0.0,
        observed=", ".join(state.name for state in observed),
    )


@contextlib.contextmanager
def ephemeral(
    settings: Settings, flags: Flags, *, progress: Progress | None = None, beside: bool = False
) -> Iterator[Session]:
    """An emulated mesh of one's own for the length of a block, of which nothing is left after it.

    `beside` is as in `launch`.

    Raises:
        Interrupted: by a signal, and what `launch` raises.
    """
    with interruption.guarded():
        state_dir = Path(tempfile.mkdtemp(prefix="x0-state-"))
        namespace = f"{settings.namespace[:40]}-{uuid.uuid4().hex[:12]}"
        private = ray_head.any_ports(settings).model_copy(
            update={"state_dir": state_dir, "namespace": namespace}
        )
        try:
            session = launch(private, flags, progress=progress, beside=beside)
            try:
                yield session
            except BaseException as error:
                session.end(keep_logs=settings.state_dir if is_failure(error) else None)
                raise
            session.end()
        finally:
            shutil.rmtree(state_dir)


def is_failure(error: BaseException) -> bool:
    """Whether a mesh that ends by this error ends by a fault, about which its logs may tell.

    Not by a signal, nor by what was wrong with a request.
    """
    return isinstance(error, Unavailable) or not isinstance(error, X0Error | KeyboardInterrupt)


def _refuse_second(settings: Settings) -> None:
    try:
        session = running(settings)
    except NotRunning:
        return  # a record of one that is gone has been cleared
    session.close()
    raise Conflict(
        "a mesh is already running" if session.options else "a network is already observed",
        f"it was started from {settings.state_dir}, on the cluster at {session.record.address}",
        "Use it, or end it first with `x0 down`.",
    )


def _check_source(plan: Plan) -> None:
    """Refuse what is cheap to refuse before seconds are spent on a cluster.

    The mesh reads the topology by itself; a URL is left to it, and so is an observed network.
    """
    options = plan.mesh
    if options is None or options.observed is not None:
        return
    if options.topology.startswith(radio_spec.PREFIX):
        radio_spec.parse(options.topology)
    elif not fetch.is_url(options.topology):
        from actors.topology import source

        source.read(
            options.topology,
            vpn=options.vpn,
            all_components=options.all_components,
            quality=options.quality,
        )


def _gone(settings: Settings, record: SessionRecord, why: str) -> NotRunning:
    _log.warning("cleared the record of a session that is gone", address=record.address, why=why)
    record.remove(settings.state_dir)
    again = "`x0 up`" if record.source else "`x0 watch`"
    logs = f", and its logs in {settings.state_dir / KEPT_LOGS}" if record.own_cluster else ""
    return NotRunning(
        "the session",
        why=f"that of {', '.join(record.what.values())} is gone: {why}",
        remedy=f"Start it again with {again}; what was accepted or known is kept{logs}. A service"
        " manager does it by itself, see the README.",
    )


def _on_record(settings: Settings, address: str | None) -> SessionRecord | None:
    """What was started from the state directory, unless `address` and namespace are of another."""
    record = SessionRecord.load(settings.state_dir)
    if record is None or not address:
        return record
    same = (record.address, record.namespace) == (address, settings.namespace)
    return record if same else None


def _silence(_text: str) -> None:
    """Tell nobody."""
