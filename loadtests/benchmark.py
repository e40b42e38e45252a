"""What all benchmarks share: the command and its options, the result, and its record.

A benchmark is a function whose keyword arguments are the options of its command; it returns what
it `Findings`. Its command prints that. Only with `--write` does it also replace the benchmark's
section of RESULTS.md, which stands between two comment lines that name it. Invariants: every other
byte of the file stays as it was; a section keeps its place; the file is replaced in one step, so an
interrupted run leaves the old one.

Exit codes are those of `x0` (`jobs.terminal.exit_codes`); a broken promise is `NOT_WELL`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Concatenate, Final, Generic, ParamSpec, TypeVar

import typer

from actors.runtime import log
from actors.runtime.errors import InvalidInput, Unavailable
from actors.runtime.state_files import write_atomic
from jobs.terminal import exit_codes, reporting
from loadtests import machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.machine import Provenance

P = ParamSpec("P")
T = TypeVar("T")
Progress = Callable[[str], None]  # is told what is being done

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
HEADER: Final = """\
# Results

Written by the benchmarks themselves: `python -m loadtests --write` for all, `python -m
loadtests.NAME --write` for one. A figure is the median of its runs, with the least and the greatest
in brackets. "Leipzig" is the largest part of that community's map with its VPN: islands of radio,
the largest of 68 nodes, that four servers join.
"""

Write = Annotated[bool, typer.Option("--write", help="Put the figures into RESULTS.md.")]
Topology = Annotated[str | None, typer.Option(help="Path, URL or radio:N[:SEED].")]
NoVpn = Annotated[bool, typer.Option("--no-vpn", help="Leave out vpn links of that topology.")]


# -- what a benchmark found ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Table:
    """Figures for people.

    Attributes:
        columns: headings.
        rows: cells, as many in each row as there are columns.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells in a table of {len(self.columns)} columns")

    def __str__(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


@dataclass(frozen=True, slots=True)
class Findings:
    """What one benchmark found.

    Attributes:
        method: how the figures were measured, in sentences.
        tables: the figures.
        findings: what the figures say, one sentence each.
        values: everything, for JSON.
        shortcomings: promises that were broken, a phrase each.
        kept: the sentence to print when no promise was broken, or "".
        versions: versions of measured programs that are not Python packages.
        slug, title: name and heading of the section, if they depend on the options.
    """

    method: str
    tables: Sequence[Table]
    findings: Sequence[str]
    values: Mapping[str, object]
    shortcomings: Sequence[str] = ()
    kept: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    slug: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A section of RESULTS.md.

    Attributes:
        slug: name of the benchmark.
        title: heading of the section.
        found: what was measured.
        provenance: place and time of the measurement.
    """

    slug: str
    title: str
    found: Findings
    provenance: Provenance

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "benchmark": self.slug,
            **self.found.values,
            "shortcomings": list(self.found.shortcomings),
            "provenance": self.provenance.as_dict(),
        }

    def __str__(self) -> str:
        found, short = self.found, self.found.shortcomings
        verdict = f"Fell short: {'; '.join(short)}." if short else found.kept
        sentences = [*found.findings, *filter(None, [verdict])]
        findings = "\n".join(f"- {sentence}" for sentence in sentences)
        tables = map(str, found.tables)
        parts = [f"## {self.title}", found.method, *tables, findings, str(self.provenance)]
        return "\n\n".join(part for part in parts if part) + "\n"


def record(outcome: Outcome, path: Path) -> None:
    """Put the section of this outcome into the file at `path`, which need not exist.

    Raises:
        InvalidInput: the file's sections are damaged; it is left as it is.
    """
    text = path.read_text() if path.exists() else HEADER
    write_atomic(path, replaced(text, outcome.slug, str(outcome), path.name).encode())


def replaced(text: str, slug: str, section: str, name: str = "the text") -> str:
    """`text` with the section `slug` replaced by this one, or with this one added at the end.

    Raises:
        InvalidInput: a marker of the section is missing, doubled or out of order.
    """
    begin, end = f"<!-- {slug}: begin -->", f"<!-- {slug}: end -->"
    block = f"{begin}\n{section.strip()}\n{end}"
    if begin not in text and end not in text:
        return f"{text.rstrip()}\n\n{block}\n" if text.strip() else f"{block}\n"
    before, _, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not closed or text.count(begin) != 1 or text.count(end) != 1:
        raise InvalidInput(
            f"the section {slug} of {name} cannot be replaced",
            f"it does not stand between one line {begin} and one line {end}",
            f"Correct the two lines, or remove {name}: it is written anew.",
            entry=slug,
        )
    return f"{before}{block}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# -- the command -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Benchmark(Generic[P]):
    """A benchmark, as `benchmark` makes it of a function.

    Attributes:
        slug: name, as in `python -m loadtests.SLUG`.
        title: heading of its section.
        packages: installed distributions whose versions matter to the figures.
        measure: the function.
    """

    slug: str
    title: str
    packages: Sequence[str]
    measure: Callable[Concatenate[Progress, P], Findings]

    def __call__(self, progress: Progress, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        """Run it and describe the run.

        Raises:
            X0Error: it could not be run.
        """
        load_before = machine.load()
        found = self.measure(progress, *args, **kwargs)
        origin = machine.provenance(self.packages, load_before, found.versions)
        return Outcome(found.slug or self.slug, found.title or self.title, found, origin)

    def main(self) -> None:
        """Be the program `python -m loadtests.SLUG`."""
        measure: Callable[..., Outcome] = self  # typer checks the options
        _, *own = inspect.signature(self.measure, eval_str=True).parameters.values()

        def command(*, write: bool, as_json: bool, **options: object) -> int:
            log.configure("ERROR")
            report = reporting.Report(as_json)
            outcome = measure(report.progress, **options)
            if write:
                record(outcome, RESULTS)
            report.result(outcome.as_dict(), str(outcome))
            return exit_codes.NOT_WELL if outcome.found.shortcomings else exit_codes.OK

        shared = inspect.signature(_shared_options, eval_str=True).parameters.values()
        signature = inspect.Signature([*own, *shared])
        command.__doc__ = (inspect.getdoc(self.measure) or "").partition("\nRaises:")[0]
        command.__signature__ = signature  # type: ignore[attr-defined]  # which typer reads
        command.__annotations__ = {each.name: each.annotation for each in [*own, *shared]}
        reporting.run(reporting.reported(command))


def _shared_options(*, write: Write = False, as_json: reporting.AsJson = False) -> None:
    """Options of every benchmark; only the signature is used."""


def benchmark(
    slug: str, title: str, packages: Sequence[str]
) -> Callable[[Callable[Concatenate[Progress, P], Findings]], Benchmark[P]]:
    """Make a benchmark of a function. Its docstring, up to "Raises:", is the help of its command.

    Args:
        slug: the benchmark's name.
        title: heading of its section.
        packages: installed distributions whose versions matter to the figures.
    """
    return lambda measure: Benchmark(slug, title, packages, measure)


# -- checks and times ------------------------------------------------------------------------------


def named(progress: Progress, name: str) -> Progress:
    """`progress` with a name before each text."""
    return lambda text: progress(f"{name}: {text}")


def timed(function: Callable[[], T]) -> tuple[T, float]:
    """What a function returns, and the seconds it took."""
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def defect(why: str) -> Unavailable:
    """The error of a benchmark whose own checks failed, so that its figures mean nothing."""
    return Unavailable(
        "the benchmark means nothing", why, "This is a defect: please report it.", retry_after_s=1.0
    )
