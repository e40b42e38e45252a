"""`x0 down`: end what `x0 up` or `x0 watch` started, and nothing else."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Annotated, Final

import typer

from jobs.terminal import reporting

if TYPE_CHECKING:
    from cluster.local import LocalCluster
    from jobs.launch.record import SessionRecord
    from serve_apps.settings import Settings

_LAUNCH_S: Final = 60.0  # a mesh that is just being launched is waited for, then ended


@reporting.reported
def command(
    purge: Annotated[
        bool,
        typer.Option(
            "--purge",
            help="Also remove the journals, with all messages not delivered yet, what was known of"
            " observed networks, and alerts and silences, with what was not told yet.",
        ),
    ] = False,
    as_json: reporting.AsJson = False,
) -> int:
    """End what `x0 up` or `x0 watch` started: the actors, their Ray cluster, its temporary files.

    Journals stay: accepted messages survive to the next `x0 up` of the same topology, and so do
    the members of an observed network, and alerts. The history stays in any case. Inside a Ray job
    only the actors end. Nothing running is fine.
    """
    from actors.runtime import log
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    settings = Settings.load()
    log.configure(settings.log_level)
    ended = _end_here(settings, report) if settings.state_dir.is_dir() else {}
    if os.environ.get("RAY_ADDRESS"):
        ended = ended or _end_by_address(settings)
    # Inside a cluster of another, the journals here may be those of a mesh that runs elsewhere.
    purged = purge and not os.environ.get("RAY_ADDRESS") and _purge(settings)
    lines = [f"ended {what}: {which}" for what, which in ended.items()] or ["nothing was running"]
    if purged:
        lines.append("removed the journals, what was known of observed networks, and alerts")
    report.result({"ended": ended, "purged": purged}, *lines)
    return 0


def _end_here(settings: Settings, report: reporting.Report) -> dict[str, str]:
    """End what is on record in the state directory; what that was, by kind."""
    from actors.runtime.state_files import exclusive_lock
    from cluster.local import LocalCluster
    from jobs.launch import ray_head
    from jobs.launch.record import LOCK, SessionRecord

    if os.environ.get("RAY_ADDRESS"):
        return {}  # may be a job of the very cluster on record, which must not end under it
    with exclusive_lock(settings.state_dir / LOCK, timeout_s=_LAUNCH_S):
        record = SessionRecord.load(settings.state_dir)
        cluster = LocalCluster.load(settings.state_dir)
        ended = {}
        if cluster is not None:
            report.progress(f"ending the cluster at {cluster.address}")
            ended = _end_cluster(cluster, record)
            ray_head.remove_targets(settings)
        elif record is not None and not record.own_cluster:
            report.progress(f"ending the mesh on the cluster at {record.address}")
            ended = _end_actors(record.address, record.namespace)
        if record is not None:
            record.remove(settings.state_dir)
    return ended


def _end_cluster(cluster: LocalCluster, record: SessionRecord | None) -> dict[str, str]:
    cluster.stop()
    ended = {"cluster": cluster.address}
    return {**record.what, **ended} if record is not None else ended


def _end_by_address(settings: Settings) -> dict[str, str]:
    """End the mesh of RAY_ADDRESS and the namespace."""
    from actors.runtime.errors import NotRunning
    from jobs.launch import session

    try:
        running = session.running(settings)
    except NotRunning:
        return {}
    running.end()
    return running.record.what


def _end_actors(address: str, namespace: str) -> dict[str, str]:
    """End the actors of a namespace in a cluster that is another's; it may be gone."""
    from actors.runtime import spawn
    from actors.runtime.errors import NotRunning

    try:
        spawn.connect(address, namespace)
    except NotRunning:
        return {}
    try:
        names = spawn.tear_down(namespace)
    finally:
        spawn.disconnect()
    return {"actors": ", ".join(names)} if names else {}


def _purge(settings: Settings) -> bool:
    from jobs.launch.record import alerts, journals, observations

    kept = (each(settings.state_dir) for each in (journals, observations, alerts))
    there = [directory for directory in kept if directory.exists()]
    for directory in there:
        shutil.rmtree(directory)
    return bool(there)


if __name__ == "__main__":
    reporting.run(command)
