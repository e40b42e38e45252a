"""What others may know of the watchers of payments: one Ray actor for each chain.

A watcher reads its chain into the ledger for as long as it lives. All it knows is in the ledger,
so it may be ended and started again at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from actors.runtime.actor_health import ActorContract

if TYPE_CHECKING:
    from actors.payments.chains.money import Network
    from actors.payments.lookup import LookedUp
    from actors.payments.shop import Shop

PREFIX: Final = "payments-"  # starts the names of all watchers


def actor_name(network: Network) -> str:
    """Name of the actor that watches a network, such as `payments-tron`."""
    return f"{PREFIX}{network}"


@dataclass(frozen=True, slots=True)
class WatcherOptions:
    """What a watcher is started with.

    Attributes:
        network: the chain to watch.
        shop: the shop whose wallet is watched. It holds secrets, which no text of it shows.
        log_level: least severe line to log.
    """

    network: Network
    shop: Shop
    log_level: str


@dataclass(frozen=True, slots=True)
class WatcherStatus:
    """How a watcher is getting on.

    Attributes:
        network: name of the chain that it reads.
        scans: number of scans that it has completed in this life.
        completed_ms: when any watcher last completed one, ms since the Unix epoch; 0 for never.
        chain_ms: time of the chain up to which everything was read.
        cursor: see `ScanResult.cursor`.
        error: text of the error that the last scan failed with; empty if it succeeded.
    """

    network: str
    scans: int
    completed_ms: int
    chain_ms: int
    cursor: int
    error: str


@dataclass(frozen=True, slots=True)
class WatcherState:
    """What an operator is told of a watcher.

    Attributes:
        name: name of its actor.
        state: `failed` needs a person: the watcher lives and cannot work until `why` is mended.
            `silent` means that it does not answer, because it restarts or hangs.
        why: what it waits for or failed at; while it watches, the error of its last scan or "".
    """

    name: str
    state: Literal["watching", "starting", "failed", "silent"]
    why: str


class PaymentsWatcherContract(ActorContract, Protocol):
    """The methods of a watcher."""

    async def status(self) -> WatcherStatus:
        """How it is getting on.

        Raises:
            Unavailable: it is starting; its ledger's database has not answered yet.
            X0Error: what its start failed at.
        """
        ...

    async def look_up(self, text: str) -> LookedUp:
        """Bring in one transaction.

        Args:
            text: its id, or a text that has it, see `lookup.transaction_in`.

        Raises:
            As `status`, and as `lookup.look_up`.
        """
        ...

    async def rescan(self, from_ms: int) -> None:
        """Read again, at once, what came in from a time on; it goes on after this returns.

        Raises:
            As `status`.
        """
        ...
