"""`x0 status`: how the running mesh is."""

from __future__ import annotations

import asyncio

from jobs.terminal import reporting

SHARD_DOWN = 3  # exit code


@reporting.reported
def command(as_json: reporting.AsJson = False) -> int:
    """Show the mesh, its shards, the flags and the addresses.

    Exit code: 0 all shards answer, 3 a shard is down, 1 no mesh is running.
    """
    # Ray takes seconds to import, and --help should not.
    from actors.runtime import log
    from actors.runtime.settings import Settings
    from jobs.launch import gateway, session
    from jobs.terminal import summary

    report = reporting.Report(as_json)
    settings = Settings.load()
    log.configure(settings.log_level)
    running = session.running(settings)
    try:
        status = asyncio.run(running.status())
        answering = gateway.state(running.gateway_url) if running.gateway_url else ""
    finally:
        running.close()
    report.result(
        summary.values(running, status, answering),
        summary.mesh(running, status),
        summary.shards(status),
        summary.flags(running),
        summary.where(running, answering),
    )
    return SHARD_DOWN if status.down else 0


if __name__ == "__main__":
    reporting.run(command)
