"""`x0 pay demo`: payments from the first order to the last decision, in under a minute."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.terminal import reporting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from actors.payments.sandbox.account import Account

FAILED = 1  # exit code


@reporting.reported
def command(as_json: reporting.AsJson = False) -> int:
    """Show what becomes of orders, paid rightly and wrongly, over APIs that fail.

    Everything happens on a sandbox of its own, in a temporary directory.
    Exit code: 0 if all ended as it should, else 1.
    """
    from actors.payments.sandbox import account as accounts
    from actors.payments.sandbox import story
    from actors.payments.sandbox.client import SandboxClient
    from actors.payments.sandbox.server import serving
    from actors.runtime import log

    report = reporting.Report(as_json)
    log.configure("ERROR")
    began = time.monotonic()

    def tell(text: str) -> None:
        report.note(f"{time.monotonic() - began:5.1f} s  {text}")

    stage = story.sandbox()
    scanner = (sys.executable, "-m", "jobs.pay", "scan", "--network", "tron", "--once")
    with (
        tempfile.TemporaryDirectory(prefix="x0-demo-") as directory,
        serving(stage) as url,
        SandboxClient(url) as client,
    ):
        played = story.Story(Path(directory), stage, client, url, scan_command=scanner, tell=tell)
        account = asyncio.run(played.play())
    seconds = round(time.monotonic() - began, 1)
    report.result({"seconds": seconds, **accounts.values(account)}, *_readable(account, seconds))
    return 0 if account.ok else FAILED


def _readable(account: Account, seconds: float) -> list[RenderableType | str]:
    groups: dict[tuple[str, ...], int] = {}
    for one in account.endings:
        key = (
            str(one.part.method),
            "never" if one.part.kind is None else str(one.part.kind),
            str(one.order.state),
            ", ".join(one.causes),
            "" if one.ok else f"NOT {one.part.state}",
        )
        groups[key] = groups.get(key, 0) + 1
    rows = [(*key[:2], count, *key[2:]) for key, count in groups.items()]
    columns = ("method", "paid", "orders", "ended", "in review", "")
    end = "All ended as it should."
    if not account.ok:
        end = f"{account.wrong} things are not as they should be."
    return [
        reporting.table("Orders", columns, rows),
        f"{len(account.endings)} orders, {len(account.checks)} checks, {seconds:g} s. {end}",
    ]


if __name__ == "__main__":
    reporting.run(command)
