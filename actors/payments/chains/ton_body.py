"""Bodies of TON messages: text comments, and the messages of jettons (TEP-74).

The first 32 bits say what a body is: 0 is a text comment, whose UTF-8 goes on in a chain of cells
("snake"). Lengths are checked before anything is read; a body that is not what it says it is counts
as `Other`. The amount and the sender of jettons are the jetton wallet's words; what follows them is
the sender's, and however odd it is, the jettons have arrived: at worst without a comment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pytoniq_core.boc.address import Address

from actors.payments.chains import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytoniq_core.boc.slice import Slice

NOTIFICATION: Final = 0x7362D09C
INTERNAL_TRANSFER: Final = 0x178D4519
EXCESSES: Final = 0xD53276DB
MAX_COMMENT: Final = 1024  # most bytes that are read; comments of orders have 32
_LEAST: Final = 64 + 4 + 2  # bits: query id, amount, empty address


@dataclass(frozen=True, slots=True)
class Comment:
    """A text comment, stripped; empty if it is too long or no UTF-8."""

    text: str


@dataclass(frozen=True, slots=True)
class Notification:
    """`transfer_notification`: the sender's jetton wallet says that `amount` has arrived there."""

    amount: int
    sender: str  # whose jettons they were, raw form; empty for nobody
    comment: str


@dataclass(frozen=True, slots=True)
class InternalTransfer:
    """`internal_transfer`: from one jetton wallet to another."""

    amount: int
    sender: str
    comment: str


@dataclass(frozen=True, slots=True)
class Excesses:
    """`excesses`: the coins that a jetton transfer did not need."""


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else, an empty body included."""


Body = Comment | Notification | InternalTransfer | Excesses | Other


def read(body: Slice) -> Body:
    """What a body says; the slice is used up."""
    if body.remaining_bits < 32:
        return Other()
    operation = body.load_uint(32)
    try:
        return _READERS[operation](body) if operation in _READERS else Other()
    # For a body that ends early the library raises whatever its bit array raises.
    except Exception:  # noqa: BLE001 - so any failure means: not what it says it is
        return Other()


def _notification(body: Slice) -> Notification:
    amount, sender = _head(body)
    return Notification(amount, sender, _lenient(_payload, body))


def _internal_transfer(body: Slice) -> InternalTransfer:
    amount, sender = _head(body)
    return InternalTransfer(amount, sender, _lenient(_rest, body))


def _rest(body: Slice) -> str:
    body.load_address()  # where excesses go
    _coins(body)  # that a notification would carry
    return _payload(body)


def _lenient(comment: Callable[[Slice], str], body: Slice) -> str:
    try:
        return comment(body)
    except Exception:  # noqa: BLE001 - as in `read`
        return ""


def _head(body: Slice) -> tuple[int, str]:
    _need(body, _LEAST)
    body.skip_bits(64)
    amount = _coins(body)
    sender = body.load_address()
    return amount, addresses.raw(sender) if isinstance(sender, Address) else ""


def _coins(body: Slice) -> int:
    _need(body, 4)
    length = body.load_uint(4)
    _need(body, 8 * length)
    amount: int = body.load_uint(8 * length) if length else 0
    return amount


def _payload(body: Slice) -> str:
    """The comment in a forward payload, which is here or in a cell of its own."""
    _need(body, 1)
    payload: Slice = body.load_ref().begin_parse() if body.load_bit() else body
    if payload.remaining_bits < 32 or payload.load_uint(32) != 0:
        return ""
    return _text(payload)


def _text(body: Slice) -> str:
    content = bytearray()
    while True:
        bits = body.remaining_bits
        if bits % 8 or len(content) + bits // 8 > MAX_COMMENT:
            return ""
        content += body.load_bytes(bits // 8)
        if not body.remaining_refs:
            break
        body = body.load_ref().begin_parse()
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        return ""


def _need(body: Slice, bits: int) -> None:
    if body.remaining_bits < bits:
        raise ValueError("it ends early")


_READERS: Final[dict[int, Callable[[Slice], Body]]] = {
    0: lambda body: Comment(_text(body)),
    EXCESSES: lambda _: Excesses(),
    NOTIFICATION: _notification,
    INTERNAL_TRANSFER: _internal_transfer,
}
