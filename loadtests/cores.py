"""Processor time by kind of process, while something is measured: what a figure was limited by."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import psutil

from actors.mesh.actor import MeshShard
from loadtests import footprint
from loadtests.bare_app import NAME as BARE
from serve_apps.gateway.app import NAME as GATEWAY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cluster.local import LocalCluster

_HAPROXY: Final = "haproxy"


def http_groups(cluster: LocalCluster) -> dict[str, list[psutil.Process]]:
    """The processes of a cluster with a gateway, by what they do; `load` is this process."""
    kinds = {
        "shards": MeshShard.__name__,
        "gateway": f"ServeReplica:{GATEWAY}:{GATEWAY}",
        "bare": f"ServeReplica:{BARE}:{BARE}",
    }
    groups = {name: footprint.actors(cluster, [kind]) for name, kind in kinds.items()}
    known = {process for group in groups.values() for process in group}
    others = [p for p in footprint.everything(cluster) if p not in known]
    groups[_HAPROXY] = [p for p in others if p.name() == _HAPROXY]
    groups["ray"] = [p for p in others if p.name() != _HAPROXY]
    groups["load"] = [psutil.Process()]
    return groups


class CoresUsed:
    """Processor time per second of wall time, summed over the blocks that it is entered for.

    Args:
        groups: living processes by kind.
    """

    def __init__(self, groups: Mapping[str, Sequence[psutil.Process]]) -> None:
        self._groups = groups
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._wall = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()
        self._add(-1)

    def __exit__(self, *_exception: object) -> None:
        self._add(1)
        self._wall += time.monotonic() - self._began

    def _add(self, sign: int) -> None:
        for name, group in self._groups.items():
            self._spent[name] += sign * footprint.cpu_s(group)

    def cores(self) -> dict[str, float]:
        """Cores used by each kind."""
        return {name: round(spent / self._wall, 3) for name, spent in self._spent.items()}
