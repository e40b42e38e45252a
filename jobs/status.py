"""`x0 status`: how the running mesh is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jobs.terminal import exit_codes, reporting

if TYPE_CHECKING:
    from jobs.launch.session import Session


@reporting.reported
def command(as_json: reporting.AsJson = False) -> int:
    """Show the mesh, its shards, the flags and the addresses.

    Exit code: 0 when all shards answer, 3 when a shard is down, 1 when no mesh is running.
    """
    # Ray takes seconds to import, and --help should not.
    from actors.runtime import log
    from jobs.launch import session
    from jobs.terminal import summary
    from serve_apps.settings import Settings

    report = reporting.Report(as_json)
    settings = Settings.load()
    log.configure(settings.log_level)
    running = session.running(settings)
    try:
        found = asyncio.run(_found(running))
    finally:
        running.close()
    report.result(found, summary.mesh(found), *summary.shards(found), summary.where(found))
    return 0 if found["healthy"] else exit_codes.NOT_WELL


async def _found(running: Session) -> dict[str, Any]:
    from jobs.terminal import summary

    status, states = await asyncio.gather(running.status(), running.companions())
    return summary.values(running, status, states)


if __name__ == "__main__":
    reporting.run(command)
