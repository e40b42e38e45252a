# ruff: noqa: N818 - an error is named by its condition (MailboxFull), as an operator would say it
"""Errors of the mesh.

Conflict
├── NoEmulatedMesh          409  this session only observes a real network
├── NothingSealed           409  this mesh sends envelopes as they are
└── StalePlacement          409  asked with an outdated node-to-shard map
Unavailable
├── ActorUnavailable
│   └── ShardUnavailable    503  the process that hosts a node is restarting
└── NodeSilent              503  the node itself has failed
X0Error
├── MailboxFull             429  a node takes no more messages for the moment
└── JournalCorrupt          500  a journal cannot be read past an offset
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.runtime.errors import ActorUnavailable, Conflict, Unavailable, X0Error

if TYPE_CHECKING:
    from pathlib import Path


class NoEmulatedMesh(Conflict):
    """The session only observes a real network, of which no node runs here."""

    def __init__(self) -> None:
        super().__init__(
            "there is no emulated mesh",
            "this session only observes a real network, on which nothing is sent or broken",
            "Ask `x0 status`, `x0 what-if` or GET /v1/network about it; `x0 down`, then"
            " `x0 up --from-observed` emulates it.",
        )


class NothingSealed(Conflict):
    """Something sealed came to a shard of a mesh that seals nothing."""

    def __init__(self, shard: str) -> None:
        super().__init__(
            f"{shard} cannot open what came",
            "this mesh was started without X0TTA6BL4_PQC_BEACONS",
            "Start all its shards with it, or none.",
        )


class StalePlacement(Conflict):
    """A shard was asked with a map of nodes to shards that is out of date.

    Attributes:
        partition: the partition asked for.
        owner: name of the shard actor that owns it now.
        held: version of the map that the shard holds.
        asked: version of the map that the caller used.
    """

    partition: int
    owner: str
    held: int
    asked: int

    def __init__(self, *, partition: int, owner: str, held: int, asked: int) -> None:
        super().__init__(
            f"partition {partition} is not here",
            f"placement version {asked} was used and version {held} gives it to {owner}",
            f"Fetch the placement again and ask {owner}.",
            partition=partition,
            owner=owner,
            held=held,
            asked=asked,
        )


class MailboxFull(X0Error):
    """The node `node` takes no more messages; retry after `retry_after_s` seconds.

    Attributes:
        node: id of the node.
        capacity: number of messages that it holds; None if unknown.
        retry_after_s: seconds after which there may be room.
    """

    http_status = 429

    node: str
    capacity: int | None
    retry_after_s: float

    def __init__(self, node: str, *, capacity: int | None, retry_after_s: float) -> None:
        held = "as many messages as it may" if capacity is None else f"{capacity} messages"
        super().__init__(
            f"mailbox of {node} is full",
            f"it holds {held}",
            f"Retry after {retry_after_s:g} s, or raise X0TTA6BL4_MAILBOX_CAPACITY.",
            node=node,
            capacity=capacity,
            retry_after_s=retry_after_s,
        )


class ShardUnavailable(ActorUnavailable):
    """The actor of a shard does not answer; Ray is restarting it, and what it accepted is kept."""

    def __init__(
        self,
        shard: str,
        why: str = "its process ended or is restarting",
        *,
        retry_after_s: float = 1.0,
    ) -> None:
        super().__init__(
            shard,
            why,
            f"Retry after {retry_after_s:g} s; accepted messages are kept.",
            retry_after_s=retry_after_s,
        )


class NodeSilent(Unavailable):
    """The mesh node `node` exists and does not speak."""

    node: str

    def __init__(self, node: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(
            f"mesh node {node} is silent",
            "it has failed and accepts nothing",
            "Send from another node, or retry once it speaks again.",
            retry_after_s=retry_after_s,
            node=node,
        )


class JournalCorrupt(X0Error):
    """The journal at `path` cannot be read at byte `offset`, and more follows it."""

    path: str
    offset: int

    def __init__(self, path: str | Path, *, offset: int, why: str) -> None:
        super().__init__(
            f"journal {path} is corrupt at byte {offset}",
            why,
            "Restore the file from a copy, or move it away to start empty and lose what it holds.",
            path=str(path),
            offset=offset,
        )
