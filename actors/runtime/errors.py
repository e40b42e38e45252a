# ruff: noqa: N818 - an error is named by its condition (MailboxFull), as an operator would say it
"""The one tree of errors that this project raises.

    X0Error                     500
    ├── ConfigurationError      500  a setting, flag or environment variable is wrong
    ├── InvalidInput            422  something given from outside breaks a rule
    │   └── TopologyError       422  a map of the network cannot be read
    ├── UnknownNode             404  no mesh node has that id
    ├── Conflict                409  the state does not allow it now
    │   └── StalePlacement      409  asked with an outdated node-to-shard map
    ├── MailboxFull             429  a node takes no more messages for the moment
    ├── Unavailable             503  works again by itself or after a stated action
    │   ├── ShardUnavailable    503  the process that hosts a node is restarting
    │   ├── NodeSilent          503  the node itself has failed
    │   └── MeshNotRunning      503  nothing is up
    └── JournalCorrupt          500  a journal cannot be read past an offset

Invariants: every error says what failed, why, and what to do about it; it has one HTTP status; it
survives pickling with all its fields, so it crosses processes unchanged. Fields live in the
instance, never as class defaults: Ray wraps an actor's error in a class derived from it whose
instance looks missing attributes up in the original, and a class default would hide them.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CLOSE_MATCHES = 3


def close_matches(word: str, known: Iterable[str]) -> str:
    """Say which of `known` the author of `word` may have meant; empty when none is close."""
    close = difflib.get_close_matches(word, list(known), n=CLOSE_MATCHES)
    return f"Did you mean {' or '.join(close)}?" if close else ""


class X0Error(Exception):
    """Root of the tree.

    Attributes:
        what: what failed, without a full stop.
        why: the cause, without a full stop.
        remedy: what the reader can do, a sentence.
    """

    http_status: ClassVar[int] = 500

    what: str
    why: str
    remedy: str

    def __init__(self, what: str, why: str, remedy: str, **fields: object) -> None:
        super().__init__(what, why, remedy)
        self.__dict__.update(fields, what=what, why=why, remedy=remedy)

    def __str__(self) -> str:
        return f"{self.what}: {self.why.removesuffix('.')}. {self.remedy}"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception pickles as cls(*args), which fails for subclasses with their own signature.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[X0Error], args: tuple[object, ...], fields: dict[str, object]) -> X0Error:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class ConfigurationError(X0Error):
    """A setting is wrong; nothing was started. `variable` is the name to correct."""

    variable: str

    def __init__(self, what: str, why: str, remedy: str, *, variable: str) -> None:
        super().__init__(what, why, remedy, variable=variable)


class InvalidInput(X0Error):
    """Input from outside breaks a rule.

    Attributes:
        source: where it came from (file, URL, "argument"), without credentials.
        entry: which part of it, such as `links[17].source_tq`; empty for the whole.
    """

    http_status = 422

    source: str
    entry: str

    def __init__(
        self, what: str, why: str, remedy: str, *, source: str = "argument", entry: str = ""
    ) -> None:
        super().__init__(what, why, remedy, source=source, entry=entry)


class TopologyError(InvalidInput):
    """A map of the network cannot be used; what was running keeps its previous map."""


class UnknownNode(X0Error):
    """No mesh node has the id `node`. `known` serves to suggest, and is not kept."""

    http_status = 404

    node: str

    def __init__(self, node: str, *, known: Iterable[str] = ()) -> None:
        remedy = close_matches(node, known) or "Give an id that the topology contains."
        what = f"no mesh node {node or 'without an id'}"
        super().__init__(what, "the topology has no such id", remedy, node=node)


class Conflict(X0Error):
    """The request is sound, and what is there now forbids it."""

    http_status = 409


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
    """The node `node` holds `capacity` messages already; retry after `retry_after_s` seconds."""

    http_status = 429

    node: str
    capacity: int
    retry_after_s: float

    def __init__(self, node: str, *, capacity: int, retry_after_s: float) -> None:
        super().__init__(
            f"mailbox of {node} is full",
            f"it holds its capacity of {capacity} messages",
            f"Retry after {retry_after_s:g} s, or raise X0TTA6BL4_MAILBOX_CAPACITY.",
            node=node,
            capacity=capacity,
            retry_after_s=retry_after_s,
        )


class Unavailable(X0Error):
    """Not now. `retry_after_s` is a hint in seconds, not a promise."""

    http_status = 503

    retry_after_s: float

    def __init__(
        self, what: str, why: str, remedy: str, *, retry_after_s: float, **fields: object
    ) -> None:
        super().__init__(what, why, remedy, retry_after_s=retry_after_s, **fields)


class ShardUnavailable(Unavailable):
    """The shard actor named `shard` does not answer; Ray is restarting it."""

    shard: str

    def __init__(self, shard: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(
            f"shard {shard} does not answer",
            "its process ended or is restarting",
            f"Retry after {retry_after_s:g} s; accepted messages are kept.",
            retry_after_s=retry_after_s,
            shard=shard,
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


class MeshNotRunning(Unavailable):
    """There is no mesh to ask. `missing` names what was looked for."""

    missing: str

    def __init__(
        self,
        missing: str = "mesh",
        *,
        why: str = "no mesh is running",
        remedy: str = "Start one with `x0 up`.",
        retry_after_s: float = 5.0,
    ) -> None:
        super().__init__(
            f"cannot find {missing}",
            why,
            remedy,
            retry_after_s=retry_after_s,
            missing=missing,
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
