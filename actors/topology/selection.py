"""The part of a network that becomes the mesh, and the report on the rest.

The rules, in this order; each link or node is counted under the first that leaves it out:

1. links that the source calls down;
2. links without quality above 0 in either direction: nobody hears anybody;
3. tunnels, where VPN links are not wanted. A link is one by its kind, or because one of its ends is
   a VPN server (`link_kinds`);
4. everything outside the largest component, unless all are wanted. Nodes without links, such
   as those that are offline, go here.

A direction whose quality is not known is taken to be as good as the other one, and if that is not
known either, as good as a middling one of the map (perfect, if none is known at all);
`Topology.measured` is False for it. Several links of one pair become one:
the one with the highest product of both directions (the lowest ETX), the first of equals, and of
these a measured one before an assumed one; `Topology.parallel` counts them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.runtime.ids import is_node_id
from actors.topology.formats.document import refuse
from actors.topology.formats.metrics import AUTO
from actors.topology.invariants import MAX_KINDS
from actors.topology.link_kinds import VPN, is_tunnel, is_vpn_server
from actors.topology.model import KINDS, Topology
from actors.topology.node_table import UNKNOWN_CLIENTS, NodeTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from actors.topology.network import LeftOut, NetworkLink, NetworkNode, Reading

MAX_SAID: Final = 100  # single records that are kept to be shown


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parts of a map that an operator wants.

    Attributes:
        vpn: keep tunnels.
        all_components: keep more than the largest component.
        quality: what the qualities of a meshviewer map are, one of `metrics.QUALITIES`.
    """

    vpn: bool = True
    all_components: bool = False
    quality: str = AUTO


@dataclass(frozen=True, slots=True)
class Imported:
    """A topology that was read, with what was left out of it and warnings.

    Attributes:
        topology: the topology; it has at least one link.
        format: `meshviewer`, `NetJSON`, `radio`, ...
        left_out: number of records, links or nodes left out, by reason; only numbers above 0.
        altered: number of records used, but not as they stand, by reason; only numbers above 0.
        said: the first `MAX_SAID` single records that were left out or altered.
        warnings: sentences on what is missing or odd in the map.
        records: number of records that the source had.
        share_left_out: share of them that was left out, in [0, 1].
        made_at: the source's own time, Unix time, s.
    """

    topology: Topology
    format: str
    left_out: Mapping[str, int]
    altered: Mapping[str, int] = field(default_factory=dict)
    said: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    records: int = 0
    share_left_out: float = 0.0
    made_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Links:
    """Links as columns; pairs may repeat."""

    ends: NDArray[np.int64]  # [n, 2]
    quality: NDArray[np.float64]  # [n, 2] in (0, 1]
    measured: NDArray[np.bool_]  # [n, 2]
    kind: NDArray[np.int64]  # [n]


def select(reading: Reading, wanted: Wanted) -> Imported:
    """Make the topology of a reading by the rules of this module.

    Raises:
        TopologyError: no link is left.
    """
    left_out = Counter(each.reason for each in reading.left_out)
    servers = {node.id for node in reading.nodes if is_vpn_server(node)}
    links = []
    for link in reading.links:
        reason = _why_not(link, servers, wanted)
        if reason:
            left_out[reason] += 1
        else:
            links.append(link)
    if not links:
        said = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        refuse(
            reading.source,
            "links",
            f"no usable link is left ({said or 'it has none'})",
            "Give a map in which at least two nodes hear each other.",
        )
    kinds = _kinds(links)
    index = {node.id: at for at, node in enumerate(reading.nodes)}
    columns = _columns(links, index, kinds, servers)
    whole, parallel = _folded([*index], columns, kinds, node_table(reading.nodes))
    topology = whole if wanted.all_components else _largest(whole, left_out)
    return Imported(
        topology,
        reading.format,
        dict(left_out),
        dict(Counter(each.reason for each in reading.altered)),
        (reading.left_out + reading.altered)[:MAX_SAID],
        reading.notes + _warnings(reading, topology, parallel, wanted),
        reading.records,
        reading.share_left_out,
        reading.made_at,
    )


def _why_not(link: NetworkLink, servers: set[str], wanted: Wanted) -> str:
    """The reason to leave a link out; empty if there is none."""
    if not link.up:
        return "links that are down"
    if not link.usable:
        return "links without quality in either direction"
    if not wanted.vpn and _is_vpn(link, servers):
        return "vpn links"
    return ""


def _is_vpn(link: NetworkLink, servers: set[str]) -> bool:
    return is_tunnel(link.kind) or link.a in servers or link.b in servers


def _kinds(links: Iterable[NetworkLink]) -> tuple[str, ...]:
    """Names of the kinds of link, the common ones first."""
    kinds = dict.fromkeys(KINDS)
    for link in links:
        if not is_tunnel(link.kind) and is_node_id(link.kind) and len(kinds) < MAX_KINDS:
            kinds.setdefault(link.kind)
    return tuple(kinds)


def _columns(
    links: Sequence[NetworkLink],
    index: Mapping[str, int],
    kinds: tuple[str, ...],
    servers: set[str],
) -> _Links:
    codes = {name: code for code, name in enumerate(kinds)}
    said = np.array([link.quality for link in links], dtype=np.float64)  # None becomes NaN
    # A direction that is said to be 0 beside a better one is worth nothing to compute with.
    known = said > 0
    other = np.where(known, said, said[:, ::-1])
    middling = float(np.median(said[known])) if known.any() else 1.0
    quality = np.where(known | known[:, ::-1], other, middling)
    return _Links(
        np.array([(index[link.a], index[link.b]) for link in links], dtype=np.int64),
        np.minimum(quality, 1.0),
        known,
        np.array(
            [
                codes[VPN] if _is_vpn(link, servers) else codes.get(link.kind, codes["other"])
                for link in links
            ],
            dtype=np.int64,
        ),
    )


def _folded(
    ids: list[str], links: _Links, kinds: tuple[str, ...], nodes: NodeTable
) -> tuple[Topology, int]:
    """The topology, and how many links run beside a better one of the same pair."""
    low, high = links.ends.min(axis=1), links.ends.max(axis=1)
    order = np.lexsort(
        (
            np.arange(len(low)),
            -links.quality.prod(axis=1),
            ~links.measured.any(axis=1),
            high,
            low,
        )
    )
    key = low[order] * len(ids) + high[order]
    first = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    count = np.diff(np.append(first, len(key)))
    # In the order in which the source has them.
    best = np.argsort(order[first])
    keep = order[first][best]
    topology = Topology(
        tuple(ids),
        links.ends[keep].astype(np.int32),
        links.quality[keep],
        links.kind[keep].astype(np.int8),
        kinds,
        links.measured[keep],
        np.minimum(count[best], np.iinfo(np.int16).max).astype(np.int16),
        nodes,
    )
    return topology, len(low) - len(first)


def _largest(topology: Topology, left_out: Counter[str]) -> Topology:
    """The largest component; the rest is counted."""
    largest = topology.without().largest_component()
    if largest.all():
        return topology
    inside = topology.subgraph(largest)
    nodes, links = topology.n_nodes - inside.n_nodes, topology.n_links - inside.n_links
    left_out["nodes outside the largest component"] += nodes
    if links:
        left_out["links outside the largest component"] += links
    return inside


def node_table(nodes: Sequence[NetworkNode]) -> NodeTable:
    """What is known of the nodes, one row each."""
    unknown = (np.nan, np.nan)
    return NodeTable(
        tuple(node.name for node in nodes),
        np.array([node.gateway is True for node in nodes], dtype=np.bool_),
        np.array(
            [UNKNOWN_CLIENTS if node.clients is None else node.clients for node in nodes],
            dtype=np.int32,
        ),
        np.array([node.location or unknown for node in nodes], dtype=np.float64).reshape(-1, 2),
    )


def _examples(reading: Reading) -> Iterator[str]:
    """A sentence for each reason why records were left out or altered, with the first of them."""
    for records, what in ((reading.left_out, "left out"), (reading.altered, "not read as given")):
        counts = Counter(each.reason for each in records)
        for reason, count in counts.items():
            first = next(each for each in records if each.reason == reason)
            which = "" if count == 1 else f" of {count:,}"
            yield f"{reason}, {what}: {first.entry}{which}: {first.why}."


def _warnings(
    reading: Reading, topology: Topology, parallel: int, wanted: Wanted
) -> tuple[str, ...]:
    warnings = []
    if parallel:
        warnings.append(f"{parallel} links run beside a better one of the same two nodes.")
    assumed = int((~topology.measured).any(axis=1).sum())
    if assumed:
        warnings.append(
            f"The quality of {assumed} links is not known in one direction or both, and assumed."
        )
    if not wanted.vpn and not any(link.kind != "other" for link in reading.links):
        warnings.append("The map does not tell which links are VPN; none was left out for it.")
    return (*warnings, *_examples(reading))
