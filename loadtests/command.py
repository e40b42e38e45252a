"""How every benchmark is run: progress on stderr, its section in RESULTS.md, the result on stdout.

Exit codes are those of `x0`: 1 when the benchmark could not be run, 2 for wrong usage, 3 when what
it ran fell short of what is promised.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from actors.runtime import log
from jobs.terminal import reporting
from loadtests import results

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.results import Outcome

    Progress = Callable[[str], None]

FELL_SHORT: Final = 3  # exit code
Results = Annotated[
    Path, typer.Option("--results", help="Markdown file that holds the figures.", dir_okay=False)
]
Topology = Annotated[str | None, typer.Option(help="Path, URL or radio:N[:SEED].")]
NoVpn = Annotated[bool, typer.Option("--no-vpn", help="Leave vpn links of that topology out.")]


def run(measure: Callable[[Progress], Outcome], path: Path, *, as_json: bool) -> int:
    """Run a benchmark, record its outcome in the file at `path`, and show it; the exit code."""
    log.configure("ERROR")
    report = reporting.Report(as_json)
    outcome = measure(report.progress)
    results.record(outcome, path)
    report.result(outcome.as_dict(), str(outcome))
    return FELL_SHORT if outcome.values.get("shortcomings") else 0
