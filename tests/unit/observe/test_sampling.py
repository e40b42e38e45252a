"""What is measured of the observed network, in columns: unknown is NaN, old figures are none."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from actors.observe.contract import (
    LinkCondition,
    NodeState,
    ObservedLink,
    ObservedNetwork,
    ObservedNode,
)
from actors.observe.sampling import sampled


def node(id_: str, state: NodeState, **known: Any) -> ObservedNode:
    """A node of which nothing is known but this."""
    nothing: dict[str, Any] = {field.name: None for field in fields(ObservedNode)}
    return ObservedNode(
        **nothing | {"id": id_, "name": "", "state": state, "telemetry": {}} | known
    )


def link(a: str, b: str, state: LinkCondition, *quality: float | None) -> ObservedLink:
    cost = tuple(None if q is None else 1 / q for q in quality)
    rest = {"since": 0.0, "usual": None, "metric": "tq", "parallel": 1, "sources": ()}
    return ObservedLink(a, b, "wifi", state, quality=quality, cost=cost, **rest)  # type: ignore[arg-type]


def test_all_members_and_links_are_rows_and_figures_are_of_now() -> None:
    """A silent node has a row and a state; what it said last is not sampled again and again."""
    network = ObservedNetwork(
        at=0.0,
        event=1,
        main_part=1,
        nodes=(
            node("a", NodeState.UP, name="tower", clients=3, telemetry={"load": 0.5}),
            node("b", NodeState.CUT_OFF, telemetry={"memory": 0.2}),
            node("c", NodeState.SILENT, clients=9, telemetry={"load": 7.0}),
        ),
        links=(
            link("a", "b", LinkCondition.DEGRADED, 0.5, None),
            link("b", "c", LinkCondition.DOWN, 0.9, 0.9),
        ),
    )
    found = sampled(network)
    assert found.nodes.ids == ("a", "b", "c")
    assert found.nodes.names == ("tower", "", "")
    assert found.nodes.states == ("up", "cut_off", "silent")
    figures = found.nodes.figures
    np.testing.assert_array_equal(figures["load"], [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(figures["memory"], [np.nan, 0.2, np.nan])
    np.testing.assert_array_equal(figures["clients"], [3, np.nan, np.nan])
    np.testing.assert_array_equal(figures["links"], [1, 1, 0])
    assert found.links.states == ("degraded", "down")
    np.testing.assert_array_equal(found.links.figures["quality_ab"], [0.5, np.nan])
    np.testing.assert_array_equal(found.links.figures["quality_ba"], [np.nan, np.nan])
    np.testing.assert_array_equal(found.links.figures["cost_ab"], [2.0, np.nan])


def test_an_empty_network_is_a_sample() -> None:
    """Of no rows."""
    found = sampled(ObservedNetwork(0.0, 0, 0, (), ()))
    assert (found.nodes.ids, found.links.a) == ((), ())
