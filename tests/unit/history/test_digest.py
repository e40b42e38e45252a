"""The morning's digest: what got worse in a day, and nothing that did not."""

from __future__ import annotations

import math
from datetime import UTC, date
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from actors.history import digest
from actors.history.archive import Archive
from actors.history.errors import NoHistory
from actors.runtime.alerting import AlertName
from actors.topology.events import EventKind
from actors.topology.provenance import Network
from tests.unit.history.happenings import HOUR, event, sample

if TYPE_CHECKING:
    from pathlib import Path

    from actors.topology.events import NetworkEvent
    from actors.topology.samples import NetworkSample

REAL = Network.OBSERVED
AB, BC, CD = ("a", "b"), ("b", "c"), ("c", "d")
NOW = HOUR + digest.DAY_S


def made(
    tmp_path: Path, before: NetworkSample, now: NetworkSample, *events: NetworkEvent
) -> digest.Digest:
    archive = Archive(SecretStr(f"sqlite:///{tmp_path}/history.db"), tmp_path / "history")
    archive.metrics.write(REAL, before, HOUR)
    archive.metrics.write(REAL, now, NOW)
    archive.events.record("observer", REAL, 7, list(events))
    return digest.of_day(archive, REAL, NOW, UTC)


def test_it_says_what_is_worse_by_name_and_since_when(tmp_path: Path) -> None:
    told = made(
        tmp_path,
        sample({AB: 0.9, BC: 0.9}),
        sample({AB: 0.4, BC: 0.9}, silent="c"),
        event(1, NOW - 7_200, nodes=("c",)),
        event(2, NOW - 7_199, EventKind.GATEWAY_LOST, nodes=("c",)),
    )
    assert told.summary == (
        "The observed network: 1 node and 1 link got worse; 2 of 3 nodes are up, 3 of 3 were."
    )
    silent, worse, meanwhile = told.lines
    assert silent.startswith("Node node-c (c) is silent since ")
    assert silent.endswith(" UTC.")
    assert worse == (
        "Link node-a (a)--node-b (b) got worse: node-a (a) to node-b (b) 0.90 -> 0.40, "
        "node-b (b) to node-a (a) 0.90 -> 0.40."
    )
    assert meanwhile == "Meanwhile: 1 loss of a gateway, 1 node fell silent."


def test_what_failed_and_came_back_is_counted_alone(tmp_path: Path) -> None:
    told = made(tmp_path, sample({AB: 0.5}), sample({AB: 0.5}), event(1, NOW - 600))
    assert told.summary.startswith("The observed network: nothing got worse;")
    assert told.lines == ("Meanwhile: 1 node fell silent.",)
    assert (told.worse, told.better) == (0, 0)


def test_what_is_not_known_has_not_got_worse(tmp_path: Path) -> None:
    told = made(tmp_path, sample({AB: 0.9}), sample({AB: math.nan}))
    assert (told.worse, told.better, told.lines) == (0, 0, ())


def test_a_long_list_is_cut_and_says_by_how_much(tmp_path: Path) -> None:
    pairs = {("hub", f"n{number:03d}"): 0.9 for number in range(100)}
    told = made(tmp_path, sample(pairs), sample(dict.fromkeys(pairs, 0.2)))
    assert told.worse == 100
    assert told.lines[digest.LISTED] == "And 85 more links."
    assert len(told.lines) == digest.LISTED + 1


QUALITIES = st.tuples(st.floats(0.01, 1), st.floats(0.01, 1))


@settings(max_examples=25)  # each writes and reads four files
@given(st.dictionaries(st.sampled_from([AB, BC, CD]), QUALITIES, min_size=1))
def test_what_is_worse_one_way_round_is_better_the_other(
    tmp_path_factory: pytest.TempPathFactory, links: dict[tuple[str, str], tuple[float, float]]
) -> None:
    before = sample({link: qualities[0] for link, qualities in links.items()})
    now = sample({link: qualities[1] for link, qualities in links.items()})
    there = made(tmp_path_factory.mktemp("there"), before, now)
    back = made(tmp_path_factory.mktemp("back"), now, before)
    assert (there.worse, there.better) == (back.better, back.worse)


def test_a_day_that_was_not_recorded_is_no_good_day(tmp_path: Path) -> None:
    archive = Archive(SecretStr(f"sqlite:///{tmp_path}/history.db"), tmp_path / "history")
    archive.metrics.write(REAL, sample({AB: 0.9}), NOW)
    with pytest.raises(NoHistory) as caught:
        digest.of_day(archive, REAL, NOW)
    told = digest.alert(digest.not_known(REAL, caught.value.why), REAL, date(2025, 11, 25), NOW)
    assert told.name is AlertName.MORNING_DIGEST
    assert "not known" in told.summary
    assert "not sampled" in told.details[0]
