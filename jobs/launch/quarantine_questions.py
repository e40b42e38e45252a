"""What the shards of the running mesh say of nodes in quarantine, and how nodes leave it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from actors.mesh import control
from actors.mesh.contract import COORDINATOR, STATUS_S
from actors.runtime.errors import X0Error
from jobs.launch import by_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from actors.mesh.membership import Membership

PATHS_S = 60.0  # longest wait for the count of paths

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Quarantine:
    """The answers.

    Attributes:
        shards: `ShardContract.quarantine` of each; empty ones: every node is believed.
        down: shards that do not answer, and why.
        liars: number of lying nodes that the mesh withstands.
        paths: from one node, the number of disjoint paths to each other node by its id, at most one
            more than liars; None: not asked.
        names: names of nodes by id, of those that have one.
    """

    shards: Mapping[str, dict[str, Any]]
    down: Mapping[str, str]
    liars: int
    paths: Mapping[str, int] | None
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of nodes that were to leave the quarantine, by id."""

    cleared: tuple[str, ...]
    not_proven: tuple[str, ...]
    names: Mapping[str, str]


def asked(source: str | None) -> Quarantine:
    """What all shards answer, and how many disjoint paths lead from a node, if one is given.

    Raises:
        NotRunning: no session runs, or it has no emulated mesh.
        UnknownNode: there is no such node.
    """
    return _with_mesh(lambda: _ask(source))


def clear(nodes: Sequence[str]) -> Cleared:
    """Give nodes that were proven to lie another key.

    Raises:
        NotRunning: no session runs, or it has no emulated mesh.
        UnknownNode: there is no such node.
        Unavailable: a node's shard does not answer.
    """
    return _with_mesh(lambda: _clear(nodes))


def _with_mesh(ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
    from serve_apps.settings import Settings

    return by_socket.asked_or_joined(Settings.load(), COORDINATOR, ask)


async def _ask(source: str | None) -> Quarantine:
    coordinator = control.coordinator(timeout_s=STATUS_S)
    membership, options = await asyncio.gather(coordinator.membership(), coordinator.options())
    names = membership.placement.shards
    answers = dict(zip(names, await asyncio.gather(*map(_one, names)), strict=True))
    liars = options.shard.host.liars
    paths = None if source is None else await _paths(membership, source, liars + 1)
    return Quarantine(
        {name: answer for name, answer in answers.items() if not isinstance(answer, str)},
        {name: answer for name, answer in answers.items() if isinstance(answer, str)},
        liars,
        paths,
        _names(membership),
    )


async def _one(name: str) -> dict[str, Any] | str:
    try:
        return await control.shard(name, timeout_s=STATUS_S).quarantine()
    except X0Error as error:  # a shard that is down is part of the answer
        return error.why


async def _paths(membership: Membership, source: str, most: int) -> dict[str, int]:
    node = membership.naming().find(source)
    others = np.flatnonzero(membership.present).astype(np.int32)
    others = others[others != node]
    shard = _shard_of(membership, node)
    counts = await control.shard(shard, timeout_s=PATHS_S).disjoint_paths(node, others, most)
    ids = membership.topology.ids
    return {ids[to]: count for to, count in zip(others.tolist(), counts.tolist(), strict=True)}


async def _clear(nodes: Sequence[str]) -> Cleared:
    membership = await control.coordinator(timeout_s=STATUS_S).membership()
    find, ids = membership.naming().find, membership.topology.ids
    cleared: list[str] = []
    left: list[str] = []
    for node in sorted({find(name) for name in nodes}):
        done = await control.shard(_shard_of(membership, node)).clear_quarantine([node])
        (cleared if done else left).append(ids[node])
    return Cleared(tuple(cleared), tuple(left), _names(membership))


def _shard_of(membership: Membership, node: int) -> str:
    placement = membership.placement
    return placement.shard_of[int(placement.partition_of[node])]


def _names(membership: Membership) -> dict[str, str]:
    naming = membership.topology.naming
    return {node: name for node in membership.topology.ids if (name := naming.name_of(node))}
