"""What a host asks before it believes anything that a node says, or says anything for one.

The mesh itself believes every node: that is the open guard, which costs nothing. Who wants proof
gives each host a `Guard` made of one or both parts: one for advertisements, one for beacons (what
accompanies Hellos). The parts are Protocols, since those that implement them are not of the mesh.

Signatures are checked like routes are computed: `job()` takes what is to be checked,
`VerifyJob.run()` is a pure function for any thread, `install()` takes the verdicts in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from actors.mesh.channel import Channel
    from actors.runtime.metrics import Metrics
    from actors.topology.advertisement import Lsa
    from actors.topology.model import Topology


Incident = tuple[str, int, int]
"""What a guard has found out: its kind, the node, and another node that it concerns or -1."""


class VerifyJob(Protocol):
    """Signatures to be checked; shares nothing that changes while it runs."""

    def run(self) -> Sequence[bool]:
        """Which of them are good."""
        ...

    def __len__(self) -> int:
        """How many there are."""
        ...


class AdvertisementGuard(Protocol):
    """Vouches for advertisements."""

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """The map, and the nodes of each hosted partition (by its number), from now on."""
        ...

    def first_incarnation(self, node: int, restarts: int) -> int:
        """The incarnation that a hosted node begins with, after its partition's `restarts`."""
        ...

    def sign(self, lsa: Lsa, now: float) -> Lsa | None:
        """A hosted node's own advertisement as the others will believe it; None: it may not."""
        ...

    def offer(self, lsas: Iterable[Lsa], sender: int, receiver: int, now: float) -> list[Lsa]:
        """What is believed at once of `lsas`, which the hosted `receiver` heard from `sender`.

        The rest is refused, or waits for `job`.
        """
        ...

    @property
    def due(self) -> bool:
        """Whether anything waits to be checked."""
        ...

    def job(self, now: float) -> VerifyJob | None:
        """What is to be checked next, or None. One at a time."""
        ...

    def install(self, verdicts: Sequence[bool], now: float) -> list[tuple[int, Lsa]]:
        """Take in the verdicts of the last job; what is now believed, with its sender or -1."""
        ...

    def routable(self, news: Sequence[Lsa], now: float) -> list[Lsa]:
        """What routes are to be computed from, after the database has merged `news`."""
        ...

    def lapse(self, now: float) -> list[Lsa]:
        """As `routable`, of what has changed by the passing of time alone."""
        ...

    def amended(self, now: float) -> list[int]:
        """Hosted nodes whose advertisements are to say something else now."""
        ...

    def clear(self, nodes: Iterable[int]) -> list[int]:
        """Give hosted nodes that were proven to lie another chance; those that now have one."""
        ...

    def report(self, now: float) -> dict[str, Any]:
        """What operators may want to know, as JSON types; empty if everything is believed."""
        ...

    def incidents(self) -> list[Incident]:
        """What was found out since the last call, for the events of the host."""
        ...


class BeaconGuard(Protocol):
    """Vouches for Hellos."""

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """The map, and the nodes of each hosted partition (by its number), from now on."""
        ...

    def beacons(self, nodes: NDArray[np.int32], now: float) -> dict[int, bytes]:
        """What hosted nodes say along with their Hellos, by node; the same to all who hear it."""
        ...

    def hear(
        self, nodes: NDArray[np.int32], beacons: Mapping[int, bytes], now: float
    ) -> NDArray[np.bool_] | None:
        """Which of `nodes`, whose Hellos came with `beacons`, count as heard; None: all."""
        ...

    def incidents(self) -> list[Incident]:
        """What was found out since the last call, for the events of the host."""
        ...

    def report(self) -> dict[str, Any]:
        """What operators may want to know, as JSON types."""
        ...


class OpenAdvertisements:
    """Believes every advertisement."""

    due = False

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """See `AdvertisementGuard.attend`."""

    def first_incarnation(self, node: int, restarts: int) -> int:  # noqa: ARG002 - the Protocol's
        """See `AdvertisementGuard.first_incarnation`."""
        return restarts

    def sign(self, lsa: Lsa, now: float) -> Lsa | None:  # noqa: ARG002 - the Protocol's
        """See `AdvertisementGuard.sign`."""
        return lsa

    def offer(  # believes all
        self,
        lsas: Iterable[Lsa],
        sender: int,  # noqa: ARG002 - the Protocol's
        receiver: int,  # noqa: ARG002 - the Protocol's
        now: float,  # noqa: ARG002 - the Protocol's
    ) -> list[Lsa]:
        """See `AdvertisementGuard.offer`."""
        return list(lsas)

    def job(self, now: float) -> VerifyJob | None:  # noqa: ARG002 - the Protocol's
        """See `AdvertisementGuard.job`."""
        return None

    def install(
        self,
        verdicts: Sequence[bool],  # noqa: ARG002 - the Protocol's
        now: float,  # noqa: ARG002 - the Protocol's
    ) -> list[tuple[int, Lsa]]:
        """See `AdvertisementGuard.install`."""
        return []

    def routable(self, news: Sequence[Lsa], now: float) -> list[Lsa]:  # noqa: ARG002
        """See `AdvertisementGuard.routable`."""
        return list(news)

    def lapse(self, now: float) -> list[Lsa]:  # noqa: ARG002 - the Protocol's
        """See `AdvertisementGuard.lapse`."""
        return []

    def amended(self, now: float) -> list[int]:  # noqa: ARG002 - the Protocol's
        """See `AdvertisementGuard.amended`."""
        return []

    def clear(self, nodes: Iterable[int]) -> list[int]:  # noqa: ARG002 - the Protocol's
        """See `AdvertisementGuard.clear`."""
        return []

    def report(self, now: float) -> dict[str, Any]:  # noqa: ARG002 - the Protocol's
        """See `AdvertisementGuard.report`."""
        return {}

    def incidents(self) -> list[Incident]:
        """See `AdvertisementGuard.incidents`."""
        return []


class OpenBeacons:
    """Takes every Hello as it comes."""

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """See `BeaconGuard.attend`."""

    def beacons(self, nodes: NDArray[np.int32], now: float) -> dict[int, bytes]:  # noqa: ARG002
        """See `BeaconGuard.beacons`."""
        return {}

    def hear(
        self,
        nodes: NDArray[np.int32],  # noqa: ARG002 - the Protocol's
        beacons: Mapping[int, bytes],  # noqa: ARG002 - the Protocol's
        now: float,  # noqa: ARG002 - the Protocol's
    ) -> NDArray[np.bool_] | None:
        """See `BeaconGuard.hear`."""
        return None

    def incidents(self) -> list[Incident]:
        """See `BeaconGuard.incidents`."""
        return []

    def report(self) -> dict[str, Any]:
        """See `BeaconGuard.report`."""
        return {}


@dataclass(frozen=True, slots=True)
class Guard:
    """Both guards of one host."""

    advertisements: AdvertisementGuard = field(default_factory=OpenAdvertisements)
    beacons: BeaconGuard = field(default_factory=OpenBeacons)

    def attend(self, topology: Topology, hosted: Mapping[int, Sequence[int]]) -> None:
        """The map, and the nodes of each hosted partition (by its number), from now on."""
        self.advertisements.attend(topology, hosted)
        self.beacons.attend(topology, hosted)

    def incidents(self) -> list[Incident]:
        """What was found out since the last call, for the events of the host."""
        return self.advertisements.incidents() + self.beacons.incidents()


Held = Callable[[int], "Lsa | None"]
"""What a host's database holds of an origin."""


class GuardMaker(Protocol):
    """Makes the guards of a shard inside its process, where its nodes' keys are; picklable."""

    def advertisements(
        self, shard: str, directory: Path, metrics: Metrics, held: Held
    ) -> AdvertisementGuard | None:
        """The guard of advertisements; None: the open one. Keys are kept under `directory`."""
        ...

    def beacons(self, shard: str, directory: Path, metrics: Metrics) -> BeaconGuard | None:
        """The guard of beacons; None: the open one. Keys are kept under `directory`."""
        ...

    def channel(self, shard: str, directory: Path, metrics: Metrics) -> Channel | None:
        """What carries envelopes to other shards; None: they are sent as they are."""
        ...


def guard_of(
    maker: GuardMaker | None, shard: str, directory: Path, metrics: Metrics, held: Held
) -> Guard:
    """The guard that a shard's maker makes, open where it makes none."""
    if maker is None:
        return Guard()
    return Guard(
        maker.advertisements(shard, directory, metrics, held) or OpenAdvertisements(),
        maker.beacons(shard, directory, metrics) or OpenBeacons(),
    )
