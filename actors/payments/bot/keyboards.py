"""The buttons below a message: rows of what can be asked next, or copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.payments.bot import asks
from actors.payments.chains import money
from actors.payments.ledger.orders import OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.payments.bot.offers import Offer, OfferPage
    from actors.payments.bot.phrases import Phrases
    from actors.payments.ledger.orders import Order


@dataclass(frozen=True, slots=True)
class Button:
    """A button: what it says, and the data that it sends or the text that it copies."""

    text: str
    data: str = ""
    copies: str = ""


Keyboard = tuple[tuple[Button, ...], ...]


def home(words: Phrases) -> Keyboard:
    """Everything that one can begin with."""
    return (
        (Button(words.plans, asks.data(asks.Plans())),),
        (
            Button(words.orders, asks.data(asks.Plain.ORDERS)),
            Button(words.help, asks.data(asks.Plain.HELP)),
        ),
    )


def plans(page: OfferPage, words: Phrases) -> Keyboard:
    """A page of plans, one a row, and the way to the other pages."""
    rows = [
        (Button(offer.plan.title(words.language), asks.data(asks.Choose(offer.plan.id))),)
        for offer in page.offers
    ]
    turns = [
        Button(sign, asks.data(asks.Plans(other)))
        for sign, other in (("«", page.number - 1), ("»", page.number + 1))
        if 0 <= other < page.of
    ]
    return (*rows, *([tuple(turns)] if turns else []))


def ways(offer: Offer, words: Phrases) -> Keyboard:
    """The ways to pay a plan."""
    rows = [
        (Button(words.methods[method], asks.data(asks.Buy(offer.plan.id, method))),)
        for method in offer.methods
    ]
    return (*rows, (Button(words.back, asks.data(asks.Plans())),))


def invoice(order: Order, wallet: str, words: Phrases) -> Keyboard:
    """What is to be copied, and the way to the state of the order."""
    copied = [
        Button(words.copy_amount, copies=money.text(order.amount, order.method)),
        Button(words.copy_address, copies=wallet),
    ]
    comment = [(Button(words.copy_comment, copies=order.comment),)] if order.comment else []
    return (tuple(copied), *comment, of_order(order, words)[0])


def of_order(order: Order, words: Phrases) -> Keyboard:
    """The way to the state of an order."""
    return ((Button(words.state, asks.data(asks.Status(order.id))),),)


def renewal(order: Order, words: Phrases) -> Keyboard:
    """The way to a new link."""
    return ((Button(words.new_link, asks.data(asks.Renew(order.id))),),)


def orders(listed: Sequence[Order], words: Phrases) -> Keyboard:
    """One's orders, one a row."""
    rows = [
        (Button(f"{one.id} · {words.states[one.state]}", asks.data(asks.Status(one.id))),)
        for one in listed
    ]
    return (*rows, (Button(words.plans, asks.data(asks.Plans())),))


def after(order: Order, words: Phrases) -> Keyboard:
    """What one may want once the state of an order is known."""
    again = Button(words.plans, asks.data(asks.Plans()))
    return of_order(order, words) if order.state in OPEN else ((again,),)
