"""What a wallet reads from a picture: where to pay, and on TON also how much and with which text.

On TRON it is the address alone: wallets agree on no link that carries an amount, and one that
ignores it would leave the buyer believing that it was filled in. On TON it is the `ton://transfer`
link, with `jetton` for USDT.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import segno

from actors.payments.chains import addresses
from actors.payments.chains.money import Method, Network

if TYPE_CHECKING:
    from actors.payments.ledger.orders import Order

_SCALE: Final = 8  # pixels of a module
_QUIET: Final = 4  # modules around it (ISO/IEC 18004, 7.3.4)


def content(order: Order, wallet: str) -> str:
    """What the picture of an order says.

    Args:
        order: the order that is to be paid.
        wallet: its address as people are shown it.
    """
    if order.method.network is Network.TRON:
        return wallet
    query = {"amount": str(order.amount), "text": order.comment}
    if order.method is Method.TON_USDT:
        query = {"jetton": addresses.ton_friendly(order.contract), **query}
    return f"ton://transfer/{wallet}?{urlencode(query)}"


def png(text: str) -> bytes:
    """A QR code as PNG, with the error correction that a photographed screen needs (level M)."""
    written = io.BytesIO()
    segno.make(text, error="m", micro=False).save(written, kind="png", scale=_SCALE, border=_QUIET)
    return written.getvalue()
