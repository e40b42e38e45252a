"""What a planned outage silences: what the twin says will follow from it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from actors.alerts.contract import SilenceRequest
from actors.runtime.alerting import AlertName
from actors.topology import naming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.twin.results import Impact


def following(intact: Impact, failed: Impact) -> frozenset[str]:
    """The ids of the nodes that a failure takes along: they fail, or are cut off only then.

    A node is cut off if it reaches no gateway, or where no gateway is known if it is not in the
    largest part.

    Args:
        intact: the network without the failure.
        failed: the network with it.
    """
    return frozenset(failed.failed_nodes) | (_cut_off(failed) - _cut_off(intact))


def failed_links(failed: Impact) -> list[tuple[str, str]]:
    """The ids of the ends of each link that fails by itself."""
    known = {node for part in failed.components for node in part.nodes} | {*failed.failed_nodes}
    return [
        next(ends for ends in naming.link_ends(name) if known.issuperset(ends))
        for name in failed.failed_links
    ]


def _cut_off(impact: Impact) -> frozenset[str]:
    parts = impact.components
    known = any(part.reaches_gateway is not None for part in parts)
    served = [part.reaches_gateway if known else not at for at, part in enumerate(parts)]
    return frozenset(
        node for part, has in zip(parts, served, strict=True) if not has for node in part.nodes
    )


def silences(
    network: str,
    subjects: frozenset[str],
    links: Sequence[tuple[str, str]],
    window: tuple[float, float],
    comment: str,
    by: str,
) -> list[SilenceRequest]:
    """The silences of a planned outage.

    Args:
        network: `observed` or `emulated`.
        subjects: ids of the nodes that fail or are cut off.
        links: ids of the ends of the links that fail. Of their ends, which go on working, only the
            cause that is found is silenced: if one of them fails itself, people are told.
        window: its begin and its end, Unix time, s.
        comment: why.
        by: who wants it.
    """
    labels = {"network": network}
    starts, ends = window
    of_nodes = SilenceRequest(starts, ends, comment, by, labels=labels, subjects=subjects)
    return [
        *([of_nodes] if subjects else []),
        *(
            replace(
                of_nodes,
                names=frozenset({AlertName.ROOT_CAUSE_FOUND}),
                subjects=subjects.union(link),
            )
            for link in links
        ),
    ]
