"""What people ask the bot: commands that they type, and buttons that they press.

Invariants: whatever is typed or sent as a button's data is one of these asks, `Plain.UNCLEAR` at
worst; an ask written as a button's data is read back as itself; data fit into Telegram's 64 bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from actors.payments import lookup
from actors.payments.chains.money import Method
from actors.runtime.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_DATA: Final = 64  # bytes of a button's data
_PLAN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_ORDER: Final = re.compile(r"[a-z2-7]{16}")
_PAGE: Final = re.compile(r"[0-9]{1,3}")
_MAX_READ: Final = 256  # characters of a command that are read


class Plain(Enum):
    """What is asked without naming anything."""

    HELP = "help"  # how it works
    ORDERS = "orders"  # one's own orders
    UNCLEAR = ""  # nothing that the bot knows


@dataclass(frozen=True, slots=True)
class Start:
    """Begin; with the plan that a link to the bot names (`t.me/BOT?start=PLAN`), if it does."""

    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Plans:
    """What can be bought; pages count from 0."""

    page: int = 0


@dataclass(frozen=True, slots=True)
class Choose:
    """The ways to pay for a plan."""

    plan: str


@dataclass(frozen=True, slots=True)
class Buy:
    """An order for a plan, paid in that way."""

    plan: str
    method: Method


@dataclass(frozen=True, slots=True)
class Status:
    """One of one's orders; None: the latest."""

    order: str | None = None


@dataclass(frozen=True, slots=True)
class Renew:
    """A new link for one of one's orders, whose link has ended."""

    order: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What has become of the transaction that a text names."""

    text: str


@dataclass(frozen=True, slots=True)
class RefundTo:
    """Where the refunds of one of one's orders are to go."""

    order: str
    address: str


Ask = Plain | Start | Plans | Choose | Buy | Status | Renew | Claim | RefundTo


def typed(text: str) -> Ask:
    """What a message asks. The name of the bot after a command (`/buy@shop`) is passed over."""
    words = text[:_MAX_READ].split()
    if not words or not words[0].startswith("/"):
        return _claim(text)
    understands = _COMMANDS.get(words[0][1:].partition("@")[0].lower())
    return understands(words[1:]) if understands is not None else Plain.UNCLEAR


def pressed(data: str) -> Ask:
    """What a button asks."""
    ask: Ask = Plain.UNCLEAR
    match data.split(":"):
        case ["help" | "orders" as word]:
            ask = Plain(word)
        case ["plans", page] if _PAGE.fullmatch(page):
            ask = Plans(int(page))
        case ["plan", plan]:
            ask = _plan(plan)
        case ["buy", plan, method]:
            ask = _buy(plan, method)
        case ["order", order]:
            ask = _status(order)
        case ["renew", order] if _ORDER.fullmatch(order):
            ask = Renew(order)
    return ask


def data(ask: Plain | Plans | Choose | Buy | Status | Renew) -> str:
    """A button's data; a `Status` must name its order, and what is unclear has none."""
    match ask:
        case Plain():
            text = ask.value
        case Plans(page):
            text = f"plans:{page}"
        case Choose(plan):
            text = f"plan:{plan}"
        case Buy(plan, method):
            text = f"buy:{plan}:{method}"
        case Status(order):
            text = f"order:{order}"
        case Renew(order):
            text = f"renew:{order}"
    return text


def _claim(text: str) -> Ask:
    """Whoever sends the id of a transaction, or its link, asks what has become of it."""
    try:
        lookup.transaction_in(text)
    except InvalidInput:
        return Plain.UNCLEAR
    return Claim(text)


def _start(given: list[str]) -> Ask:
    """Links may carry what is not for the bot, such as the name of a campaign."""
    return Start(given[0]) if len(given) == 1 and _PLAN.fullmatch(given[0]) else Start()


def _plans(given: list[str]) -> Ask:
    return Plain.UNCLEAR if given else Plans()


def _bought(given: list[str]) -> Ask:
    match given:
        case []:
            return Plans()
        case [plan]:
            return _plan(plan)
        case [plan, method]:
            return _buy(plan, method.lower())
    return Plain.UNCLEAR


def _orders(given: list[str]) -> Ask:
    return Plain.UNCLEAR if given else Plain.ORDERS


def _asked(given: list[str]) -> Ask:
    match given:
        case []:
            return Status()
        case [order]:
            return _status(order.lower())
    return Plain.UNCLEAR


def _plan(plan: str) -> Ask:
    return Choose(plan) if _PLAN.fullmatch(plan) else Plain.UNCLEAR


def _buy(plan: str, method: str) -> Ask:
    if _PLAN.fullmatch(plan) and method in set(Method):
        return Buy(plan, Method(method))
    return Plain.UNCLEAR


def _status(order: str) -> Ask:
    return Status(order) if _ORDER.fullmatch(order) else Plain.UNCLEAR


def _refund(given: list[str]) -> Ask:
    match given:
        case [order, address] if _ORDER.fullmatch(order.lower()):
            return RefundTo(order.lower(), address)
    return Plain.UNCLEAR


_COMMANDS: Final[Mapping[str, Callable[[list[str]], Ask]]] = {
    "start": _start,
    "help": lambda _: Plain.HELP,
    "plans": _plans,
    "buy": _bought,
    "paid": lambda given: Claim(" ".join(given)),
    "orders": _orders,
    "status": _asked,
    "refund": _refund,
}
"""What each command asks, with the words that follow it."""
