"""The shop of the tests, and the things that happen to it on TRON."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import base58

from actors.payments.catalogue import ShopPlan
from actors.payments.chains.money import Method, Network
from actors.payments.chains.tron import TRANSFER_TOPIC
from actors.payments.chains.verdict import Transfer
from actors.payments.ledger.order_book import NewOrder
from actors.payments.ledger.orders import Delivers
from actors.payments.shop import ShopChain

if TYPE_CHECKING:
    from pydantic import SecretStr

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order

NOW = 1_760_000_000_000  # ms
MINUTE = 60_000


def tron_address(name: str) -> str:
    """A TRON address made of a name."""
    return base58.b58encode_check(b"\x41" + hashlib.sha256(name.encode()).digest()[:20]).decode()


def tx_id(name: object) -> str:
    """A transaction's id made of a name."""
    return hashlib.sha256(str(name).encode()).hexdigest()


WALLET = tron_address("shop")
USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
FAKE_USDT = tron_address("fake USDT")
BUYER = tron_address("buyer")
TON_WALLET = "0:" + hashlib.sha256(b"shop").hexdigest()
TON_BUYER = "0:" + hashlib.sha256(b"buyer").hexdigest()
MASTER = "0:" + hashlib.sha256(b"master").hexdigest()
JETTON_WALLET = "0:" + hashlib.sha256(b"jetton wallet").hexdigest()

PRICES = {Method.TRON: 9_900_000, Method.TON: 3_200_000_000, Method.TON_USDT: 9_900_000}
LICENCE = ShopPlan("licence", {"en": "Licence"}, PRICES, Delivers("licence"))
DOWNLOAD = ShopPlan("month", {"en": "Month", "ru": "Месяц"}, PRICES, Delivers("download", "a.zip"))


def tron_chain(
    url: str = "http://127.0.0.1:1", rate: float = 1000, key: SecretStr | None = None
) -> ShopChain:
    """The shop on TRON."""
    return ShopChain(Network.TRON, url, key, WALLET, USDT, rate)


def ton_chain(
    url: str = "http://127.0.0.1:1", rate: float = 1000, key: SecretStr | None = None
) -> ShopChain:
    """The shop on TON."""
    return ShopChain(Network.TON, url, key, TON_WALLET, MASTER, rate)


def chain_of(method: Method) -> ShopChain:
    """The shop where it takes `method`."""
    return tron_chain() if method is Method.TRON else ton_chain()


def order(
    ledger: Ledger,
    name: object = "one",
    *,
    method: Method = Method.TRON,
    now_ms: int = NOW,
    plan: ShopPlan = LICENCE,
    channel: str = "pull",
    chain: ShopChain | None = None,
) -> Order:
    """An order of a buyer of its own."""
    new = NewOrder(f"request {name}", plan, method, channel, f"buyer {name}")
    return ledger.orders.create(new, chain or chain_of(method), now_ms)


def transfer(
    amount: int,
    name: object = "t",
    *,
    block_ms: int = NOW + MINUTE,
    position: int = 0,
    method: Method = Method.TRON,
    comment: str = "",
    settles: bool = True,
) -> Transfer:
    """A verified transfer to the shop."""
    chain = chain_of(method)
    return Transfer(
        method,
        tx_id(name),
        position,
        chain.wallet,
        chain.contract_of(method),
        BUYER if method is Method.TRON else TON_BUYER,
        amount,
        block_ms,
        comment,
        settles,
    )


def row(
    amount: int | str,
    name: object = "t",
    *,
    block_ms: int = NOW + MINUTE,
    to: str = WALLET,
    token: str = USDT,
    kind: str = "Transfer",
    unconfirmed: bool = False,
) -> dict[str, Any]:
    """A row of a TRC-20 history."""
    listed: dict[str, Any] = {
        "transaction_id": tx_id(name),
        "token_info": {"address": token, "decimals": 6, "symbol": "USDT", "name": "Tether USD"},
        "block_timestamp": block_ms,
        "from": BUYER,
        "to": to,
        "type": kind,
        "value": str(amount),
    }
    return {**listed, "_unconfirmed": True} if unconfirmed else listed


def hex_of(address: str) -> str:
    """The 20 bytes of a TRON address as hex."""
    return base58.b58decode_check(address)[1:].hex()


def log(
    amount: int, *, to: str = WALLET, token: str = USDT, topic: str = TRANSFER_TOPIC
) -> dict[str, Any]:
    """A log of a TRC-20 transfer."""
    return {
        "address": hex_of(token),
        "topics": [topic, hex_of(BUYER).rjust(64, "0"), hex_of(to).rjust(64, "0")],
        "data": f"{amount:064x}",
    }


def receipt(
    *logs: dict[str, Any], name: object = "t", block_ms: int = NOW + MINUTE, result: str = "SUCCESS"
) -> dict[str, Any]:
    """A receipt with these logs."""
    return {
        "id": tx_id(name),
        "blockNumber": 1,
        "blockTimeStamp": block_ms,
        "contract_address": USDT,
        "receipt": {"result": result},
        "log": list(logs),
    }
