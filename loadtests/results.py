"""RESULTS.md: one section for each benchmark, replaced whenever that benchmark runs.

A section stands between two comment lines that name its benchmark. Invariants: replacing a section
leaves every other byte of the file as it was; a section keeps its place; the file is replaced in
one step, so that an interrupted run leaves the old one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from actors.runtime.errors import InvalidInput
from actors.runtime.state_files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from loadtests.machine import Provenance

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
HEADER: Final = """\
# Results

Written by the benchmarks themselves: `make bench` for all, `python -m loadtests.NAME` for one.
A figure is the median of its runs, with the least and the greatest in brackets.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Figures for people.

    Attributes:
        columns: headings.
        rows: cells, as many in each as there are columns.
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
class Outcome:
    """What one benchmark found.

    Attributes:
        slug: its name, as in `python -m loadtests.SLUG`.
        title: of the section.
        method: how it was measured, in sentences.
        tables: the figures.
        findings: what they say, a sentence each; what fell short is among them.
        values: everything, for JSON.
        provenance: of the run.
    """

    slug: str
    title: str
    method: str
    tables: Sequence[Table]
    findings: Sequence[str]
    values: Mapping[str, object]
    provenance: Provenance

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"benchmark": self.slug, **self.values, "provenance": self.provenance.as_dict()}

    def __str__(self) -> str:
        findings = "\n".join(f"- {finding}" for finding in self.findings)
        tables = map(str, self.tables)
        parts = [f"## {self.title}", self.method, *tables, findings, str(self.provenance)]
        return "\n\n".join(part for part in parts if part) + "\n"


def record(outcome: Outcome, path: Path = RESULTS) -> None:
    """Put the section of this outcome into the file at `path`, which need not exist.

    Raises:
        InvalidInput: the file's sections are damaged; it is left as it is.
    """
    text = path.read_text() if path.exists() else HEADER
    write_atomic(path, replaced(text, outcome.slug, str(outcome), str(path.name)).encode())


def replaced(text: str, slug: str, section: str, name: str = "the text") -> str:
    """`text` with the section `slug` replaced by this one, or followed by it if it has none.

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
