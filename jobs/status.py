"""`x0 status`: how the running session is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.launch import interruption
from jobs.terminal import exit_codes, reporting

if TYPE_CHECKING:
    from jobs.launch.found import FoundSession


@reporting.reported
def command(as_json: reporting.AsJson = False) -> int:
    """Show the observed network and its sources, the emulated mesh, the flags and the addresses.

    Exit code: 0 when all is well; 3 when a shard is down, a source failed, is held or stale, no
    node is up, or payments cannot be read; 1 when nothing is running.
    """
    from jobs.launch import found as finding
    from jobs.terminal import summary

    report = reporting.Report(as_json)
    found = summary.values(finding.by_gateway(finding.state_dir()) or _by_ray())
    report.result(found, *summary.networks(found), summary.where(found))
    return 0 if found["healthy"] else exit_codes.NOT_WELL


def _by_ray() -> FoundSession:
    """Ask the actors: there is no gateway, or it does not answer."""
    from actors.runtime import log
    from jobs.launch import session
    from serve_apps.settings import Settings

    settings = Settings.load()
    log.configure(settings.log_level)
    running = session.running(settings)
    try:
        return interruption.run(running.found())
    finally:
        running.close()


if __name__ == "__main__":
    reporting.run(command)
