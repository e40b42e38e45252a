"""The kinds of source, in one table: what each reads, and what its `WHERE` is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source.

    Attributes:
        name: what stands before the colon.
        where: what stands behind it.
        reads: what it reads, in a phrase.
        example: a whole specification.
        options: names of the options that it heeds, besides those of every source.
    """

    name: str
    where: str
    reads: str
    example: str
    options: frozenset[str] = frozenset()


KINDS: Final = (
    SourceKind(
        "map",
        "PATH|URL",
        "a file or an http(s) address, in any format that is told by its content: meshviewer, "
        "yanic, olsrd, NetJSON, OpenWISP, CSV",
        "map:https://map.example.org/data/meshviewer.json",
        frozenset({"quality"}),
    ),
    SourceKind(
        "respondd",
        "INTERFACE|ADDRESS,...",
        "the nodes themselves, by UDP port 1001 as Gluon's respondd answers it",
        "respondd:bat0,mesh-vpn",
    ),
    SourceKind(
        "babeld",
        "[NAME=]PORT|HOST:PORT|/PATH,...",
        "the control sockets of babeld, one or many",
        "babeld:gw=/run/babeld.sock,roof=[::1]:33123",
        frozenset({"monitor"}),
    ),
    SourceKind(
        "batctl",
        "COMMAND",
        "batman-adv on one host: COMMAND is followed by mesh_json, originators_json and so on",
        "batctl:ssh gw1 batctl meshif bat0",
    ),
    SourceKind(
        "alfred",
        "COMMAND",
        "alfred's types 158, 159 and 160: COMMAND is followed by -r 158 and so on",
        "alfred:ssh gw1 alfred-json -z",
    ),
    SourceKind(
        "command",
        "COMMAND",
        "what a command prints, in any format that is told by its content: batadv-vis, for one",
        "command:ssh gw1 batadv-vis -f jsondoc",
        frozenset({"quality"}),
    ),
)
