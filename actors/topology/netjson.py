"""Read a NetJSON NetworkGraph (netjson.org, draft RFC, "NetworkGraph").

`nodes[].id`, `links[].source`, `.target` and `.cost` are read, and `metric` tells what a cost
means. How a cost becomes a delivery probability in its direction, by metric:

- `ETX` and olsrd's names for it (`etx_ff`, `etx_float`, `etx_fpm`): cost = 1 / (d_f * d_r) >= 1
  is about both directions together, so each is taken as sqrt(1 / cost).
- `TQ` (batman-adv): cost = 255 / TQ >= 1, as batadv-vis prints it, is about one direction,
  which is 1 / cost.
- none (null, absent, `none`, `static`, `hop`, `hops`, `hop_count`): costs do not tell quality;
  links are taken as lossless, and a warning says so.

Any other metric is refused: a guess would make every path wrong in silence.

A link listed in one direction only is taken to be equal in the other. Listed in both (as OLSR
does), each entry stands for its own direction, so that two views of one ETX meet in their
geometric mean. Of entries for one direction the cheapest stays, and the others are counted as
parallel. NetJSON has no word for the kind of a link; all are `other`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from actors.topology.model import KINDS
from actors.topology.selection import Imported, Published, Wanted, select

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.topology.document import Document

FORMAT = "NetJSON"
TYPE = "NetworkGraph"

_ETX: Final = ("etx", "etx_ff", "etx_float", "etx_fpm")
_TQ: Final = ("tq",)
_NONE: Final = ("", "none", "static", "hop", "hops", "hop_count")


def read(document: Document, wanted: Wanted) -> Imported:
    """Turn a NetJSON NetworkGraph into a topology.

    Raises:
        TopologyError: something in it is missing, malformed or out of range.
    """
    if document.root.get("type") != TYPE:
        document.refuse("type", f"it is not {TYPE}", f"Give a NetJSON object of type {TYPE}.")
    quality_of, warnings = _metric(document)
    nodes = document.records("nodes")
    for at, node in enumerate(nodes):
        if "id" not in node:
            document.refuse(f"nodes[{at}].id", "it is missing", "Give each node its id.")
    ids = [document.node_id(node["id"], f"nodes[{at}].id") for at, node in enumerate(nodes)]
    if not ids:
        document.refuse("nodes", "it lists no node", "Give a map with nodes and links.")
    links = document.records("links")
    ends = document.ends(links, document.index_of_ids(ids, "nodes[{}].id"))
    directed: dict[tuple[int, int], float] = {}
    repeated = 0
    for at, (link, pair) in enumerate(zip(links, ends, strict=True)):
        cost = document.number(link, "cost", f"links[{at}]")
        quality = quality_of(cost, f"links[{at}].cost")
        repeated += pair in directed
        directed[pair] = max(quality, directed.get(pair, 0.0))
    # One link for each pair of nodes, in the direction in which the map mentions it first.
    first: dict[frozenset[int], tuple[int, int]] = {}
    for pair in directed:
        first.setdefault(frozenset(pair), pair)
    forth = list(first.values())
    published = Published(
        ids,
        np.array(forth, dtype=np.int64).reshape(-1, 2),
        np.array(
            [(directed[a, b], directed.get((b, a), directed[a, b])) for a, b in forth],
            dtype=np.float64,
        ).reshape(-1, 2),
        np.full(len(forth), KINDS.index("other")),
        KINDS,
    )
    if not wanted.vpn:
        warnings += ("NetJSON does not tell which links are VPN; none was left out for it.",)
    topology, left_out = select(published, wanted, document)
    if repeated:
        left_out["parallel links"] = repeated
    return Imported(topology, FORMAT, left_out, warnings)


def _metric(document: Document) -> tuple[Callable[[float, str], float], tuple[str, ...]]:
    """Return how (cost, entry) becomes a quality in [0, 1], and warnings about it."""
    name = document.text(document.root, "metric", "", default="none")

    def from_etx(cost: float, entry: str) -> float:
        return math.sqrt(1 / at_least_one(cost, entry))

    def from_tq(cost: float, entry: str) -> float:
        return 1 / at_least_one(cost, entry)

    def lossless(_cost: float, _entry: str) -> float:
        return 1.0

    def at_least_one(cost: float, entry: str) -> float:
        if cost < 1:
            document.refuse(
                entry,
                f"{cost:g} is less than 1, the {name} of a perfect link",
                "Give costs of 1 and more.",
            )
        return cost

    metric = name.casefold()
    if metric in _ETX:
        return from_etx, ()
    if metric in _TQ:
        return from_tq, ()
    if metric in _NONE:
        return lossless, ("The map has no metric; its links are taken as lossless.",)
    known = ", ".join((*_ETX, *_TQ, *filter(None, _NONE)))
    return document.refuse(
        "metric",
        f"what a cost in {name[:40]!a} says about delivery is not known",
        f"Publish one of {known}.",
    )
