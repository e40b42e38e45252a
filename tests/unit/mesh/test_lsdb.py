"""The link-state database is a join semilattice with a version and a digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actors.mesh.lsdb import LinkStateDatabase
from actors.mesh.node import MeshNode
from actors.topology.advertisement import Lsa

if TYPE_CHECKING:
    from collections.abc import Iterable


def honest(origin: int, incarnation: int, sequence: int) -> Lsa:
    """What an honest origin says is a function of its stamp."""
    return Lsa(origin, incarnation, sequence, (origin + 1, origin + 1 + sequence), (256, 300))


small = st.integers(0, 5)
lsas = st.lists(st.builds(honest, small, small, small), max_size=12)
# Origins that contradict themselves (a replayed or forged advertisement) must not break the join.
forged = st.lists(
    st.builds(Lsa, small, small, small, st.tuples(small), st.tuples(small)), max_size=12
)


def of(found: Iterable[Lsa]) -> LinkStateDatabase:
    database = LinkStateDatabase()
    database.merge(found)
    return database


def joined(*databases: LinkStateDatabase) -> LinkStateDatabase:
    result = LinkStateDatabase()
    for database in databases:
        result.merge(database)
    return result


@given(lsas | forged, lsas | forged, lsas | forged)
def test_join_is_a_semilattice(a: list[Lsa], b: list[Lsa], c: list[Lsa]) -> None:
    """The join is associative, commutative and idempotent."""
    x, y, z = of(a), of(b), of(c)
    assert joined(joined(x, y), z) == joined(x, joined(y, z))
    assert joined(x, y) == joined(y, x)
    assert joined(x, x) == x
    assert joined(x, y).digest == joined(y, x).digest
    assert joined(x, y).version == joined(y, x).version


@given(lsas | forged, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(found: list[Lsa], random: object) -> None:
    """Databases that saw the same advertisements in any order and number are equal."""
    again = [*found, *found[::2]]
    random.shuffle(again)  # type: ignore[attr-defined]
    assert of(again) == of(found)
    assert of(again).version == of(found).version


@given(lsas)
def test_version_grows_exactly_with_news(found: list[Lsa]) -> None:
    """The version rises strictly with each advertisement that was news, and else stands still."""
    database = LinkStateDatabase()
    for lsa in found:
        before = database.version, database.digest, database.get(lsa.origin)
        news = database.join(lsa)
        assert news == (before[2] is None or lsa.stamp > before[2].stamp)
        if news:
            assert database.version > before[0] or lsa.stamp == 0
            assert database.get(lsa.origin) == lsa
        else:
            assert (database.version, database.digest) == before[:2]


@given(lsas, lsas)
def test_digests_are_equal_exactly_for_equal_stamps(a: list[Lsa], b: list[Lsa]) -> None:
    """Equal stamps give equal digests, different stamps different ones."""
    x, y = of(a), of(b)
    assert (x.digest == y.digest) == (x.stamps() == y.stamps())
    assert (x == y) == (x.stamps() == y.stamps())


def test_origin_and_sequence_do_not_trade_places() -> None:
    """No two of many small (origin, stamp) hash alike, or they would cancel out in a digest."""
    digests = {
        of([honest(origin, incarnation, sequence)]).digest
        for origin in range(32)
        for incarnation in range(4)
        for sequence in range(32)
    }
    assert len(digests) == 32 * 4 * 32


@given(lsas, lsas)
def test_delta_is_all_that_is_lacking(a: list[Lsa], b: list[Lsa]) -> None:
    """What is newer than a replica's stamps brings that replica to the join, and is minimal."""
    x, y = of(a), of(b)
    delta = x.newer_than(y.stamps())
    assert len(joined(y).merge(delta)) == len(delta)
    z = joined(y)
    z.merge(delta)
    assert z == joined(x, y)


def test_a_database_equals_only_databases() -> None:
    """Comparison with something else is False, and a database has no hash."""
    assert of([]) != []
    assert LinkStateDatabase.__hash__ is None
    assert len(of([honest(1, 1, 1), honest(1, 1, 2), honest(2, 1, 1)])) == 2


@given(st.lists(st.tuples(small, small), max_size=6), st.integers(1, 4))
def test_a_node_outlives_its_earlier_incarnations(
    heard: list[tuple[int, int]], incarnation: int
) -> None:
    """After hearing advertisements of its own it did not make, a node's next one beats them all."""
    node = MeshNode(3, incarnation)
    database = LinkStateDatabase()
    none = np.empty(0, np.int32)
    database.join(node.advertise(none, none))
    for other, sequence in heard:
        echo = Lsa(3, other, sequence, (1,), (256,))
        database.join(echo)
        if node.outlive(echo):
            database.join(node.advertise(none, none))
        assert database.get(3) == node.advertised
    own = node.advertised
    assert own is not None
    assert not node.outlive(own)  # hearing itself is no reason to speak
