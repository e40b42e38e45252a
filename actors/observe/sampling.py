"""What is measured of the observed network, in columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.observe.contract import LinkCondition, NodeState
from actors.topology.samples import LINK_FIGURES, LinkSamples, NetworkSample, NodeSamples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from actors.observe.contract import ObservedLink, ObservedNetwork, ObservedNode

_HEARD: Final = (NodeState.UP, NodeState.CUT_OFF)
_WORKING: Final = (LinkCondition.UP, LinkCondition.DEGRADED)


def sampled(network: ObservedNetwork) -> NetworkSample:
    """All members and links; figures only of those that are heard: what was known last is old."""
    return NetworkSample(_nodes(network), _links(network.links))


def _nodes(network: ObservedNetwork) -> NodeSamples:
    nodes = network.nodes
    working = [link for link in network.links if link.state in _WORKING]
    degree = Counter(end for link in working for end in (link.a, link.b))
    names = sorted({name for node in nodes for name in node.telemetry})
    figures = {name: _telemetry(nodes, name) for name in names}
    return NodeSamples(
        tuple(node.id for node in nodes),
        tuple(node.name for node in nodes),
        tuple(node.state.value for node in nodes),
        {
            **figures,
            "clients": _column(nodes, lambda node: node.clients),
            "links": np.array([degree[node.id] for node in nodes], np.float64),
        },
    )


def _links(links: Sequence[ObservedLink]) -> LinkSamples:
    columns = (
        [link.quality[0] for link in links],
        [link.quality[1] for link in links],
        [link.cost[0] for link in links],
        [link.cost[1] for link in links],
    )
    known = np.array([link.state in _WORKING for link in links], bool)
    return LinkSamples(
        tuple(link.a for link in links),
        tuple(link.b for link in links),
        tuple(link.kind for link in links),
        tuple(link.state.value for link in links),
        {
            name: np.where(known, _numbers(values), np.nan)
            for name, values in zip(LINK_FIGURES, columns, strict=True)
        },
    )


def _telemetry(nodes: Sequence[ObservedNode], name: str) -> NDArray[np.float64]:
    return _column(nodes, lambda node: node.telemetry.get(name))


def _column(
    nodes: Iterable[ObservedNode], of: Callable[[ObservedNode], float | None]
) -> NDArray[np.float64]:
    return _numbers([of(node) if node.state in _HEARD else None for node in nodes])


def _numbers(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)
