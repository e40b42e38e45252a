"""Names in questions and answers of the twin."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.mesh.drill.drill_plan import DrillScenario, plan
from actors.mesh.membership import Membership
from actors.topology.errors import AmbiguousNode, UnknownNode
from actors.topology.model import Topology
from actors.topology.node_table import NodeTable
from actors.twin import named
from actors.twin.intact import Intact
from actors.twin.reply import reply
from actors.twin.results import About, Reply
from actors.twin.scenario import of
from jobs.terminal.consequences import readable

NAMES = ("Kirchturm Süd", "school", "school", "$Bärenkeller$", "", "mill--race")
# A cycle of four with a chain of two at the first node: it, and the fifth, are cut nodes.
TOWN = Topology.of(
    ["q/4+Zw=", "n1", "n2", "n3", "n4", "n5"],
    [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (4, 5)],
    nodes=replace(NodeTable.unknown(6), names=NAMES),
)
ABOUT = About(live=False, source="test", nodes=6, links=6, links_down=0, hello_s=1.0)


def ask(*, plot: bool = False, **asked: Any) -> Reply:
    return reply(of(asked), ABOUT, Intact(TOWN), plot=plot)


EVERYTHING = {
    "fail": {"nodes": ["mill--race"], "links": [["Kirchturm Süd", "$Bär"]], "groups": ["school"]},
    "groups": {"school": {"nodes": ["school (n1)"], "links": [["n2", "$bärenkeller$"]]}},
    "traffic": {"flows": [{"source": "kirch", "destination": "n4", "rate": 2.0}]},
    "capacity": {"default": 9, "links": [{"ends": ["kirch", "n4"], "value": 5}]},
    "pairs": [["kirch", "mill"]],
    "availability": {
        "node": {"mtbf": 100, "mttr": 1},
        "nodes": {"mill": {"mtbf": 9, "mttr": 1}},
        "links": [{"ends": ["kirch", "n4"], "mtbf": 9, "mttr": 1}],
        "groups": {"school": {"mtbf": 9, "mttr": 1}},
        "method": "enumeration",
    },
}
IN_IDS = {
    "fail": {"nodes": ["n5"], "links": [["q/4+Zw=", "n3"]], "groups": ["school"]},
    "groups": {"school": {"nodes": ["n1"], "links": [["n2", "n3"]]}},
    "traffic": {"flows": [{"source": "q/4+Zw=", "destination": "n4", "rate": 2.0}]},
    "capacity": {"default": 9, "links": [{"ends": ["q/4+Zw=", "n4"], "value": 5}]},
    "pairs": [["q/4+Zw=", "n5"]],
    "availability": {
        "node": {"mtbf": 100, "mttr": 1},
        "nodes": {"n5": {"mtbf": 9, "mttr": 1}},
        "links": [{"ends": ["q/4+Zw=", "n4"], "mtbf": 9, "mttr": 1}],
        "groups": {"school": {"mtbf": 9, "mttr": 1}},
        "method": "enumeration",
    },
}


def test_every_place_of_a_scenario_takes_a_name() -> None:
    """Also a beginning, a label and another spelling; names of groups stay what they are."""
    assert named.with_ids(of(EVERYTHING), TOWN) == of(IN_IDS)
    assert ask(**EVERYTHING).answer == ask(**IN_IDS).answer


def test_names_of_none_or_of_several_nodes_are_errors() -> None:
    """An ambiguous one lists who is called so, with ids."""
    with pytest.raises(AmbiguousNode, match=r"school \(n1\), school \(n2\)"):
        ask(fail={"nodes": ["school"]})
    with pytest.raises(UnknownNode, match="Did you mean Kirchturm"):
        ask(fail={"nodes": ["Kirchtrum Süd"]})
    with pytest.raises(Exception, match=r"no link Kirchturm Süd \(q/4\+Zw=\)--mill--race \(n5\)"):
        ask(fail={"links": [["kirch", "mill"]]})


def test_answers_have_ids_and_the_names_of_whom_they_speak_of() -> None:
    """Ids stay ids; names stand beside them, of these nodes alone; what has none is not there."""
    told = ask(fail={"nodes": ["n4"]}).as_dict()
    assert told["impact"]["failed_nodes"] == ["n4"]
    assert told["impact"]["newly_isolated_nodes"] == ["n5"]
    assert told["names"] == {  # all are in its components
        node: name for node, name in zip(TOWN.ids, NAMES, strict=True) if name
    }
    assert ask(singles=True).as_dict()["names"] == {"q/4+Zw=": NAMES[0], "n5": NAMES[5]}
    assert json.loads(json.dumps(told)) == told


def test_people_read_names_and_ids() -> None:
    """Tables and sentences have both; a kind of failure that a node is called by stays a word."""
    answer = ask(singles=True)
    said = " ".join(map(str, _words(readable(of({"singles": True}), answer))))
    assert "Kirchturm Süd (q/4+Zw=)" in said
    assert "n4--mill--race (n5)" in said


def _words(shown: list[Any]) -> list[str]:
    cells = [list(column.cells) for part in shown for column in getattr(part, "columns", ())]
    return [cell for column in cells for cell in column] + [p for p in shown if isinstance(p, str)]


def test_a_picture_takes_any_name() -> None:
    """A name with dollar signs is no formula."""
    picture = ask(plot=True, fail={"nodes": ["$Bärenkeller$"]}).picture
    assert picture is not None
    assert picture.startswith(b"\x89PNG")


ID = st.text("ab-", min_size=1, max_size=5).filter(lambda t: "--" not in t.strip("-"))


@given(st.dictionaries(ID, st.text("XY", min_size=1, max_size=2), max_size=4), ID, ID)
@example({"--": "X", "---": "X"}, "--", "--")
def test_a_label_has_every_name_of_a_link(names: dict[str, str], a: str, b: str) -> None:
    """Of a node and a link alike; without names, it is what it was."""
    assert named.label_of(a, {}) == a
    if a in names:
        assert named.label_of(a, names) == f"{names[a]} ({a})"
    text = f"{a}--{b}"
    if text not in names and a in names and b in names:
        assert named.label_of(text, names).count("(") == 2


@pytest.mark.parametrize(
    ("scenario", "target", "failed"),
    [
        (DrillScenario.WORST_NODE, ["kirch"], "q/4+Zw="),
        (DrillScenario.LINK, ["mill", "n4"], "n4--n5"),
    ],
)
def test_a_drill_takes_names(scenario: DrillScenario, target: list[str], failed: str) -> None:
    """Of nodes that are present; one that left is not meant by any name."""
    membership = Membership.begin(TOWN, ["mesh-shard-00"])
    assert plan(scenario, membership, 1, target).failed == (failed,)
    gone = replace(membership, present=np.array([False, True, True, True, False, False]))
    with pytest.raises(UnknownNode):
        plan(scenario, gone, 1, target)
