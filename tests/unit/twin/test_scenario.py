"""Scenario files: what they ask is answered, and what they get wrong is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

from actors.runtime.errors import InvalidInput
from actors.topology.errors import UnknownNode
from actors.topology.model import Topology
from actors.twin.advice import advise, reconnect
from actors.twin.answer import answer
from actors.twin.availability import Outages, availability
from actors.twin.conditions import Conditions, Traffic
from actors.twin.failure import Failure
from actors.twin.impact import impact
from actors.twin.intact import Intact
from actors.twin.scenario import MAX_BYTES, parse
from actors.twin.sets import Draws, cascade, random_cascades, random_failures
from actors.twin.single import single_failures, worst_pairs
from actors.twin.spans import MAX_KM, Spans

# Two rings that share n3, and a tail.
MESH = Topology.of(
    [f"n{i}" for i in range(8)],
    [(0, 1), (1, 2), (2, 3), (3, 0), (3, 4), (4, 5), (5, 6), (6, 3), (6, 7)],
    0.9,
)

EVERYTHING = """
name: reload tonight
hello_s: 0.5
retries: 2
seed: 9
fail: {nodes: [n4], links: [[n1, n0]], groups: [mast]}
groups:
  mast: {nodes: [n5], links: [[n6, n7]]}
  supply: {nodes: [n1, n2]}
traffic: {uniform: 0.5, flows: [{source: n0, destination: n7, rate: 20}]}
capacity: {default: 40, links: [{ends: [n3, n6], value: 25.5}]}
pairs: [[n0, n7], [n1, n2]]
singles: true
worst_pairs: 3
random: {k: 2, of: nodes, samples: 50, correlation: 0.5, confidence: 0.9}
cascade: {tolerance: 0.25}
availability:
  node: {mtbf: 99, mttr: 1}
  link: {mtbf: 1000, mttr: 0}
  nodes: {n0: {mtbf: 50, mttr: 50}}
  links: [{ends: [n7, n6], mtbf: 9, mttr: 1}]
  groups: {mast: {mtbf: 9, mttr: 1}}
advice: {links: 2}
"""


def test_everything_that_is_asked_is_answered() -> None:
    """Each answer is what asking directly gives, under the conditions of the file."""
    found = answer(parse(EVERYTHING), MESH)
    traffic = Traffic.named(MESH, [("n0", "n7", 20.0)], 0.5)
    carried = [40.0] * 9
    carried[MESH.directed_link(6, 3) >> 1] = 25.5
    intact = Intact(
        MESH, Conditions(0.5, retries=2, traffic=traffic, capacity=np.array(carried), seed=9)
    )
    mast = Failure.named(MESH, ["n5"], [("n6", "n7")])
    failure = Failure.named(MESH, ["n4"], [("n0", "n1")]) | mast
    pairs = [("n0", "n7"), ("n1", "n2")]
    draws = Draws(
        2,
        samples=50,
        seed=9,
        confidence=0.9,
        groups={"mast": mast, "supply": Failure.at([1, 2])},
        correlation=0.5,
    )
    down = Outages(np.array([0.5] + [0.01] * 7), np.array([0.0] * 8 + [0.1]), [(mast, 0.1)])
    assert found.name == "reload tonight"
    assert (found.nodes, found.links) == (8, 9)
    assert found.impact == impact(intact, failure, pairs)
    assert found.single_failures == single_failures(intact)
    assert found.worst_pairs == worst_pairs(intact, 3)
    assert found.random_failures == random_failures(intact, draws)
    assert found.cascade == cascade(intact, failure, tolerance=0.25)
    assert found.random_cascades == random_cascades(intact, draws, tolerance=0.25)
    assert found.availability == availability(intact, down, pairs, seed=9)
    assert found.advice == advise(intact, 2, Spans.of(MESH, MAX_KM["wifi"], anywhere=False))
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["impact"]["nodes"] == 8


def test_what_is_not_asked_is_not_answered() -> None:
    """Other answers are None, and the live mesh's Hello interval is the default."""
    found = answer(parse("fail: {nodes: [n3]}"), MESH, hello_s=2.0)
    assert found.impact == impact(Intact(MESH, Conditions(2.0)), Failure.at([3]))
    others = found.single_failures, found.worst_pairs, found.random_failures, found.cascade
    assert others == (None,) * 4
    assert (found.random_cascades, found.availability, found.advice) == (None,) * 3


def test_failing_nothing_is_a_question() -> None:
    """An empty set is a failure like any other."""
    found = answer(parse("fail: {}"), MESH)
    assert found.impact is not None
    assert found.impact.pairs_lost == 0


def test_advice_for_the_failure() -> None:
    """Advice may be for what fails instead of for any single failure."""
    found = answer(parse("fail: {nodes: [n3]}\nadvice: {for_failure: true}"), MESH)
    spans = Spans.of(MESH, MAX_KM["wifi"], anywhere=False)
    assert found.advice == reconnect(Intact(MESH), Failure.at([3]), spans=spans)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a mapping"),
        ("- fail", "not a mapping"),
        ("fail: [", "Correct the YAML"),
        ("\x00", "Correct the YAML"),
        ("fail: {nodes: [n1]}\nfail: {}", "'fail' occurs twice"),
        ("a: &x {}\nfail: *x", "anchors"),
        ("fail: &x {nodes: [n1]}", "anchors"),
        ("!!python/object/apply:os.system [true]", "Correct the YAML"),
        ("[" * 5000, "Correct the YAML"),
        ("? [a]\n: 1", "Correct the"),
        ("name: nothing", "asks nothing"),
        ("advice: {for_failure: true}", "needs fail"),
        ("singles: true\ncascade: {}", "needs fail or random"),
        ("fail: {node: [n1]}", "fail.node"),
        ("fail: {links: [[n1]]}", "fail.links.0.1"),
        ("fail: {}\nhello_s: 0", "hello_s"),
        ("fail: {}\nretries: -1", "retries"),
        ("random: {k: -1}", "random.k"),
        ("random: {k: 1, of: towers}", "random.of"),
        ("random: {k: 1, correlation: 2}", "random.correlation"),
        ("availability: {node: {mtbf: 0, mttr: 1}}", "availability.node.mtbf"),
        ("availability: {node: {mtbf: .inf, mttr: 1}}", "availability.node.mtbf"),
        ("advice: {links: 0}", "advice.links"),
        ("worst_pairs: 0", "worst_pairs"),
        ("fail: {}\ntraffic: {flows: [{source: a, destination: b, rate: 0}]}", "flows.0.rate"),
        ("x" * (MAX_BYTES + 1), "longer than"),
    ],
)
def test_faulty_files_are_explained(text: str, said: str) -> None:
    """What is wrong is named, with what to do, whatever the file holds."""
    with pytest.raises(InvalidInput) as caught:
        parse(text, "tonight.yaml")
    assert "tonight.yaml" in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fail: {nodes: [n99]}", "no mesh node n99"),
        ("fail: {links: [[n0, n2]]}", "not neighbours"),
        ("fail: {groups: [mats]}\ngroups: {mast: {}}", "Did you mean mast"),
        ("singles: true\ngroups: {mast: {nodes: [n99]}}", "no mesh node n99"),
        ("availability: {groups: {mast: {mtbf: 1, mttr: 1}}}", "no group mast"),
        ("random: {k: 9}", "there are 8"),
        ("fail: {}\ncascade: {}", "no link has a capacity"),
        ("fail: {}\ntraffic: {}", "no node sends anything"),
        ("fail: {}\npairs: [[n0, n99]]", "no mesh node n99"),
    ],
)
def test_impossible_questions_are_explained(text: str, said: str) -> None:
    """What the mesh does not have is a typed error too."""
    with pytest.raises((InvalidInput, UnknownNode), match=said):
        answer(parse(text), MESH)
