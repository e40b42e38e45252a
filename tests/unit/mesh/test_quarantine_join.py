"""Proofs in the link-state database: still a join, of which `version` is a measure."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity.byzantine.claim import (
    MAX_GENERATION,
    MAX_NODES,
    MAX_RESTARTS,
    QUARANTINE,
    Form,
    decoded,
    encoded,
    incarnation,
)
from actors.identity.byzantine.proof import evidence, proof
from actors.identity.byzantine.signed_advertisements import Check
from actors.mesh.lsdb import LinkStateDatabase
from actors.topology.advertisement import Lsa
from tests.examples import share
from tests.unit.mesh.distrust import MESH, key_of
from tests.unit.mesh.worlds import grid

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = MESH.encode()
MAP = grid(3, 2)


def signed(lsa: Lsa) -> Lsa:
    """The advertisement with its origin's signature."""
    signature = key_of(lsa.origin).sign(encoded(lsa, NAME))
    return Lsa(
        lsa.origin,
        lsa.incarnation,
        lsa.sequence,
        lsa.neighbours,
        lsa.costs,
        lsa.suspects,
        signature,
    )


def told(origin: int, sequence: int, cost: int) -> Lsa:
    """What a node says at one stamp, one story for each cost."""
    return signed(Lsa(origin, 1, sequence, (origin + 1,), (cost,)))


tellings = st.builds(told, st.integers(0, 2), st.integers(1, 3), st.integers(1, 3))
proofs = st.builds(
    lambda origin, sequence, costs: proof(
        told(origin, sequence, costs[0]), told(origin, sequence, costs[1]), NAME
    ),
    st.integers(0, 2),
    st.integers(1, 3),
    st.sampled_from(list(permutations((1, 2, 3), 2))),
)


def honest_or_proven(found: Sequence[Lsa]) -> list[Lsa]:
    """What admission lets into a database: of each stamp one story, and proofs."""
    first: dict[tuple[int, int], Lsa] = {}
    return [lsa for lsa in found if first.setdefault((lsa.origin, lsa.stamp), lsa) == lsa]


@given(st.lists(st.one_of(tellings, proofs), max_size=10), st.randoms())
@settings(max_examples=share(1))
def test_the_database_is_a_join_with_proofs_in_it(found: list[Lsa], random: object) -> None:
    """Any order and number gives equal databases of equal version, which rises with news."""
    found = honest_or_proven(found)
    one, other = LinkStateDatabase(), LinkStateDatabase()
    for lsa in found:
        before, news = one.version, one.join(lsa)
        assert (one.version > before) == news
    shuffled = [*found, *found[:3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other.merge(shuffled)
    assert one == other
    assert (one.version, one.digest) == (other.version, other.digest)
    for lsa in found:
        if lsa.incarnation & QUARANTINE == QUARANTINE:
            held = one.get(lsa.origin)
            assert held is not None
            assert held.neighbours == ()


def test_versions_stay_in_63_bits() -> None:
    """The largest stamp of the largest mesh, for every node, is a version that a head can carry."""
    last = Lsa(0, incarnation(MAX_GENERATION, QUARANTINE), 2**32 - 1)
    assert last.stamp * MAX_NODES <= np.iinfo(np.int64).max
    beyond = Lsa(0, incarnation(3, QUARANTINE), 0)
    assert Lsa(0, incarnation(3, MAX_RESTARTS), 2**32 - 1).stamp < beyond.stamp
    assert beyond.stamp < Lsa(0, incarnation(4, 1), 1).stamp


@given(lsa=tellings, place=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=share(1))
def test_an_advertisement_has_one_encoding(lsa: Lsa, place: int, bit: int) -> None:
    """What is decoded is what was encoded; other bytes are another advertisement or none."""
    data = encoded(lsa, NAME)
    assert decoded(data, NAME) == lsa
    assert decoded(data, b"other") is None
    changed = bytearray(data)
    changed[place % len(data)] ^= 1 << bit
    again = decoded(bytes(changed), NAME)
    assert again is None or (again != lsa and encoded(again, NAME) == bytes(changed))


@given(
    pair=st.sampled_from(list(permutations((1, 2, 3), 2))),
    place=st.integers(0, 10_000),
    bit=st.integers(0, 7),
)
@settings(max_examples=share(1))
def test_a_proof_proves_and_nothing_else_does(pair: tuple[int, int], place: int, bit: int) -> None:
    """Both stories are there with good signatures; with any bit changed they prove nothing."""
    quarantine = proof(told(1, 2, pair[0]), told(1, 2, pair[1]), NAME)
    public = key_of(1).public_key().public_bytes_raw()

    def holds(lsa: Lsa) -> bool:
        stories = evidence(lsa, NAME)
        return stories is not None and all(
            Check(public, story.content, story.signature).holds() for story in stories
        )

    assert holds(quarantine)
    tampered = bytearray(quarantine.signature)
    tampered[place % len(tampered)] ^= 1 << bit
    assert not holds(Lsa(1, quarantine.incarnation, 0, signature=bytes(tampered)))
    assert not holds(Lsa(2, quarantine.incarnation, 0, signature=quarantine.signature))
    next_key = incarnation(1, QUARANTINE)
    assert not holds(Lsa(1, next_key, 0, signature=quarantine.signature))


def test_one_story_told_twice_proves_nothing() -> None:
    """Neither the same story, nor stories of two stamps, are a contradiction."""
    for one, other in ((told(1, 2, 1), told(1, 2, 1)), (told(1, 2, 1), told(1, 3, 2))):
        assert evidence(proof(one, other, NAME), NAME) is None


def test_what_no_honest_node_says_has_no_form() -> None:
    """Foreign links, costs out of range, disorder and proofs with contents are refused unread."""
    form = Form(MAP)
    assert Lsa(0, 1, 1, (1, 3), (256, 300)) in form
    assert Lsa(0, incarnation(0, QUARANTINE), 0) in form
    for wrong in (
        Lsa(-1, 1, 1),
        Lsa(6, 1, 1),
        Lsa(0, 1, -1),
        Lsa(0, 1, 1 << 32),
        Lsa(0, incarnation(MAX_GENERATION + 1, 1), 1),
        Lsa(0, 1, 1, (3, 1), (256, 256)),
        Lsa(0, 1, 1, (1, 1), (256, 256)),
        Lsa(0, 1, 1, (1, 4), (256, 256)),
        Lsa(0, 1, 1, (1,), ()),
        Lsa(0, 1, 1, (1,), (0,)),
        Lsa(0, 1, 1, (1,), (1 << 16,)),
        Lsa(0, 1, 1, suspects=(4,)),
        Lsa(0, incarnation(0, QUARANTINE), 1),
        Lsa(0, incarnation(0, QUARANTINE), 0, (1,), (1,)),
    ):
        assert wrong not in form
