"""Recorded control sockets of real babeld: a lossy link and a silent death are seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from actors.observe.sources.babel_join import AskedRouter, BabelJoin
from actors.observe.sources.babel_table import BabelTable

if TYPE_CHECKING:
    from actors.topology.network import Reading

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "data" / "observe" / "babeld"
C = "b4:e1:51:98:a2:68:46:c8"  # router id of c, which is not asked
ENDS_S = 42

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")


@pytest.fixture(scope="module")
def seconds() -> list[Reading]:
    """The network at each full second of the recordings."""
    told = {name: (RECORDINGS / f"node-{name}.txt").read_text().splitlines() for name in "abd"}
    tables = {name: BabelTable() for name in told}
    join = BabelJoin()
    found = []
    for second in range(1, ENDS_S + 1):
        for name, lines in told.items():
            while lines and float(lines[0].partition(" ")[0]) <= second:
                line = lines.pop(0).partition(" ")[2]
                if line != "ok":
                    tables[name].feed(line)
        routers = [
            AskedRouter(name, name, table.snapshot(), float(second))
            for name, table in tables.items()
        ]
        found.append(join.reading("babeld:recorded", routers))
    assert not any(table.unreadable for table in tables.values())
    return found


def quality(reading: Reading, a: str, b: str) -> tuple[float | None, float | None] | None:
    return next((link.quality for link in reading.links if (link.a, link.b) == (a, b)), None)


def up(reading: Reading) -> set[tuple[str, str]]:
    return {(link.a, link.b) for link in reading.links if link.up}


def test_the_ring_is_whole_at_first(seconds: list[Reading]) -> None:
    """Three routers and the one that they tell of, four perfect links."""
    first = seconds[0]
    assert [node.id for node in first.nodes] == ["a", "b", "d", C]
    assert up(first) == {("a", "b"), ("a", "d"), ("b", C), (C, "d")}
    assert {link.quality for link in first.links} == {(1.0, 1.0)}


def test_loss_is_seen_in_the_direction_that_has_it(seconds: list[Reading]) -> None:
    """Of what a sends to b, 40 % is dropped; b's own Hellos all arrive."""
    there = [found[0] for reading in seconds[17:] if (found := quality(reading, "a", "b"))]
    back = [found[1] for reading in seconds[17:] if (found := quality(reading, "a", "b"))]
    known = [value for value in there if value is not None]
    assert len(known) == len(there) == len(seconds[17:])
    assert 0.3 < sum(known) / len(known) < 0.7
    assert set(back) == {1.0}


def test_a_silent_death_is_seen_and_nothing_else_dies(seconds: list[Reading]) -> None:
    """Both links of c fade from the first missed Hello, are down, and are gone at last."""
    died = 23
    before = seconds[died - 1]
    assert quality(before, "b", C) == (1.0, 1.0)
    faded = quality(seconds[died + 2], C, "d")
    assert faded is not None
    assert faded[0] is not None
    assert faded[0] < 0.8
    assert up(seconds[35]) == {("a", "b"), ("a", "d")}
    last = seconds[-1]
    assert up(last) == {("a", "b"), ("a", "d")}
    assert C not in {node.id for node in last.nodes}


def test_every_record_is_accounted_for(seconds: list[Reading]) -> None:
    """At each second."""
    for reading in seconds:
        found = len(reading.nodes) + len(reading.links) + reading.merged + len(reading.left_out)
        assert reading.records + reading.implied == found
        assert not reading.left_out
