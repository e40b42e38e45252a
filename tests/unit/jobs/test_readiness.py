"""When a mesh counts as ready."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from actors.mesh.contract import MeshStatus, ShardStatus
from actors.mesh.formation import Formation, joined, neighbours_up
from actors.mesh.membership import Faults, Membership
from actors.runtime.errors import ActorUnavailable, Unavailable
from actors.topology.model import Topology
from jobs.launch.readiness import wait

SHARD = ShardStatus(
    name="mesh-shard-00",
    pid=1,
    version=3,
    partitions=(0,),
    hears=("mesh-shard-01",),
    nodes=4,
    left=0,
    unheard=0,
    neighbours=6,
    neighbours_up=5,
    silent=0,
    database=8,
    database_version=77,
    digest=5,
    routes_version=77,
    open_messages=0,
    unread_messages=0,
    unread_of_left=0,
    in_transit=0,
    hop_count=0,
    largest_lag_s=0.0,
    starved_s=0.0,
    rss_bytes=1,
)
OTHER = replace(SHARD, name="mesh-shard-01", hears=("mesh-shard-00",), neighbours_up=6)
JOINED = frozenset({("mesh-shard-00", "mesh-shard-01")})
READY = MeshStatus(
    source="radio:8",
    format="radio",
    left_out={},
    warnings=(),
    nodes=8,
    links=6,
    placement_version=3,
    joined=JOINED,
    faults=Faults(),
    shards=(SHARD, OTHER),
    down={},
    last_refresh_error="",
)


def missing(status: MeshStatus) -> list[str]:
    return Formation(hold_s=1.0).missing(status, 0.0)


def test_nothing_is_missing_when_all_agree() -> None:
    """Equal digests, all advertisements and current routes everywhere mean ready."""
    assert missing(READY) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "placement 3 is not everywhere: mesh-shard-00 3, mesh-shard-01 2"),
        ({"database": 7}, "advertisements: 7 of 8"),
        ({"digest": 6}, "the shards' databases differ"),
        ({"routes_version": 76}, "mesh-shard-01: routes are being computed"),
    ],
)
def test_what_one_shard_lacks_is_said(change: dict[str, int], said: str) -> None:
    """One shard that is behind in one respect keeps the mesh from being ready, by name."""
    status = replace(READY, shards=(SHARD, replace(OTHER, **change)))  # type: ignore[arg-type]
    assert missing(status) == [said]


def test_a_shard_that_does_not_answer_is_all_that_is_said() -> None:
    """While a shard is down nothing else is worth saying, even if none answers."""
    assert missing(replace(READY, shards=(), down={"mesh-shard-00": "no answer yet"})) == [
        "mesh-shard-00: no answer yet"
    ]


APART = replace(SHARD, hears=(), database=4, digest=4), replace(OTHER, hears=(), database=4)


def test_parts_of_the_map_need_not_know_each_other() -> None:
    """Shards that no link of the map joins, not over others either, have databases of their own."""
    status = replace(READY, shards=APART)
    assert missing(status) == ["advertisements: 4 of 8", "the shards' databases differ"]
    assert missing(replace(status, joined=frozenset())) == []
    third = replace(APART[1], name="mesh-shard-02", database=3)
    chain = JOINED | {("mesh-shard-02", "mesh-shard-01")}
    assert missing(replace(status, shards=(*APART, third), joined=chain, nodes=12)) == [
        "advertisements: 3 of 12",
        "the shards' databases differ",
    ]
    assert missing(replace(status, shards=(*APART, third), joined=frozenset())) == [
        "advertisements: 11 of 12"
    ]


def test_shards_that_never_hear_each_other_are_waited_for_as_long_as_a_neighbour() -> None:
    """Links too weak to come up delay readiness by the hold time after the last change; once they
    are up, the databases have to become equal."""
    formation = Formation(hold_s=1.0)
    apart = replace(READY, shards=APART)
    meeting = replace(READY, shards=(replace(APART[0], hears=("mesh-shard-01",)), APART[1]))
    assert formation.missing(apart, 10.0) != []
    assert formation.missing(apart, 10.9) != []
    assert formation.missing(apart, 11.1) == []
    assert formation.missing(meeting, 11.2) != []
    assert formation.missing(meeting, 99.0) == [
        "advertisements: 4 of 8",
        "the shards' databases differ",
    ]
    assert formation.missing(READY, 99.1) == []


def test_the_pairs_of_shards_that_links_join() -> None:
    """Two parts on a shard each are joined by nothing, two halves of a chain are."""
    parts = Topology.of("abcd", [(0, 1), (2, 3)])
    assert joined(Membership.begin(parts, ("one", "two"))) == frozenset()
    chain = Topology.of("abcd", [(0, 1), (1, 2), (2, 3)])
    assert joined(Membership.begin(chain, ("one", "two"))) in (
        frozenset({("one", "two")}),
        frozenset({("two", "one")}),
    )


def test_neighbours_are_counted_over_all_shards() -> None:
    """Links up and links in all, over the shards, and they do not decide readiness."""
    assert neighbours_up(READY) == (11, 12)


class Mesh:
    """Answers with one status after another, the last for ever; None for no answer."""

    def __init__(self, *answers: MeshStatus | None) -> None:
        self.answers = list(answers)
        self.said: list[str] = []

    async def ask(self) -> MeshStatus:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is None:
            raise ActorUnavailable("mesh-coordinator")
        return answer

    async def wait(self, *, hold_s: float = 0.0, timeout_s: float = 5.0) -> MeshStatus:
        return await wait(self.ask, self.said.append, hold_s, timeout_s)


ALL_UP = replace(READY, shards=(replace(SHARD, neighbours_up=6), OTHER))
BEHIND = replace(READY, shards=(SHARD, replace(OTHER, database=7)))


async def test_a_mesh_whose_neighbours_are_all_up_is_ready_at_once() -> None:
    """Nothing is waited for when nothing is missing, and what was missing is said once."""
    mesh = Mesh(None, BEHIND, BEHIND, ALL_UP)
    assert await mesh.wait(hold_s=60.0) is ALL_UP
    assert mesh.said == [
        "waiting for actor mesh-coordinator does not answer",
        "waiting for advertisements: 7 of 8",
    ]


async def test_hopeless_neighbours_are_waited_for_as_long_as_the_hold() -> None:
    """Links that never come up delay readiness by the hold time, counted from the first moment
    that all else was there, whatever wobbles meanwhile."""
    started = asyncio.get_running_loop().time()
    # Without the hold, the answer at the end of the time would be an error.
    assert await Mesh(READY, BEHIND, READY).wait(hold_s=0.35, timeout_s=60) is READY
    assert asyncio.get_running_loop().time() - started >= 0.35


async def test_what_is_missing_at_the_end_is_in_the_error() -> None:
    """A mesh that never agrees is an error that says on what."""
    with pytest.raises(Unavailable, match=r"after 0\.2 s: advertisements: 7 of 8"):
        await Mesh(BEHIND).wait(timeout_s=0.2)
