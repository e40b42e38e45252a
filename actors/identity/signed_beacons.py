"""The beacons of one shard: signs those of its nodes, and lets only proven Hellos of others count.

This is the `BeaconGuard` of `actors.mesh.guard`. Keys of an epoch are made in a thread, since each
takes a signature with ML-DSA-65; until a node has one it says no beacon, and so is not heard by
other shards. Nodes of one shard hear each other without: one process holds the keys of all.

A partition's nodes begin an epoch together: when they come to this shard, when a node is new, and
each `epoch_s` seconds. If that fails the present keys stay in use up to their end, twice that long;
then the nodes fall silent to other shards rather than be believed for longer.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from actors.identity.beacon import BeaconSigner
from actors.identity.beacon_judge import BeaconJudge, BeaconReason
from actors.identity.boot_epoch import begin_epoch
from actors.identity.enrolment import Enrolment, derived_seed, fingerprint, seed_in
from actors.identity.errors import EnrolmentUnreadable
from actors.runtime import log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from actors.identity.pqc_watch import PqcWatch
    from actors.topology.model import Topology

USE: Final = "ml-dsa-65"
RETRY_S: Final = 5.0  # after an epoch that could not begin
REFUSED_RETRY_S: Final = 60.0  # after one in which another key was enrolled for some nodes

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class BeaconOptions:
    """How beacons are signed and judged; the same for all shards.

    Attributes:
        epoch_s: length of an epoch, s.
        skew_s: how far the clocks of two nodes may differ, s.
    """

    epoch_s: float = 3600.0
    skew_s: float = 5.0


class _Epoch(NamedTuple):
    """The keys of a partition's nodes."""

    began: float  # Unix time, s
    signers: dict[str, BeaconSigner]
    refused: list[str]  # nodes for which another key is enrolled


@dataclass(slots=True)
class _Partition:
    nodes: tuple[str, ...]
    due_at: float = 0.0  # Unix time at which the next epoch begins, s
    making: Future[_Epoch] | None = None
    epoch: _Epoch | None = None


class SignedBeacons:
    """Signs and judges the beacons of one shard.

    Args:
        directory: of the mesh, with seeds, epochs and the registry.
        options: the same for all shards.
        watch: is told what happens.
        clock: Unix time, s.
        run: runs what takes long.
    """

    def __init__(
        self,
        directory: Path,
        options: BeaconOptions,
        watch: PqcWatch,
        clock: Callable[[], float] = time.time,
        run: ThreadPoolExecutor | None = None,
    ) -> None:
        self._directory = directory
        self._mesh = directory.name
        self._options = options
        self._watch = watch
        self._clock = clock
        self._run = run or ThreadPoolExecutor(1, thread_name_prefix="beacon-keys")
        self._enrolment = Enrolment(directory)
        self._judge = BeaconJudge(self._mesh, self._enrolled, options.skew_s, clock())
        self._ids: tuple[str, ...] = ()
        self._partitions: dict[int, _Partition] = {}
        self._signers: dict[str, BeaconSigner] = {}
        self._incidents: list[tuple[str, int, int]] = []
        self._unreadable = ""

    # -- the Protocol ----------------------------------------------------------------------------

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """The map, and the nodes of each hosted partition, from now on."""
        self._ids = topology.ids
        before, self._partitions = self._partitions, {}
        for number, nodes in hosted.items():
            names = tuple(topology.ids[node] for node in nodes)
            old = before.get(number)
            if old is None or old.nodes != names:  # the present keys do until the new ones are made
                old = _Partition(names, epoch=None if old is None else old.epoch)
            self._partitions[number] = old
        self._judge.forget(set(topology.ids))
        self._gather()
        self._tend()

    def beacons(self, nodes: NDArray[np.int32], now: float) -> dict[int, bytes]:  # noqa: ARG002
        """What hosted nodes say along with their Hellos, by node; the same to all who hear it."""
        self._tend()
        wall = self._clock()
        said = {}
        for node in set(nodes.tolist()):
            signer = self._signers.get(self._ids[node])
            if signer is not None and wall * 1000 <= signer.certificate.ends:
                said[node] = signer.beacon(wall)
        return said

    def hear(
        self,
        nodes: NDArray[np.int32],
        beacons: Mapping[int, bytes],
        now: float,  # noqa: ARG002 - of the host, which is no time of day
    ) -> NDArray[np.bool_] | None:
        """Which of `nodes`, whose Hellos came with `beacons`, count as heard."""
        wall = self._clock()
        taken = {node for node in set(nodes.tolist()) if self._counts(node, beacons, wall)}
        self._watch.beacons_taken(len(taken))
        return np.fromiter((node in taken for node in nodes.tolist()), bool, len(nodes))

    def incidents(self) -> list[tuple[str, int, int]]:
        """Refusals by reason; the same one of one node now and then only, see `PqcWatch`."""
        self._watch.tick()
        self._tend()
        found, self._incidents = self._incidents, []
        return found

    # -- what operators see ----------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """The epochs of hosted nodes, and what is known of others, as JSON types."""
        self._tend()
        now = self._clock()
        return {
            "signing": {
                name: {"epoch": signer.certificate.epoch, "sequence": signer.sequence}
                for name, signer in self._signers.items()
            },
            "without_key": [
                name
                for partition in self._partitions.values()
                for name in partition.nodes
                if name not in self._signers
            ],
            "heard": {
                name: {"epoch": heard.window.epoch, "age_s": round(max(now - heard.at, 0.0), 3)}
                for name, heard in self._judge.heard.items()
                if heard.at
            },
            "refused": {str(reason): n for reason, n in self._watch.refused.items()},
        }

    # -- judging ---------------------------------------------------------------------------------

    def _counts(self, node: int, beacons: Mapping[int, bytes], wall: float) -> bool:
        name, beacon = self._ids[node], beacons.get(node)
        before = self._judge.heard.get(name)
        epoch = -1 if before is None else before.window.epoch
        reason = BeaconReason.ABSENT if beacon is None else self._judge.judge(name, beacon, wall)
        if reason is not None:
            if self._watch.beacon_refused(reason, name):
                self._incidents.append((f"beacon-refused:{reason}", node, -1))
            return False
        if self._judge.heard[name].window.epoch != epoch:
            for signer in self._signers.values():
                signer.introduce()
        return True

    def _enrolled(self, name: str) -> bytes | None:
        try:
            return self._enrolment.enrolled(name, USE)
        except (EnrolmentUnreadable, OSError) as error:  # nobody is known until it is mended
            if str(error) != self._unreadable:
                self._unreadable = str(error)
                _log.error("the registry of keys cannot be read", why=str(error))
            return None

    # -- keys of our own -------------------------------------------------------------------------

    def _tend(self) -> None:
        """Take in the epochs that are made, and begin those that are due."""
        now = self._clock()
        for number, partition in self._partitions.items():
            if partition.making is not None and partition.making.done():
                self._take_in(number, partition, partition.making, now)
            if partition.making is None and now >= partition.due_at:
                partition.making = self._run.submit(
                    _begin, self._directory, number, partition.nodes, self._options, now
                )

    def _gather(self) -> None:
        """Bring the keys of all hosted nodes together."""
        epochs = [one.epoch for one in self._partitions.values() if one.epoch is not None]
        self._signers = {name: key for epoch in epochs for name, key in epoch.signers.items()}

    def _take_in(
        self, number: int, partition: _Partition, made: Future[_Epoch], now: float
    ) -> None:
        partition.making = None
        try:
            epoch = made.result()
        except Exception as error:  # noqa: BLE001 - whatever it is, the present keys stay
            partition.due_at = now + RETRY_S
            self._watch.rotation_failed("beacons", f"partition {number}: {error}")
            return
        length_s = self._options.epoch_s
        if epoch.refused:
            some = ", ".join(epoch.refused[:3])
            why = f"another key is enrolled for {len(epoch.refused)} nodes, such as {some}"
            self._watch.rotation_failed("beacons", f"partition {number}: {why}")
            length_s = min(length_s, REFUSED_RETRY_S)  # an operator may have it forgotten
        if partition.epoch is not None:
            self._watch.rotated("beacons")
        partition.epoch, partition.due_at = epoch, epoch.began + length_s
        self._gather()


def _begin(
    directory: Path, number: int, nodes: Sequence[str], options: BeaconOptions, now: float
) -> _Epoch:
    """Begin an epoch for the nodes of a partition: on disk, certified, enrolled."""
    seed = seed_in(directory / f"partition-{number:02d}.seed")
    epoch = begin_epoch(directory / f"partition-{number:02d}.epoch", now, options.skew_s)
    begins, ends = int(now * 1000), int((now + 2 * options.epoch_s) * 1000)
    signers = {}
    for name in nodes:
        own = derived_seed(seed, directory.name, name, USE)
        signers[name] = BeaconSigner.begin(own, directory.name, name, epoch, begins, ends)
    keys = {name: fingerprint(one.certificate.lasting_key) for name, one in signers.items()}
    refused = Enrolment(directory).enrol(keys, USE)
    for name in refused:
        del signers[name]
    return _Epoch(now, signers, refused)
