"""One transaction, brought in by its id: what an index has lost, or lists too late.

Whoever names it, it brings only what the solid receipt, or the cells, prove, as in a scan; and what
is recorded stays as it is, so it may be named again and again. A transfer on TRON that is not solid
yet is noted, and scans follow it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from actors.payments import scan as scanning
from actors.payments.chains import ton, ton_source
from actors.payments.chains.money import Network
from actors.payments.chains.tron_source import TronSource
from actors.payments.chains.verdict import Rejected, Sighting, transaction_id
from actors.runtime.database import now_ms
from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from actors.payments.chains.api import Api
    from actors.payments.chains.ton_source import TonSource
    from actors.payments.chains.verdict import Reason
    from actors.payments.ledger.intake import RecordedTransfer
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.shop import ShopChain

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_WORD: Final = re.compile(r"[A-Za-z0-9+/_=-]+")


class Outcome(StrEnum):
    """What became of a transaction that was named."""

    RECORDED = "recorded"  # it brought something, which is in the ledger from now on
    KNOWN = "known"  # what it brought was in the ledger before
    WAITING = "waiting"  # it brings something, and is not solid yet: scans follow it
    NOTHING = "nothing"  # it brings the shop nothing
    NOT_FOUND = "not_found"  # the API does not know it, or not yet


_IN_VAIN: Final = (Outcome.NOTHING, Outcome.NOT_FOUND)


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What a transaction that was named brings.

    Attributes:
        network: the chain that was asked.
        tx_id: the transaction, 64 lower-case hex digits.
        outcome: what became of it.
        reason: why it brings nothing; None if it brings something, or is not found.
        transfers: what it brought, as the ledger has it; another's order may be among them.
    """

    network: Network
    tx_id: str
    outcome: Outcome
    reason: Reason | None = None
    transfers: tuple[RecordedTransfer, ...] = ()


def transaction_in(text: str) -> str:
    """The id of a transaction in what a person sent, such as a link of an explorer.

    Returns:
        64 lower-case hex digits; TON's may be written in base64.

    Raises:
        InvalidInput: there is none, or more than one.
    """
    found = {tx_id for word in _WORD.findall(text[:2000]) if (tx_id := _in_word(word))}
    if len(found) == 1:
        return found.pop()
    raise InvalidInput(
        "no transaction is named",
        f"there are {len(found)} ids of transactions in the text" if found else "no id is in it",
        "Give the id (hash) of one transaction: 64 hexadecimal digits, or a link that has them.",
    )


def _in_word(word: str) -> str | None:
    tx_id = next(filter(None, map(transaction_id, word.replace("=", "/").split("/"))), None)
    if tx_id is None and _BASE64.fullmatch(word):
        with contextlib.suppress(binascii.Error):
            raw = base64.b64decode(word.replace("-", "+").replace("_", "/")[:43] + "=")
            return raw.hex()
    return tx_id


async def look_up(
    chain: ShopChain,
    ledger: Ledger,
    api: Api,
    text: str,
    *,
    clock: Callable[[], int] = now_ms,
) -> LookedUp:
    """Bring in one transaction.

    Args:
        chain: the chain that it is on.
        ledger: the ledger that records what it brings.
        api: see `scan.connect`.
        text: its id, or what `transaction_in` finds one in. On TON, with tonapi any transaction
            of the payment will do, with toncenter only the shop's own.
        clock: ms since the Unix epoch.

    Raises:
        InvalidInput: the text names no transaction.
        ChainUnavailable: the API does not answer.
        ChainRefused: a setting is wrong.
        UntrustedHistory: the API shows cells that are not the transaction's.
        Unavailable: the ledger's database does not answer.
    """
    tx_id = transaction_in(text)
    found = await _brought(chain, ledger, api, tx_id, clock)
    if found.outcome in _IN_VAIN:  # it may have gone to a wallet that the shop had before
        for former in await scanning.former_chains(chain, ledger, clock()):
            there = await _brought(former, ledger, api, tx_id, clock)
            if there.outcome not in _IN_VAIN:
                return there
    return found


async def _brought(
    chain: ShopChain, ledger: Ledger, api: Api, tx_id: str, clock: Callable[[], int]
) -> LookedUp:
    if chain.network is Network.TRON:
        return await _on_tron(TronSource(chain, api), ledger, tx_id, clock)
    return await _on_ton(chain, ton_source.source(api), ledger, tx_id, clock)


async def _on_tron(
    source: TronSource, ledger: Ledger, tx_id: str, clock: Callable[[], int]
) -> LookedUp:
    intake, chain = ledger.intake, source.chain
    cursor = await asyncio.to_thread(intake.open, Network.TRON, chain.wallet)
    found = await source.receipt(tx_id)
    if isinstance(found, tuple):
        effect = await asyncio.to_thread(intake.settle, cursor, tx_id, found, clock())
        return await _recorded(ledger, Network.TRON, tx_id, [tx_id], new=bool(effect.new))
    if found is None:
        found = await source.early_receipt(tx_id)
    if found is None:
        return LookedUp(Network.TRON, tx_id, Outcome.NOT_FOUND)
    if isinstance(found, Rejected):
        return LookedUp(Network.TRON, tx_id, Outcome.NOTHING, found.reason)
    seen = [Sighting(tx_id, one.amount, one.block_ms, confirmed=False) for one in found]
    await asyncio.to_thread(intake.note, cursor, chain.contract, seen, clock())
    return LookedUp(Network.TRON, tx_id, Outcome.WAITING)


async def _on_ton(
    chain: ShopChain, source: TonSource, ledger: Ledger, tx_id: str, clock: Callable[[], int]
) -> LookedUp:
    shop = await scanning.ton_shop(chain, ledger, source)
    found = await source.find(tx_id, shop.accounts)
    if not found:
        return LookedUp(Network.TON, tx_id, Outcome.NOT_FOUND)
    transfers, rejected = ton.split([ton.judge(one, shop, chain.since_ms) for one in found])
    notices = scanning.other_tokens(found, shop, chain)
    cursor = await asyncio.to_thread(ledger.intake.open, Network.TON, chain.wallet)
    effect = await asyncio.to_thread(
        ledger.intake.bring_in, cursor, transfers, clock(), notices=notices
    )
    if not transfers:
        return LookedUp(Network.TON, tx_id, Outcome.NOTHING, rejected[0].reason)
    ids = [one.tx_id for one in transfers]
    return await _recorded(ledger, Network.TON, tx_id, ids, new=bool(effect.new))


async def _recorded(
    ledger: Ledger, network: Network, tx_id: str, ids: Sequence[str], *, new: bool
) -> LookedUp:
    transfers = await asyncio.to_thread(ledger.intake.recorded, network, ids)
    outcome = Outcome.RECORDED if new else Outcome.KNOWN
    return LookedUp(network, tx_id, outcome, None, tuple(transfers))
