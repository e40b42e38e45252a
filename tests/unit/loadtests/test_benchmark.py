from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import InvalidInput
from jobs.terminal import exit_codes
from loadtests import benchmark
from loadtests.benchmark import (
    HEADER,
    Benchmark,
    Findings,
    Outcome,
    Progress,
    Table,
    record,
    replaced,
)
from loadtests.machine import Provenance, provenance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SLUGS = ("heal", "scale", "routes")
bodies = st.text(st.characters(codec="utf-8", exclude_characters="<>\r"), min_size=1).map(str.strip)

ORIGIN = Provenance(
    commit="0123abc",
    date="2026-01-02T03:04Z",
    cpu="Some CPU",
    cores=2,
    memory_gib=23.5,
    system="Linux 6.1",
    python="3.11.7",
    packages={"numpy": "2.1.0"},
    load_before=0.25,
)


def outcome(slug: str, figure: str) -> Outcome:
    table = Table(["", "healed, s"], [["this mesh", figure]])
    found = Findings("A method.", [table], ["A finding."], {"s": figure})
    return Outcome(slug, "A title", found, ORIGIN)


@given(st.lists(st.tuples(st.sampled_from(SLUGS), bodies), max_size=8))
def test_each_section_holds_what_was_written_last(writes: list[tuple[str, str]]) -> None:
    """However often sections are replaced, each stands once, in place, as written last."""
    text = HEADER
    last: dict[str, str] = {}
    for slug, body in writes:
        text = replaced(text, slug, body)
        last[slug] = body
    assert text.startswith(HEADER.rstrip())
    places = []
    for slug, body in last.items():
        assert text.count(f"<!-- {slug}: begin -->") == 1
        assert f"<!-- {slug}: begin -->\n{body.strip()}\n<!-- {slug}: end -->" in text
        places.append(text.index(f"<!-- {slug}: begin -->"))
    assert places == sorted(places)


def test_what_people_wrote_around_a_section_stays() -> None:
    """Replacing a section leaves every other character of the file as it was."""
    text = "before\n<!-- heal: begin -->\nold\n<!-- heal: end -->\n\n  after  \n"
    assert replaced(text, "heal", "new") == text.replace("old", "new")


@pytest.mark.parametrize(
    "text",
    [
        "<!-- heal: begin -->\nold",
        "old\n<!-- heal: end -->",
        "<!-- heal: end -->\nold\n<!-- heal: begin -->",
        "<!-- heal: begin -->\na\n<!-- heal: begin -->\nb\n<!-- heal: end -->",
    ],
)
def test_damaged_markers_are_refused(tmp_path: Path, text: str) -> None:
    """A file whose section cannot be told is left as it is, and the error names the section."""
    path = tmp_path / "RESULTS.md"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"section heal of RESULTS\.md"):
        record(outcome("heal", "1.00"), path)
    assert path.read_text() == text


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    """Figures of an earlier run are gone, those of another benchmark stay, on the same machine."""
    path = tmp_path / "RESULTS.md"
    record(outcome("heal", "1.11"), path)
    record(outcome("scale", "2.22"), path)
    record(outcome("heal", "3.33"), path)
    text = path.read_text()
    assert "1.11" not in text
    assert text.index("3.33") < text.index("2.22")
    assert text.count("Commit 0123abc, 2026-01-02T03:04Z. Some CPU, 2 cores, 23.5 GiB") == 2


def test_tables_are_whole() -> None:
    """A row with a cell too few is refused, and a bar inside a cell does not end it."""
    with pytest.raises(ValueError, match="1 cells in a table of 2 columns"):
        Table(["a", "b"], [["1"]])
    assert str(Table(["a"], [["x|y"]])).splitlines()[-1] == r"| x\|y |"


def test_what_fell_short_is_told_in_place_of_what_was_kept() -> None:
    """The last finding is the promise, or how it was broken; JSON holds the shortcomings."""

    def told(*short: str) -> Outcome:
        found = Findings("How.", [], ["So many."], {}, shortcomings=short, kept="None was lost.")
        return Outcome("mesh", "A title", found, ORIGIN)

    assert "- So many.\n- None was lost.\n" in str(told())
    broken = told("3 lost", "1 altered")
    assert "- So many.\n- Fell short: 3 lost; 1 altered.\n" in str(broken)
    assert broken.as_dict()["shortcomings"] == ["3 lost", "1 altered"]


def small(short: Sequence[str] = ()) -> Benchmark[[int]]:
    @benchmark.benchmark("small", "A small one", ["numpy"])
    def measure(
        progress: Progress, *, nodes: Annotated[int, typer.Option(min=2, help="Nodes.")] = 4
    ) -> Findings:
        """Measure little.

        Raises:
            ValueError: never.
        """
        progress("measuring")
        return Findings("How.", [], [f"{nodes} nodes."], {"nodes": nodes}, shortcomings=short)

    return measure


def ran(monkeypatch: pytest.MonkeyPatch, some: Benchmark[[int]], *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["small", *arguments])
    with pytest.raises(SystemExit) as ended:
        some.main()
    return int(ended.value.code or 0)


def test_results_are_written_only_when_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run prints its figures and leaves the file alone; `--write` replaces its section."""
    path = tmp_path / "RESULTS.md"
    monkeypatch.setattr(benchmark, "RESULTS", path)
    assert ran(monkeypatch, small(), "--nodes", "7") == 0
    assert "- 7 nodes." in capsys.readouterr().out
    assert not path.exists()
    assert ran(monkeypatch, small(), "--nodes", "8", "--json", "--write") == 0
    assert json.loads(capsys.readouterr().out)["nodes"] == 8
    assert path.read_text().startswith(f"{HEADER}\n<!-- small: begin -->\n## A small one\n")


def test_the_command_of_a_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its options are the function's arguments; a broken promise is exit code 3, wrong usage 2."""
    assert ran(monkeypatch, small(["1 lost"])) == exit_codes.NOT_WELL == 3
    assert ran(monkeypatch, small(), "--nodes", "1") == 2
    capsys.readouterr()
    assert ran(monkeypatch, small(), "--help") == 0
    text = capsys.readouterr().out
    assert "Measure little." in text
    assert "never" not in text
    assert all(option in text for option in ("--nodes", "--write", "--json"))


def test_a_run_is_described_without_host_or_path() -> None:
    """The description names processor and versions, and neither the host nor a directory."""
    import platform
    from pathlib import Path

    text = str(provenance(["numpy"], 0.5, {"babeld": "1.12.1"}))
    assert "numpy 2" in text
    assert "babeld 1.12.1" in text
    assert "Load before the run: 0.50" in text
    assert platform.node() not in text
    assert str(Path(__file__).parents[3]) not in text
