"""How every benchmark is run: progress on stderr, its section in RESULTS.md, the result on stdout.

Exit codes are those of `x0`: 1 when the benchmark could not be run, 2 for wrong usage.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loadtests import results

if TYPE_CHECKING:
    from jobs.reporting import Report
    from loadtests.results import Outcome

Results = Annotated[
    Path, typer.Option("--results", help="Markdown file that holds the figures.", dir_okay=False)
]


def publish(report: Report, outcome: Outcome, path: Path) -> None:
    """Record an outcome and show it."""
    results.record(outcome, path)
    report.result(outcome.as_dict(), str(outcome))
