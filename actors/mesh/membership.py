"""What all shards must agree on: topology, placement, and the faults injected into the medium.

Kept on disk by the coordinator, so that node indices and partitions mean the same after a restart
of everything: journals speak of nodes by index.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from actors.mesh.lies import Lie
from actors.mesh.placement import Placement, place
from actors.runtime.state_files import write_atomic
from actors.topology import diff
from actors.topology.model import Topology
from actors.topology.naming import Naming
from actors.topology.node_table import NodeTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Faults:
    """What was broken on purpose, by indices of nodes."""

    silent: frozenset[int] = frozenset()
    cut: frozenset[tuple[int, int]] = frozenset()  # pairs of nodes, the smaller index first
    lies: frozenset[tuple[int, Lie]] = frozenset()  # nodes that lie, and about what


@dataclass(frozen=True, slots=True)
class Membership:
    """One agreed state of the mesh.

    Attributes:
        topology: node indices never change their meaning; nodes that left have no links.
        present: bool [n_nodes], False for nodes that left.
        placement: map of nodes to shards; its version names this membership.
        faults: the injected faults.
    """

    topology: Topology
    present: NDArray[np.bool_]
    placement: Placement
    faults: Faults = Faults()

    @classmethod
    def begin(cls, topology: Topology, shards: Sequence[str]) -> Membership:
        """The membership of a mesh that never ran before."""
        return cls(topology, np.ones(topology.n_nodes, bool), place(topology, shards))

    def naming(self) -> Naming:
        """Finds the nodes that are present by what people call them."""
        ids = self.topology.ids
        index = {ids[at]: at for at in np.flatnonzero(self.present).tolist()}
        return Naming(index, self.topology.nodes.names)

    def updated(self, topology: Topology) -> Membership:
        """The next membership, with a newer map of the same network."""
        merged = diff.merge(self.topology, topology)
        return replace(
            self,
            topology=merged.topology,
            present=merged.present,
            placement=self.placement.extended(merged.topology),
        )

    def moved(self, partitions: Sequence[int], shard: str) -> Membership:
        """The next membership, in which `shard` hosts these partitions."""
        return replace(self, placement=self.placement.moved(partitions, shard))

    def restarted(self, shards: Sequence[str]) -> Membership:
        """The next membership after all shards ended: partitions spread over `shards` again."""
        count = len(self.placement.shard_of)
        placement = replace(
            self.placement,
            version=self.placement.version + 1,
            shard_of=tuple(shards[number % len(shards)] for number in range(count)),
        )
        return replace(self, placement=placement, faults=Faults())

    def save(self, path: Path) -> None:
        """Write to `path` in one step."""
        header = {
            "ids": self.topology.ids,
            "names": self.topology.nodes.names,
            "kinds": self.topology.kinds,
            "version": self.placement.version,
            "shard_of": self.placement.shard_of,
            "silent": sorted(self.faults.silent),
            "cut": sorted(self.faults.cut),
            "lies": sorted(self.faults.lies),
        }
        buffer = io.BytesIO()
        np.savez(
            buffer,
            header=np.frombuffer(json.dumps(header).encode(), np.uint8),
            ends=self.topology.ends,
            quality=self.topology.quality,
            kind=self.topology.kind,
            measured=self.topology.measured,
            parallel=self.topology.parallel,
            gateway=self.topology.nodes.gateway,
            clients=self.topology.nodes.clients,
            location=self.topology.nodes.location,
            present=self.present,
            partition_of=self.placement.partition_of,
        )
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Membership | None:
        """The membership saved at `path`; None if there is none."""
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as saved:
            header = json.loads(saved["header"].tobytes())
            topology = Topology(
                tuple(header["ids"]),
                saved["ends"],
                saved["quality"],
                saved["kind"],
                tuple(header["kinds"]),
                **_besides(header, saved),
            )
            placement = Placement(
                header["version"], saved["partition_of"], tuple(header["shard_of"])
            )
            faults = Faults(
                frozenset(header["silent"]),
                frozenset((a, b) for a, b in header["cut"]),
                frozenset((node, Lie(lie)) for node, lie in header.get("lies", ())),
            )
            return cls(topology, saved["present"], placement, faults)


def _besides(header: Mapping[str, Any], saved: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """The columns of a topology that a file of an earlier version does not have."""
    if "names" not in header:
        return {}
    columns = (saved[column] for column in ("gateway", "clients", "location"))
    return {
        "measured": saved["measured"],
        "parallel": saved["parallel"],
        "nodes": NodeTable(tuple(header["names"]), *columns),
    }
