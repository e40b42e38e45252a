"""The life of a mesh as its driver sees it: launched or found, waited for, left or ended.

Invariants: whatever fails or is interrupted on the way, all that was started is ended again; a
state directory has one mesh at a time; a cluster is ended only by who started it. A mesh owns its
namespace, so the namespace must be empty before, and is empty after.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.mesh import control
from actors.mesh.contract import COORDINATOR, MeshOptions
from actors.mesh.coordinator import MeshCoordinator
from actors.runtime import log, spawn
from actors.runtime.errors import Conflict, NotRunning, Unavailable, X0Error
from actors.runtime.state_files import ensure_directory, exclusive_lock
from actors.topology import fetch, radio, source
from cluster.local import LocalCluster
from jobs.launch import companions, gateway_companion, interruption, joining, ray_head, readiness
from jobs.launch.companion import Plan
from jobs.launch.found import FoundMesh
from jobs.launch.gateway_companion import GatewayCompanion
from jobs.launch.options import mesh_options
from jobs.launch.record import LOCK, MeshRecord
from serve_apps import operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from actors.mesh.contract import MeshStatus
    from actors.runtime.flags import Flags
    from jobs.launch.companion import Companion, Wait
    from jobs.launch.readiness import Progress
    from serve_apps.settings import Settings

__all__ = ["Session", "ephemeral", "launch", "mesh_options", "running"]

READY_TIMEOUT_S: Final = 60.0
_TOPOLOGY_TIMEOUT_S: Final = 180.0  # beyond every bound of a download
_ANSWER_TIMEOUT_S: Final = 10.0  # for the coordinator to answer what it knows by heart

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """A mesh that this process has joined.

    Attributes:
        settings: of this process, but for the namespace, which is the mesh's.
        record: of the mesh. One that was started from another state directory has a record that
            is on no disk.
        options: what the mesh was started with.
        cluster: the cluster, if it was started for this mesh and ends with it.
        waits: what waits for the companions that this process has started.
    """

    settings: Settings
    record: MeshRecord
    options: MeshOptions
    cluster: LocalCluster | None = None
    waits: tuple[Wait, ...] = ()

    @property
    def gateway_url(self) -> str:
        """Where the HTTP gateway answers, or ""."""
        return self.record.gateway_url

    async def status(self) -> MeshStatus:
        """How the mesh is.

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
        tell = progress or _silence
        status = await readiness.wait(self.status, tell, self.options.shard.host.hold_s, timeout_s)
        for wait in self.waits:
            await asyncio.to_thread(wait, tell)
        return status

    async def found(self) -> FoundMesh:
        """How the mesh and its companions are, asked of the actors.

        Raises:
            Unavailable: the mesh has ended, or its coordinator is restarting.
        """
        return FoundMesh(self.record, self.settings.state_dir, await operations.mesh_state())

    def close(self) -> None:
        """Leave the mesh to itself: disconnect this process."""
        spawn.disconnect()

    def end(self, *, keep_logs: Path | None = None) -> None:
        """End the mesh and what was started for it; its journals stay. Again: nothing happens.

        Args:
            keep_logs: state directory to keep the logs of its cluster in, after a failure.

        Raises:
            Conflict: something does not end; the error says what.
            Unavailable: the cluster, which is another's, does not answer.
        """
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
    settings: Settings, flags: Flags, *, progress: Progress | None = None, beside: bool = False
) -> Session:
    """Start a mesh, and a cluster for it unless RAY_ADDRESS names one; return when it is agreed.

    Nodes then are starting to speak: `Session.wait_ready` waits for the routes. With `beside`, the
    companions of a mesh are started too (see `companions`); none of them under MINIMAL.

    Raises:
        Conflict: a mesh runs from this state directory or in this namespace.
        TopologyError: the topology cannot be used.
        ConfigurationError: a setting cannot be used.
        Unavailable: Ray did not start, or does not answer.
        Interrupted: by a signal; nothing is left.
    """
    tell = progress or _silence
    address = os.environ.get("RAY_ADDRESS")
    plan = Plan(settings, mesh_options(settings, flags), own_cluster=not address)
    chosen = companions.wanted(plan, minimal=flags.minimal) if beside else ()
    ensure_directory(settings.state_dir)
    with interruption.guarded(), exclusive_lock(settings.state_dir / LOCK):
        _refuse_second(settings)
        _check_source(plan.options)
        plan = companions.prepared(plan, chosen)
        cluster, own = None, None
        if not address:
            tell("starting Ray")
            own = ray_head.options(settings, dashboard=not flags.minimal)
            cluster = LocalCluster.start(settings.state_dir, own)
            address = cluster.address
        session = None
        try:
            tell("starting the mesh")
            session = _populate(plan, address, cluster, chosen)
            if own is not None:
                ray_head.write_targets(settings, own, session.record.gateway_url)
            joining.ask(lambda mesh: mesh.membership(), _TOPOLOGY_TIMEOUT_S)
            return replace(session, waits=session.waits + _started(chosen, plan, late=True))
        except BaseException as error:
            keep = settings.state_dir if is_failure(error) else None
            if session is not None:
                session.end(keep_logs=keep)
            else:
                spawn.disconnect()
                if cluster is not None:
                    cluster.stop(keep_logs=keep)
            raise


def _populate(
    plan: Plan, address: str, cluster: LocalCluster | None, chosen: tuple[Companion, ...]
) -> Session:
    """Create the coordinator, which creates the shards, and the companions that need not wait.

    Args:
        plan: the mesh.
        address: of the Ray cluster.
        cluster: the cluster, if it is the mesh's own.
        chosen: its companions.

    Raises:
        Conflict: the namespace is taken.
    """
    settings = plan.settings
    joining.join(address, settings.namespace)
    if present := spawn.listing():
        raise Conflict(
            f"namespace {settings.namespace} of the cluster at {address} is taken",
            f"it has actors that were not started from {settings.state_dir}: {', '.join(present)}",
            "Use another X0TTA6BL4_NAMESPACE, or `x0 down` where they were started.",
        )
    ensure_directory(plan.options.shard.directory)
    record = MeshRecord(
        address=address,
        dashboard_url=cluster.dashboard_url if cluster else joining.dashboard_url(),
        namespace=settings.namespace,
        own_cluster=cluster is not None,
        source=fetch.shown(plan.options.topology),
        pid=os.getpid(),
        started_at=time.time(),
        gateway_url=_gateway_url(plan, chosen),
        logs=str(cluster.logs) if cluster else "",
    )
    session = Session(settings, record, plan.options, cluster)
    try:
        record.save(settings.state_dir)
        spawn.detached(MeshCoordinator, COORDINATOR, plan.options)
        return replace(session, waits=_started(chosen, plan, late=False))
    except BaseException as error:
        session.end(keep_logs=settings.state_dir if is_failure(error) else None)
        raise


def _started(chosen: tuple[Companion, ...], plan: Plan, *, late: bool) -> tuple[Wait, ...]:
    """Start those companions that start now; what waits for them."""
    waits = [each.start(plan) for each in chosen if each.late == late]
    return tuple(wait for wait in waits if wait is not None)


def _gateway_url(plan: Plan, chosen: tuple[Companion, ...]) -> str:
    has_gateway = any(isinstance(each, GatewayCompanion) for each in chosen)
    return gateway_companion.url(plan.settings) if has_gateway else ""


def running(settings: Settings) -> Session:
    """Join the mesh that runs: that of RAY_ADDRESS and the namespace, or the one on record.

    Raises:
        NotRunning: there is none. The record of one that is gone is cleared.
    """
    named = os.environ.get("RAY_ADDRESS")
    record = _on_record(settings, named)
    if record is None and not named:
        why = f"{settings.state_dir} (X0TTA6BL4_STATE_DIR) has no mesh on record"
        raise NotRunning("mesh", why=why, remedy="Start one with `x0 up`.")
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


def _own_cluster(settings: Settings, record: MeshRecord) -> LocalCluster | None:
    """The cluster that was started for the mesh, if one was."""
    if not record.own_cluster:
        return None
    cluster = LocalCluster.load(settings.state_dir)
    if cluster is None or cluster.address != record.address:
        raise _gone(settings, record, "its cluster has ended")
    return cluster


def _joined(settings: Settings, record: MeshRecord | None, named: str) -> MeshOptions:
    """Join the cluster on record, else the named one, and ask its mesh for its options."""
    try:
        joining.join(record.address if record is not None else named, settings.namespace)
        return joining.ask(lambda mesh: mesh.options(), _ANSWER_TIMEOUT_S)
    except NotRunning as error:
        spawn.disconnect()
        if record is None or record.own_cluster:
            raise  # nothing on record, or a cluster that `x0 down` has yet to end
        raise _gone(settings, record, error.why) from error
    except BaseException:
        spawn.disconnect()
        raise


def _unrecorded(settings: Settings, address: str, options: MeshOptions) -> MeshRecord:
    """What can be told of a mesh that was started from another state directory."""
    return MeshRecord(
        address=address,
        dashboard_url=joining.dashboard_url(),
        namespace=settings.namespace,
        own_cluster=False,
        source=fetch.shown(options.topology),
        pid=0,
        started_at=0.0,
    )


@contextlib.contextmanager
def ephemeral(
    settings: Settings, flags: Flags, *, progress: Progress | None = None, beside: bool = False
) -> Iterator[Session]:
    """A mesh of one's own for the length of a block, of which nothing is left after it.

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
        "a mesh is already running",
        f"it was started from {settings.state_dir}, on the cluster at {session.record.address}",
        "Use it, or end it first with `x0 down`.",
    )


def _check_source(options: MeshOptions) -> None:
    """Refuse what is cheap to refuse before seconds are spent on a cluster.

    The mesh reads the topology by itself; a URL is left to it.
    """
    if options.topology.startswith(radio.PREFIX):
        radio.parse(options.topology)
    elif not fetch.is_url(options.topology):
        source.read(
            options.topology,
            vpn=options.vpn,
            all_components=options.all_components,
            quality=options.quality,
        )


def _gone(settings: Settings, record: MeshRecord, why: str) -> NotRunning:
    _log.warning("cleared the record of a mesh that is gone", address=record.address, why=why)
    record.remove(settings.state_dir)
    return NotRunning(
        "mesh", why=f"the one on record is gone: {why}", remedy="Start one with `x0 up`."
    )


def _on_record(settings: Settings, address: str | None) -> MeshRecord | None:
    """What was started from the state directory, unless `address` and namespace are of another."""
    record = MeshRecord.load(settings.state_dir)
    if record is None or not address:
        return record
    same = (record.address, record.namespace) == (address, settings.namespace)
    return record if same else None


def _silence(_text: str) -> None:
    """Tell nobody."""
