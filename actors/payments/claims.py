"""Buyers' own "here is my transaction": each is looked up, and nobody can ask without end.

A claim only says where to look (see `lookup`). Whoever names another's transaction helps the other:
it pays whatever order its amount or its comment names.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from actors.payments import lookup
from actors.payments import scan as scanning
from actors.payments.errors import PaymentsOff, TooManyClaims
from actors.payments.lookup import Outcome
from actors.runtime.database import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.payments.chains.money import Network
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.lookup import LookedUp
    from actors.payments.shop import Shop

HOUR_MS: Final = 3_600_000
OF_ONE: Final = 5  # most claims of one buyer in an hour
OF_ALL: Final = 120  # most claims of all in an hour, so that scans keep their share of the APIs
_KEPT: Final = 1_000  # buyers that are remembered


class BuyerClaims:
    """Takes the claims of a shop's buyers.

    Args:
        shop: the shop, with the keys of its APIs.
        ledger: the ledger that records what is found.
        clock: ms since the Unix epoch.
    """

    def __init__(self, shop: Shop, ledger: Ledger, clock: Callable[[], int] = now_ms) -> None:
        self._shop = shop
        self._ledger = ledger
        self._clock = clock
        self._all: deque[int] = deque()  # times of claims in the last hour, ms
        self._of: OrderedDict[str, deque[int]] = OrderedDict()

    async def claim(self, buyer: str, text: str, *, network: Network | None = None) -> LookedUp:
        """What the transaction that a buyer names brings.

        Its transfers may be another buyer's: say no more of an order than its own buyer may hear.

        Args:
            buyer: who claims, a name of the caller's; claims are counted by it.
            text: what the buyer sent, see `lookup.transaction_in`.
            network: the chain that it is on; None: whichever of the shop's knows it.

        Raises:
            InvalidInput: the text names no transaction; that is not counted.
            TooManyClaims: the buyer, or all of them, have asked too often.
            PaymentsOff: the shop takes no payments.
            As `lookup.look_up`.
        """
        lookup.transaction_in(text)
        self._count(buyer)
        chains = [chain for name, chain in self._shop.chains.items() if network in {None, name}]
        found = None
        for chain in chains:
            async with scanning.connect(chain) as api:
                found = await lookup.look_up(chain, self._ledger, api, text, clock=self._clock)
            if found.outcome is not Outcome.NOT_FOUND:
                break
        if found is None:
            raise PaymentsOff
        return found

    def _count(self, buyer: str) -> None:
        now = self._clock()
        mine = self._of.setdefault(buyer, deque())
        self._of.move_to_end(buyer)
        while len(self._of) > _KEPT:
            self._of.popitem(last=False)
        for times, most in ((mine, OF_ONE), (self._all, OF_ALL)):
            while times and not 0 <= now - times[0] < HOUR_MS:
                times.popleft()
            if len(times) >= most:
                raise TooManyClaims(most, retry_after_s=(times[0] + HOUR_MS - now) / 1000)
        mine.append(now)
        self._all.append(now)
