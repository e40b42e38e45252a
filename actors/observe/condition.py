"""How well an observed network is known, in numbers and sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from actors.observe.contract import LinkCondition, NodeState
from actors.topology.provenance import Network, Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.observe.contract import ObservedNetwork, ObservedNode, SourceState


def troubles(network: ObservedNetwork | None, sources: Sequence[SourceState]) -> tuple[str, ...]:
    """Why what is known of the network is not to be trusted as it stands; empty if nothing is.

    That single nodes or links are down is what a network is like, and no trouble.

    Args:
        network: the network; None: only the sources are judged.
        sources: how they are.
    """
    said = [
        f"{source.name} is {source.state}" + (f": {source.why}" if source.why else "")
        for source in sources
        if source.state != "ok"
    ]
    said += [
        f"what is used of {source.name} is too old ({_age(source.age_s)})"
        for source in sources
        if source.stale and source.state not in {"ok", "stale"}
    ]
    if network is not None and not any(_works(node) for node in network.nodes):
        said.append("no node is up" if network.nodes else "it has no nodes")
    return tuple(said)


def provenance(sources: Sequence[SourceState]) -> Provenance:
    """Where an observed network is known from."""
    ages = [source.age_s for source in sources if source.age_s is not None]
    notes = tuple(f"{source.name}: {note}" for source in sources for note in source.notes)
    return Provenance(
        Network.OBSERVED,
        ", ".join(source.name for source in sources),
        left_out(sources),
        troubles(None, sources) + notes,
        max(ages, default=None),
    )


def left_out(sources: Sequence[SourceState]) -> dict[str, int]:
    """Number of records that were left out, by reason."""
    total: Counter[str] = Counter()
    for source in sources:
        total.update(source.left_out)
    return dict(total)


def altered(sources: Sequence[SourceState]) -> dict[str, int]:
    """Number of records that were used otherwise than they stand, by reason."""
    total: Counter[str] = Counter()
    for source in sources:
        total.update(source.altered)
    return dict(total)


def document(network: ObservedNetwork, sources: Sequence[SourceState]) -> dict[str, Any]:
    """The network in numbers, and its sources, as plain values. Ages in s."""
    links = Counter(link.state for link in network.links)
    where = provenance(sources)
    return {
        "network": str(where.network),
        "source": where.source,
        "troubles": list(troubles(network, sources)),
        "at": network.at,
        "age_s": where.age_s,
        **_members(network),
        "links": {str(state): links[state] for state in LinkCondition},
        "left_out": dict(where.left_out),
        "altered": altered(sources),
        "sources": [source_document(source) for source in sources],
    }


def _members(network: ObservedNetwork) -> dict[str, Any]:
    """The nodes in numbers; gateways and clients of those that work."""
    states = Counter(node.state for node in network.nodes)
    working = [node for node in network.nodes if _works(node)]
    counted = [node.clients for node in working if node.clients is not None]
    return {
        "members": len(network.nodes),
        "nodes": {str(state): states[state] for state in NodeState},
        "parts": len({node.part for node in working if node.part}),
        "main_part": sum(node.part == network.main_part for node in working),
        "gateways": sum(node.gateway is True for node in working),
        "without_gateway": sum(node.reaches_gateway is False for node in working),
        "clients": sum(counted) if counted else None,
    }


def source_document(source: SourceState) -> dict[str, Any]:
    """A source as plain values."""
    # `asdict` makes something else of a Counter.
    counts = {"left_out": dict(source.left_out), "altered": dict(source.altered)}
    return asdict(replace(source, left_out={}, altered={})) | counts


def _works(node: ObservedNode) -> bool:
    return node.state in {NodeState.UP, NodeState.CUT_OFF}


def _age(age_s: float | None) -> str:
    return "of unknown age" if age_s is None else f"{age_s:,.0f} s"
