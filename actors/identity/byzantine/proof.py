"""Proof that a node told two stories: two of its signed advertisements with one stamp.

The proof is itself an entry of the link-state database, the origin's last under that key (see
`claim`). The database joins it like any other, so the join stays associative, commutative and
idempotent, `version` rises when it is merged, and databases that hold it are equal whichever two
stories prove it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from actors.identity.byzantine.claim import (
    QUARANTINE,
    decoded,
    encoded,
    generation_of,
    incarnation,
    is_quarantine,
)
from actors.topology.advertisement import Lsa

if TYPE_CHECKING:
    from collections.abc import Sequence

_LENGTHS: Final = struct.Struct(">IIII")
MAX_EVIDENCE: Final = 1 << 20  # bytes


class Story(NamedTuple):
    """An advertisement as it was signed."""

    content: bytes
    signature: bytes


def contradict(one: Lsa, other: Lsa) -> bool:
    """Whether an honest origin cannot have said both."""
    same = one.origin == other.origin and one.stamp == other.stamp
    return same and one != other and not is_quarantine(one)


def proof(one: Lsa, other: Lsa, mesh: bytes) -> Lsa:
    """The quarantine of the origin of two signed advertisements that contradict each other."""
    stories = sorted((encoded(lsa, mesh), lsa.signature) for lsa in (one, other))
    (first, first_signed), (second, second_signed) = stories
    lengths = _LENGTHS.pack(len(first), len(first_signed), len(second), len(second_signed))
    evidence = b"".join((lengths, first, first_signed, second, second_signed))
    last = incarnation(generation_of(one), QUARANTINE)
    return Lsa(one.origin, last, 0, signature=evidence)


def evidence(quarantine: Lsa, mesh: bytes) -> Sequence[Story] | None:
    """The two stories that prove it, if both signatures are good; None: they prove nothing."""
    data = quarantine.signature
    if not _LENGTHS.size <= len(data) <= MAX_EVIDENCE:
        return None
    lengths = _LENGTHS.unpack_from(data)
    if len(data) != _LENGTHS.size + sum(lengths):
        return None
    parts, start = [], _LENGTHS.size
    for length in lengths:
        parts.append(data[start : start + length])
        start += length
    stories = Story(parts[0], parts[1]), Story(parts[2], parts[3])
    one, other = (decoded(story.content, mesh) for story in stories)
    if one is None or other is None or not contradict(one, other):
        return None
    if one.origin != quarantine.origin or generation_of(one) != generation_of(quarantine):
        return None
    return stories
