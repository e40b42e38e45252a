"""Keys of nodes: derived by who hosts them, enrolled once, renewed by operators alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from actors.identity.byzantine.claim import MAX_GENERATION
from actors.identity.byzantine.signed_advertisements import Check
from actors.identity.node_keys import NodeKeys
from actors.runtime.errors import Conflict
from tests.unit.mesh.worlds import grid

if TYPE_CHECKING:
    from pathlib import Path

MAP = grid(3, 2)
HOSTED = {0: [0, 1, 2], 1: [3, 4, 5]}


class Time:
    """A clock that each look moves on by a second."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        self._now += 1.0
        return self._now


def keys_of(directory: Path, *partitions: int) -> NodeKeys:
    """The keys as a shard with these partitions has them."""
    keys = NodeKeys(directory, Time())
    keys.attend(MAP, {number: HOSTED[number] for number in partitions})
    return keys


def test_others_can_check_what_a_node_signs(tmp_path: Path) -> None:
    """Each shard signs for its own nodes and knows everybody's public key."""
    one, other = keys_of(tmp_path, 0), keys_of(tmp_path, 1)
    signature = one.sign(1, b"said")
    known = other.public(1, 0)
    assert signature is not None
    assert known is not None
    assert known[0] == 0
    assert Check(known[1], b"said", signature).holds()
    assert not Check(known[1], b"not said", signature).holds()
    assert not Check(b"no key", b"said", signature).holds()


def test_a_shard_that_takes_over_has_the_same_keys(tmp_path: Path) -> None:
    """The seed lies beside the partition's journal, readable by its owner alone."""
    first = keys_of(tmp_path, 0).sign(2, b"said")
    assert keys_of(tmp_path, 0, 1).sign(2, b"said") == first
    for seed in tmp_path.glob("*.seed"):
        assert seed.stat().st_mode & 0o777 == 0o600


def test_another_key_for_an_enrolled_node_is_refused(tmp_path: Path) -> None:
    """With its seed lost, a node has no key that others accept, and is told of."""
    before = keys_of(tmp_path, 0).public(0, 0)
    (tmp_path / "partition-00.seed").unlink()
    keys = keys_of(tmp_path, 0)
    assert keys.sign(0, b"said") is None
    assert keys.without_key == [MAP.ids[node] for node in HOSTED[0]]
    assert keys.public(0, 0) == before


def test_a_renewed_key_is_known_when_it_is_looked_for(tmp_path: Path) -> None:
    """What bears the next generation has the registry asked again; a restart keeps it."""
    one, other = keys_of(tmp_path, 0), keys_of(tmp_path, 1)
    old = other.public(0, 0)
    one.renew(0)
    assert one.generation(0) == 1
    assert other.public(0, 0) == old
    new = other.public(0, 1)
    assert new is not None
    assert new[0] == 1
    signature = one.sign(0, b"said")
    assert signature is not None
    assert Check(new[1], b"said", signature).holds()
    again = keys_of(tmp_path, 0)
    assert again.generation(0) == 1
    assert again.sign(0, b"said") == signature


def test_generations_end(tmp_path: Path) -> None:
    """A node that was pardoned as often as stamps have room for is not pardoned again."""
    keys = keys_of(tmp_path, 0)
    for _ in range(MAX_GENERATION):
        keys.renew(0)
    with pytest.raises(Conflict, match="another key"):
        keys.renew(0)
