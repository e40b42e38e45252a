"""`x0 pay demo`: payments from the first order to the last decision, in under a minute."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.launch import interruption
from jobs.terminal import exit_codes, reporting

if TYPE_CHECKING:
    from rich.console import RenderableType

    from actors.payments.sandbox.demo_report import DemoReport


@reporting.reported
def command(as_json: reporting.AsJson = False) -> int:
    """Show what becomes of orders, paid rightly and wrongly, over APIs that fail.

    Everything happens on a sandbox of its own, in a temporary directory.
    Exit code: 0 if all ended as it should, else 3.
    """
    from actors.payments.sandbox import demo, demo_report
    from actors.payments.sandbox.client import SandboxClient
    from actors.payments.sandbox.server import serving
    from actors.runtime import log

    report = reporting.Report(as_json)
    log.configure("ERROR")
    began = time.monotonic()

    def tell(text: str) -> None:
        report.note(f"{time.monotonic() - began:5.1f} s  {text}")

    stage = demo.sandbox()
    scanner = (sys.executable, "-m", "jobs.pay", "scan", "--network", "tron", "--once")
    with (
        tempfile.TemporaryDirectory(prefix="x0-demo-") as directory,
        serving(stage) as url,
        SandboxClient(url) as client,
    ):
        made = demo.Demo(Path(directory), stage, client, url, scan_command=scanner, tell=tell)
        outcome = interruption.run(made.run())
    seconds = round(time.monotonic() - began, 1)
    report.result({"seconds": seconds, **demo_report.values(outcome)}, *_readable(outcome, seconds))
    return 0 if outcome.ok else exit_codes.NOT_WELL


def _readable(outcome: DemoReport, seconds: float) -> list[RenderableType | str]:
    groups: dict[tuple[str, ...], int] = {}
    for one in outcome.endings:
        key = (
            str(one.case.method),
            "never" if one.case.kind is None else str(one.case.kind),
            str(one.order.state),
            ", ".join(one.causes),
            "" if one.ok else f"NOT {one.case.state}",
        )
        groups[key] = groups.get(key, 0) + 1
    rows = [(*key[:2], count, *key[2:]) for key, count in groups.items()]
    columns = ("method", "paid", "orders", "ended", "in review", "")
    end = "All ended as it should."
    if not outcome.ok:
        end = f"{outcome.wrong} things are not as they should be."
    return [
        reporting.table("Orders", columns, rows),
        f"{len(outcome.endings)} orders, {len(outcome.checks)} checks, {seconds:g} s. {end}",
    ]


if __name__ == "__main__":
    reporting.run(command)
