"""`x0 beacons`: what shards say of their protection, as one document and for people."""

from __future__ import annotations

import io
import json
from typing import Any

from rich.console import Console

from jobs.terminal import beacon_tables

EPOCH = 1_795_998_736_939
ONE: dict[str, Any] = {
    "signing": {"a": {"epoch": EPOCH, "sequence": 40}, "b": {"epoch": EPOCH, "sequence": 41}},
    "without_key": [],
    "heard": {"c": {"epoch": EPOCH + 1000, "age_s": 0.5}},
    "refused": {"absent": 3},
    "sessions": {"two": {"suite": "X", "age_s": 9.0, "records": 5}},
    "handshakes_failed": {},
}
TWO: dict[str, Any] = {
    "signing": {"c": {"epoch": EPOCH + 1000, "sequence": 7}},
    "without_key": ["d"],
    "heard": {"a": {"epoch": EPOCH, "age_s": 1.25}},
    "refused": {"absent": 1, "clock_skew": 2},
    "sessions": {"one": {"suite": "X", "age_s": 8.0, "records": 4}},
    "handshakes_failed": {"bad_signature": 1},
}


def shown(found: dict[str, Any], *, each: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80)
    for part in beacon_tables.tables(found, each=each):
        console.print(part)
    return out.getvalue()


def test_each_node_has_its_epoch_and_the_age_of_what_others_heard_last() -> None:
    """A node that no other shard hears has no age, which is not zero."""
    found = beacon_tables.document({"one": ONE, "two": TWO}, {})
    assert json.loads(json.dumps(found)) == found
    ages = {row["node"]: row["age_s"] for row in found["nodes"]}
    assert ages == {"a": 1.25, "b": None, "c": 0.5}
    assert found["refused"] == {"absent": 4, "clock_skew": 2}
    assert found["handshakes_failed"] == {"bad_signature": 1}
    assert found["without_key"] == ["d"]
    assert [(one["from"], one["to"]) for one in found["sessions"]] == [
        ("one", "two"),
        ("two", "one"),
    ]


def test_what_a_shard_heard_of_nodes_that_it_hosts_now_is_no_age() -> None:
    """They moved there; nobody hears them by beacons since."""
    moved = {**ONE, "heard": {"b": {"epoch": EPOCH, "age_s": 99.0}}}
    found = beacon_tables.document({"one": moved}, {})
    assert {row["node"]: row["age_s"] for row in found["nodes"]} == {"a": None, "b": None}


def test_people_see_the_sum_and_each_node_when_they_ask() -> None:
    """Refusals have their reasons; 80 columns suffice."""
    found = beacon_tables.document({"one": ONE, "two": TWO}, {"three": "it is restarting"})
    text = shown(found)
    assert "1: d" in text
    assert "clock_skew" in text
    assert "bad_signature" in text
    assert "three does not answer: it is restarting" in text
    assert "Nodes" not in text
    lines = shown(found, each=True).splitlines()
    assert any("b" in line and "2026-11-30T00:32:16Z" in line and "-" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_a_mesh_without_the_flag_says_so() -> None:
    """Nothing proves itself there, which is not an error; unknown is told apart from it."""
    off = beacon_tables.document({"one": {}}, {})
    assert off["pqc_beacons"] is False
    assert beacon_tables.OFF in " ".join(shown(off).split())
    unknown = beacon_tables.document({}, {"one": "dead"})
    assert unknown["pqc_beacons"] is None
    assert shown(unknown) == "one does not answer: dead\n"


def test_a_mesh_that_has_just_begun_has_no_figures_yet() -> None:
    """No node signs yet, none is heard: said in words."""
    starting = {**ONE, "signing": {}, "heard": {}, "without_key": ["a"], "sessions": {}}
    text = shown(beacon_tables.document({"one": starting}, {}))
    assert "never" in text
    assert "1: a" in text
