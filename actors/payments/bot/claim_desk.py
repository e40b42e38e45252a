"""What is said to a buyer who names a transaction: what has become of it, as far as it is his.

Invariants: what is said of an order is said to its own buyer; anybody may name any transaction, and
it helps whomever it pays (see `claims`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from actors.payments.bot import keyboards, phrases, texts
from actors.payments.bot.seller import CHANNEL, BotReply
from actors.payments.claims import BuyerClaims
from actors.payments.errors import TooManyClaims
from actors.payments.lookup import Outcome
from actors.runtime.errors import InvalidInput, Unavailable
from actors.runtime.rich_text import Part, RichText, fill

if TYPE_CHECKING:
    from actors.payments.bot.phrases import Phrases
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.lookup import LookedUp
    from actors.payments.shop import Shop

_MINUTE_S: Final = 60
_NOTHING_FOUND: Final = {
    Outcome.NOT_FOUND: "claim_unknown",
    Outcome.NOTHING: "claim_nothing",
    Outcome.WAITING: "claim_waiting",
}
"""The phrase for what brings nothing, or not yet."""


class ClaimDesk:
    """Looks up what buyers name.

    Args:
        shop: the shop, with the keys of its APIs.
        ledger: the ledger that records what is found.
    """

    def __init__(self, shop: Shop, ledger: Ledger) -> None:
        self._ledger = ledger
        self._claims = BuyerClaims(shop, ledger)

    async def answer(self, text: str, chat: int, language: str | None) -> BotReply:
        """What has become of the transaction that a text names.

        Raises:
            X0Error: for what is the shop's own fault.
        """
        words = phrases.of(language)
        try:
            found = await self._claims.claim(f"{CHANNEL}:{chat}", text)
        except InvalidInput:
            return _saying(words.claim_how, words)
        except TooManyClaims as error:
            minutes = str(max(1, -(-int(error.retry_after_s) // _MINUTE_S)))
            said = fill(words.claim_often, minutes=minutes)
            return BotReply(said, keyboards.home(words))
        except Unavailable:  # of a chain, or of the ledger
            return _saying(words.unavailable, words)
        return await self._found(found, chat, words)

    async def _found(self, found: LookedUp, chat: int, words: Phrases) -> BotReply:
        said = _NOTHING_FOUND.get(found.outcome)
        if said is not None:
            return _saying(getattr(words, said), words)
        named = {one.order_id for one in found.transfers if one.order_id is not None}
        orders = [await asyncio.to_thread(self._ledger.orders.get, name) for name in sorted(named)]
        mine = [one for one in orders if (one.channel, one.recipient) == (CHANNEL, str(chat))]
        if mine:
            return BotReply(_states(mine, words), keyboards.orders(mine, words))
        if named:
            return _saying(words.claim_others, words)
        is_dust = all(one.is_dust for one in found.transfers)
        return _saying(words.claim_dust if is_dust else words.claim_unmatched, words)


def _states(orders: list[Order], words: Phrases) -> RichText:
    said = RichText((Part(words.claim_yours),))
    for one in orders:
        said += RichText((Part("\n\n"),)) + texts.head(one.plan, one, words)
    return said


def _saying(text: str, words: Phrases) -> BotReply:
    return BotReply(RichText((Part(text),)), keyboards.home(words))
