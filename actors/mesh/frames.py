"""What hosts exchange: data frames over radio links, and envelopes that carry all else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from actors.mesh import batch as messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from actors.mesh.batch import MessageBatch
    from actors.mesh.neighbours import Hellos
    from actors.mesh.sync import SyncFrame


@dataclass(frozen=True, slots=True)
class DataFrames:
    """Radio frames from one host to another: one a link, each with the messages it carries.

    A frame without messages is a probe: it asks only for the acknowledgement.
    """

    links: NDArray[np.int32]  # [f] directed link of each frame
    numbers: NDArray[np.int64]  # [f] frame number, grows per link: a repetition is recognised
    frame_of: NDArray[np.int32]  # [n] the frame that carries each message
    batch: MessageBatch  # [n] the messages

    def __len__(self) -> int:
        return len(self.links)


def no_frames() -> DataFrames:
    """No data frames."""
    none = np.empty(0, np.int32)
    return DataFrames(none, np.empty(0, np.int64), none, messages.empty())


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a destination's host tells the origin's about the messages it is responsible for."""

    ids: NDArray[np.uint64]  # messages that need no further sending
    delivered: NDArray[np.bool_]  # False: given up by the origin's request, will never be delivered


@dataclass(frozen=True, slots=True)
class GiveUp:
    """An origin's wish to stop trying: messages without a route, asked of their destination."""

    partition: int  # partition of the destination
    ids: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything that one host has for another at one moment."""

    sender: str
    revision: int  # version of the placement, which changes with the numbering of links too
    hellos: Hellos | None = None
    arrived: NDArray[np.int64] | None = None  # number of copies of each Hello burst that arrived
    beacons: Mapping[int, bytes] = field(default_factory=dict)  # the latest of each node's Hellos
    data: DataFrames = field(default_factory=no_frames)
    sync: SyncFrame | None = None
    sync_link: int = -1
    settled: tuple[Settlement, ...] = ()
    give_up: tuple[GiveUp, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvelopeAnswer:
    """The reply to an envelope: which of its radio frames found somebody there."""

    heard: NDArray[np.bool_] | None  # [f] the data frames' receivers are alive; None: no room
    sync_heard: bool
