"""What TRON says, checked: rows of a TRC-20 history, and the receipts that they claim to come from.

A row is hearsay, in both directions. Anyone can emit events named Transfer, tokens called USDT and
transfers of nothing (TIP-20; `transferFrom` of zero needs no allowance), so no row credits
anything; and an index may write any field oddly, so no row that can name a transaction is dismissed
for what it lacks, but only for saying that it is something else: another contract, another
recipient, an approval, nothing, before the start. All others are decided by the solid receipt:
SUCCESS, and a log of our contract with the topic of `Transfer(address,address,uint256)`, our wallet
as recipient, and the amount as data.

All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from actors.payments.chains import addresses
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.chains.verdict import (
    Reason,
    Rejected,
    Sighting,
    Transfer,
    transaction_id,
)

TRANSFER_TOPIC: Final = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""keccak256 of `Transfer(address,address,uint256)` (ERC-20)."""
_DECIMAL: Final = re.compile(r"[0-9]{1,78}")  # a uint256
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_WORD: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_GENESIS_MS: Final = 1_529_891_469_000  # no block of the chain is older
_MAX_MS: Final = 253_402_300_800_000  # the year 10000, which datetime cannot represent


@dataclass(frozen=True, slots=True)
class Sifted:
    """The rows of a page.

    Attributes:
        sightings: those that may be transfers.
        rejected: those that say that they are none.
        nameless: number of those that do not even name a transaction, so nothing can decide.
    """

    sightings: tuple[Sighting, ...]
    rejected: tuple[Rejected, ...]
    nameless: int = 0


def sift(rows: Sequence[object], *, wallet: str, contract: str, since_ms: int) -> Sifted:
    """Sort the rows of a history's page.

    An unconfirmed row is both: its sighting makes an order seen, and it is not credited.

    Args:
        rows: as the API lists them.
        wallet: address of the shop's wallet, base58.
        contract: address of the USDT contract, base58.
        since_ms: transfers before this time do not concern the shop.
    """
    sightings: list[Sighting] = []
    rejected: list[Rejected] = []
    for row in rows:
        verdict = _sift_one(row, wallet, contract, since_ms)
        if isinstance(verdict, Rejected):
            rejected.append(verdict)
        elif verdict is not None:
            sightings.append(verdict)
            if not verdict.confirmed:
                rejected.append(Rejected(verdict.tx_id, Reason.UNCONFIRMED))
    nameless = sum(row_id(row) is None for row in rows)
    return Sifted(tuple(sightings), tuple(rejected), nameless)


def _sift_one(row: object, wallet: str, contract: str, since_ms: int) -> Sighting | Rejected | None:
    tx_id = row_id(row)
    if tx_id is None or not isinstance(row, Mapping):
        return None
    amount, block_ms = _whole(row.get("value")), row_ms(row)
    reason = _something_else(row, wallet, contract, amount)
    if reason is None and block_ms is not None and block_ms < since_ms:
        reason = Reason.BEFORE_START
    if reason is not None:
        return Rejected(tx_id, reason)
    known = amount if amount is not None and amount <= MAX_AMOUNT else None
    return Sighting(tx_id, known, block_ms, not is_unconfirmed(row))


def _something_else(
    row: Mapping[str, object], wallet: str, contract: str, amount: int | None
) -> Reason | None:
    """What else than a transfer of USDT to the shop a row says it is; None if it does not."""
    kind, token = row.get("type"), row.get("token_info")
    if isinstance(kind, str) and kind.strip().casefold() == "approval":
        return Reason.NOT_A_TRANSFER
    if isinstance(token, Mapping) and _is_other(token.get("address"), contract):
        return Reason.WRONG_TOKEN
    if _is_other(row.get("to"), wallet):
        return Reason.WRONG_RECIPIENT
    return Reason.NOT_POSITIVE if amount == 0 else None


def row_id(row: object) -> str | None:
    """The id of the transaction that a row names; None if it names none."""
    given = row.get("transaction_id") if isinstance(row, Mapping) else None
    return transaction_id(given) if isinstance(given, str) else None


def row_ms(row: object) -> int | None:
    """The time of the block that a row names, ms; None if it names none that a block can have."""
    time_ms = _whole(row.get("block_timestamp")) if isinstance(row, Mapping) else None
    return time_ms if time_ms is not None and _GENESIS_MS <= time_ms < _MAX_MS else None


def is_unconfirmed(row: object) -> bool:
    """Whether a row says that its transaction is not solid."""
    return isinstance(row, Mapping) and row.get("_unconfirmed") not in (None, False)


def _whole(value: object) -> int | None:
    """A whole number that is not negative, in any spelling that leaves no doubt."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return value if value >= 0 else None
    text = value.strip() if isinstance(value, str) else ""
    if _DECIMAL.fullmatch(text):
        return int(text)
    return int(text, 16) if _HEXADECIMAL.fullmatch(text) else None


def is_time(value: object) -> TypeGuard[int]:
    """Whether a field is a time in ms since the Unix epoch."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_MS


def read_receipt(
    receipt: Mapping[str, Any], tx_id: str, *, wallet: str, contract: str, since_ms: int
) -> tuple[Transfer, ...] | Rejected:
    """The transfers to the shop that a solid receipt proves, at least one; or why there is none.

    Args:
        receipt: the answer of `walletsolidity/gettransactioninfobyid`.
        tx_id: id of the transaction that was asked for.
        wallet: address of the shop's wallet, base58.
        contract: address of the USDT contract, base58.
        since_ms: transfers before this time do not concern the shop.
    """
    block_ms = receipt.get("blockTimeStamp")
    execution = receipt.get("receipt")
    logs = receipt.get("log", [])
    if receipt.get("id") != tx_id or not is_time(block_ms) or not isinstance(logs, Sequence):
        return Rejected(tx_id, Reason.MALFORMED)
    result = execution.get("result") if isinstance(execution, Mapping) else None
    if result is None and logs:  # a call that reported something has come to some end
        return Rejected(tx_id, Reason.MALFORMED)
    if result is not None and result != "SUCCESS":
        return Rejected(tx_id, Reason.REVERTED)
    transfers = tuple(
        Transfer(Method.TRON, tx_id, index, wallet, contract, sender, amount, block_ms)
        for index, log in enumerate(logs)
        for sender, amount in _transfer(log, wallet, contract)
    )
    if not transfers:
        return Rejected(tx_id, Reason.NO_SUCH_LOG)
    return transfers if block_ms >= since_ms else Rejected(tx_id, Reason.BEFORE_START)


def _transfer(log: object, wallet: str, contract: str) -> list[tuple[str, int]]:
    """Sender and amount, if a log is a transfer of USDT to the shop; none or one."""
    if not isinstance(log, Mapping) or not _is(log.get("address"), contract):
        return []
    topics, data = log.get("topics"), _WORD.fullmatch(str(log.get("data", "")))
    if not isinstance(topics, Sequence) or len(topics) != 3 or data is None:
        return []
    words = [_WORD.fullmatch(str(topic)) for topic in topics]
    if None in words or words[0][1].lower() != TRANSFER_TOPIC:  # type: ignore[index]  # just checked
        return []
    try:
        sender, recipient = (addresses.tron_topic(word[1]) for word in words[1:])  # type: ignore[index]  # just checked
    except ValueError:
        return []
    amount = int(data[1], 16)
    if recipient != wallet or not 0 < amount <= MAX_AMOUNT:
        return []
    return [(sender, amount)]


def _is(text: object, address: str) -> bool:
    if not isinstance(text, str):
        return False
    try:
        return addresses.tron(text) == address
    except ValueError:
        return False


def _is_other(text: object, address: str) -> bool:
    """Whether this is an address, and another one."""
    if not isinstance(text, str):
        return False
    try:
        return addresses.tron(text) != address
    except ValueError:
        return False
