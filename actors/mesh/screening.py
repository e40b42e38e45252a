"""Whether a host speaks for its own nodes alone.

An honest host sends what its nodes say, settles what was sent to them, and gives up what they have
sent. Where nodes may lie, whatever else comes in an envelope is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages
from actors.mesh.frames import Settlement

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.mesh.frames import Envelope
    from actors.mesh.partition import Partition
    from actors.mesh.placement import Placement
    from actors.topology.model import Topology


def speaks_for_itself(envelope: Envelope, topology: Topology, placement: Placement) -> bool:
    """Whether all of an envelope is of nodes that its sender hosts, over links that exist."""
    theirs = _hosted_by(envelope.sender, placement)
    links = [envelope.data.links]
    if envelope.hellos is not None:
        links.append(envelope.hellos.links)
    if envelope.sync is not None:
        links.append(np.array([envelope.sync_link], np.int32))
    used = np.concatenate(links)
    if ((used < 0) | (used >= 2 * topology.n_links)).any():
        return False
    if not theirs[topology.link_source[used]].all():
        return False
    mine = set(placement.partitions_of(envelope.sender))
    return all(
        mine.issuperset(np.unique(messages.origin(wish.ids)).tolist()) for wish in envelope.give_up
    )


def credible(
    settlement: Settlement, sender: str, placement: Placement, mine: dict[int, Partition]
) -> Settlement:
    """The part of a settlement that is about messages to nodes of its sender."""
    theirs = _hosted_by(sender, placement)
    keep = np.zeros(len(settlement.ids), bool)
    for origin, rows in messages.by_origin(settlement.ids):
        if origin in mine:
            destination = mine[origin].outbox.destination_of(settlement.ids[rows])
            keep[rows] = (destination >= 0) & theirs[destination]
    return Settlement(settlement.ids[keep], settlement.delivered[keep])


def _hosted_by(host: str, placement: Placement) -> NDArray[np.bool_]:
    partitions = np.array([owner == host for owner in placement.shard_of], bool)
    mask: NDArray[np.bool_] = partitions[placement.partition_of]
    return mask
