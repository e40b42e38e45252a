"""What TRON says, checked: rows of a TRC-20 history, and the receipts that they claim to come from.

A row is hearsay. Anyone can emit events named Transfer, tokens called USDT and transfers of nothing
(TIP-20; `transferFrom` of zero needs no allowance), so rows are sifted by the address of the
contract, and only the solid receipt counts: SUCCESS, and a log of that contract with the topic of
`Transfer(address,address,uint256)`, our wallet as recipient, and the amount as data.

All functions are pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from actors.payments.chains import addresses
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.chains.verdict import Reason, Rejected, Sighting, Transfer

TRANSFER_TOPIC: Final = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""keccak256 of `Transfer(address,address,uint256)` (ERC-20)."""
_TX_ID: Final = re.compile(r"[0-9a-fA-F]{64}")
_VALUE: Final = re.compile(r"[0-9]{1,78}")  # a uint256
_WORD: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_MAX_MS: Final = 253_402_300_800_000  # the year 10000, which datetime cannot represent


@dataclass(frozen=True, slots=True)
class Sifted:
    """The rows of a page: those that may be transfers, and those that are not."""

    sightings: tuple[Sighting, ...]
    rejected: tuple[Rejected, ...]


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
        else:
            sightings.append(verdict)
            if not verdict.confirmed:
                rejected.append(Rejected(verdict.tx_id, Reason.UNCONFIRMED))
    return Sifted(tuple(sightings), tuple(rejected))


def _sift_one(row: object, wallet: str, contract: str, since_ms: int) -> Sighting | Rejected:  # noqa: PLR0911 - a reason each
    fields = row if isinstance(row, Mapping) else {}
    tx_id, value = str(fields.get("transaction_id", "")), str(fields.get("value", ""))
    token, block_ms = fields.get("token_info"), fields.get("block_timestamp")
    if not _TX_ID.fullmatch(tx_id):
        return Rejected(tx_id[:64], Reason.MALFORMED)
    tx_id = tx_id.lower()
    if fields.get("type") != "Transfer":
        return Rejected(tx_id, Reason.NOT_A_TRANSFER)
    if not isinstance(token, Mapping) or not _is(token.get("address"), contract):
        return Rejected(tx_id, Reason.WRONG_TOKEN)
    if not _is(fields.get("to"), wallet):
        return Rejected(tx_id, Reason.WRONG_RECIPIENT)
    if not _VALUE.fullmatch(value) or not is_time(block_ms):
        return Rejected(tx_id, Reason.MALFORMED)
    if int(value) == 0:
        return Rejected(tx_id, Reason.NOT_POSITIVE)
    if int(value) > MAX_AMOUNT:
        return Rejected(tx_id, Reason.ABSURD_AMOUNT)
    if block_ms < since_ms:
        return Rejected(tx_id, Reason.BEFORE_START)
    return Sighting(tx_id, int(value), block_ms, fields.get("_unconfirmed") is not True)


def is_time(value: object) -> TypeGuard[int]:
    """Whether a field is a time in ms since the Unix epoch."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_MS


def read_receipt(
    receipt: Mapping[str, Any], tx_id: str, *, wallet: str, contract: str
) -> tuple[Transfer, ...] | Rejected:
    """The transfers to the shop that a solid receipt proves, at least one; or why there is none.

    Args:
        receipt: the answer of `walletsolidity/gettransactioninfobyid`.
        tx_id: id of the transaction that was asked for.
        wallet: address of the shop's wallet, base58.
        contract: address of the USDT contract, base58.
    """
    block_ms = receipt.get("blockTimeStamp")
    execution = receipt.get("receipt")
    logs = receipt.get("log", [])
    if receipt.get("id") != tx_id or not is_time(block_ms) or not isinstance(logs, Sequence):
        return Rejected(tx_id, Reason.MALFORMED)
    if not isinstance(execution, Mapping) or execution.get("result") != "SUCCESS":
        return Rejected(tx_id, Reason.REVERTED)
    transfers = tuple(
        Transfer(Method.TRON, tx_id, index, wallet, contract, sender, amount, block_ms)
        for index, log in enumerate(logs)
        for sender, amount in _transfer(log, wallet, contract)
    )
    return transfers or Rejected(tx_id, Reason.NO_SUCH_LOG)


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
