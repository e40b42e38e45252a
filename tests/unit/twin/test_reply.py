"""A whole reply: it says its mesh, draws what matters most, and can be watched and ended."""

from __future__ import annotations

import json
from typing import Any

import networkx as nx
import pytest

from actors.topology.model import Topology
from actors.twin import progress
from actors.twin.conditions import Conditions, Traffic
from actors.twin.intact import Intact
from actors.twin.reply import reply
from actors.twin.results import About, Reply
from actors.twin.scenario import of

# A cycle of four with a chain of two at node 0: 4 - 5.
CHAIN = Topology.of([f"n{i}" for i in range(6)], [(0, 1), (1, 2), (2, 3), (3, 0), (0, 4), (4, 5)])


def ask(known: Intact, *, plot: bool = False, **asked: Any) -> Reply:
    about = About(
        live=False, source="test", nodes=6, links=6, links_down=0, hello_s=known.conditions.hello_s
    )
    return reply(of(asked), about, known, plot=plot)


@pytest.mark.parametrize(
    ("asked", "pictured"),
    [
        ({"fail": {"links": [["n4", "n5"]]}, "singles": True}, ["n4--n5"]),
        ({"fail": {}}, []),
        ({"singles": True}, ["n0"]),
        ({"worst_pairs": 1, "singles": True}, ["n0", "n2"]),
        ({"random": {"k": 6, "samples": 2}}, list(CHAIN.ids)),
        ({"random": {"k": 6, "of": "links", "samples": 2}}, ["all links"]),
        ({"advice": {"links": 1}}, []),
    ],
)
def test_the_picture_shows_the_failure_that_matters(
    asked: dict[str, Any], pictured: list[str]
) -> None:
    """What was asked about, else the costliest in the answer, else the mesh as it is."""
    known = Intact(CHAIN)
    if pictured == ["all links"]:
        pictured = [CHAIN.link_name(link) for link in range(CHAIN.n_links)]
    found = ask(known, plot=True, **asked)
    assert found.picture is not None
    assert found.picture.startswith(b"\x89PNG")
    assert found.pictured == tuple(pictured)
    assert ask(known, **asked).picture is None


def test_a_reply_is_json_and_says_its_mesh() -> None:
    """The mesh comes first, then every answer."""
    found = ask(Intact(CHAIN), singles=True).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["mesh"]["source"] == "test"
    assert found["single_failures"]["nodes"] == 6


@pytest.mark.parametrize("change", [{}, {"hello_s": 0.2}, {"retries": 0}])
def test_what_is_known_is_used_only_where_it_holds(change: dict[str, Any]) -> None:
    """The answer is the one of a mesh that nobody has asked before, whatever is known of it."""
    quality = [[0.5, 0.9]] * 6
    world = Topology.of(CHAIN.ids, CHAIN.ends, quality)
    known = Intact(world, Conditions(hello_s=2.0))
    asked = {"fail": {"nodes": ["n1"]}, **change}
    first, again = ask(known, **asked), ask(known, **asked)
    fresh = ask(Intact(world, Conditions(hello_s=2.0)), **asked)
    assert first.answer == again.answer == fresh.answer
    assert ("routes" in known.__dict__) == (not change)


def test_conditions_with_traffic_are_never_the_same() -> None:
    """Arrays are not compared, so a mesh with traffic is computed anew."""
    plain = Conditions()
    assert plain.same(Conditions())
    assert not plain.same(Conditions(traffic=Traffic(uniform=1.0)))
    assert not plain.same(Conditions(seed=2))


def test_long_work_says_how_far_it_is_and_can_be_ended() -> None:
    """Shares never fall within one kind of work; what a watcher raises ends it."""
    ring = nx.cycle_graph(40)
    known = Intact(Topology.of([f"n{i}" for i in ring], list(ring.edges)))
    told: dict[str, list[float]] = {}

    def note(what: str, share: float | None) -> None:
        if share is not None:
            told.setdefault(what, []).append(share)

    asked: dict[str, Any] = {
        "random": {"k": 2, "samples": 100_000},
        "worst_pairs": 3,
        "availability": {"node": {"mtbf": 9, "mttr": 1}},
        "advice": {"links": 3},
    }
    with progress.watched(note):
        ask(known, **asked)
    assert {"random failed sets", "pairs of nodes", "availability", "links to add"} == set(told)
    for shares in told.values():
        assert shares == sorted(shares)
        assert all(0 <= share < 1 for share in shares)

    def end(what: str, share: float | None) -> None:
        if share is not None and share > 0:
            raise TimeoutError(what)

    with pytest.raises(TimeoutError, match="pairs of nodes"), progress.watched(end):
        ask(known, **asked)
    ask(known, singles=True)  # nobody watches any more
