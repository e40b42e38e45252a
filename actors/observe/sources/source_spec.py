"""`KIND:WHERE`: which source is meant, and the options that a file of sources can add.

A bare path or http(s) URL is a `map`. Where may carry credentials (a password in a URL, a key in a
query or a command): `SourceSpec` shows itself without them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from actors.observe.sources import command
from actors.observe.sources.source_kinds import KINDS
from actors.runtime.errors import InvalidInput, close_matches
from actors.topology import fetch
from actors.topology.formats.metrics import AUTO

MAX_LENGTH: Final = 65_536
_SHOWN: Final = 60
BY_NAME: Final = {kind.name: kind for kind in KINDS}
_COMMANDS: Final = ("batctl", "alfred", "command")


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """Which source to open, and how to use it.

    Attributes:
        kind: a name of `source_kinds.KINDS`.
        where: as the kind wants it; it may be secret.
        interval_s: least time between two polls, s; 0: each poll of the observer asks it.
        timeout_s: longest time of a poll, s; None: the kind's own.
        quality: what the qualities of a map are, see `metrics.QUALITIES`.
        community: the community that its nodes belong to where they do not say themselves.
        monitor: babeld: keep listening between polls.
    """

    kind: str
    where: str = field(repr=False)
    interval_s: float = 0.0
    timeout_s: float | None = None
    quality: str = AUTO
    community: str = ""
    monitor: bool = False

    def __str__(self) -> str:
        if self.kind in _COMMANDS:
            return f"{self.kind}:{command.shown(self.where)}"
        where = fetch.shown(self.where) if self.kind == "map" else self.where
        return f"{self.kind}:{where[:_SHOWN]}{'...' if len(where) > _SHOWN else ''}"


def parse(text: str) -> SourceSpec:
    """The source that a text names.

    Raises:
        InvalidInput: there is no such kind, or nothing behind the colon.
    """
    text = text.strip()
    if not text or len(text) > MAX_LENGTH or "\0" in text:
        raise _refused(text, "it is empty" if not text else "it is too long, or has a NUL")
    kind, colon, where = text.partition(":")
    if not colon or "/" in kind or kind in {".", "~"}:
        return SourceSpec("map", text)
    if kind.lower() in {"http", "https"} and where.startswith("//"):
        return SourceSpec("map", text)
    if kind not in BY_NAME:
        hint = close_matches(kind, BY_NAME) or f"Kinds are {', '.join(BY_NAME)}."
        raise _refused(
            kind,
            "there is no such kind of source",
            f"{hint} `x0 source kinds` explains them; a file of such a name is map:{kind}:...",
        )
    if not where.strip():
        usage = BY_NAME[kind]
        raise _refused(
            text, f"nothing says where: {kind}:{usage.where}", f"For example {usage.example}"
        )
    return SourceSpec(kind, where.strip())


def _refused(text: str, why: str, remedy: str = "") -> InvalidInput:
    shown = text[:_SHOWN] + ("..." if len(text) > _SHOWN else "")
    return InvalidInput(
        f"cannot use the source {shown}".rstrip(),
        why,
        remedy or "Give KIND:WHERE; `x0 source kinds` lists the kinds.",
        source="--source",
        entry=shown,
    )
