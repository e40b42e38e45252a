"""What the bot says about offers and orders: phrases with amounts, addresses and times put in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from actors.payments.bot.rich_text import Part, RichText, bold, code, fill
from actors.payments.chains import money
from actors.payments.chains.money import Method
from actors.payments.ledger.orders import OrderState

if TYPE_CHECKING:
    from actors.payments.bot.offers import Offer, OfferPage
    from actors.payments.bot.phrases import Phrases
    from actors.payments.delivery import Goods
    from actors.payments.ledger.orders import Order

_MINUTE_MS: Final = 60_000
_GAP: Final = RichText((Part("\n\n"),))


def plans(page: OfferPage, words: Phrases) -> RichText:
    """A page of plans with all prices."""
    text = RichText((Part(words.which_plan),))
    if page.of > 1:
        text += fill(words.page, page=str(page.number + 1), pages=str(page.of))
    for offer in page.offers:
        title = bold(offer.plan.title(words.language))
        text += fill("\n\n{plan}\n{prices}", plan=title, prices=" / ".join(_prices(offer)))
    return text


def _prices(offer: Offer) -> list[str]:
    shown = [f"{money.text(offer.plan.prices[way], way)} {way.symbol}" for way in offer.methods]
    return list(dict.fromkeys(shown))  # equal prices in USDT on two networks are shown once


def ways(offer: Offer, words: Phrases) -> RichText:
    """The question how to pay a plan."""
    title = bold(offer.plan.title(words.language))
    return fill("{plan}\n{question}", plan=title, question=words.which_way)


def head(title: str, one: Order, words: Phrases) -> RichText:
    """Which order it is, and its state."""
    return fill(words.head, order=code(one.id), plan=bold(title), state=words.states[one.state])


def order(title: str, one: Order, wallet: str, now_ms: int, words: Phrases) -> RichText:
    """An order: where it stands, and what to pay while it waits for that.

    Args:
        title: title of its plan.
        one: the order.
        wallet: as people are shown it.
        now_ms: the time.
        words: the phrases of the buyer's language.
    """
    head_ = head(title, one, words)
    if not is_payable(one, now_ms):
        waits = one.state in {OrderState.NEW, OrderState.EXPIRED}  # only its time is over
        return head_ + _GAP + RichText((Part(words.no_more),)) if waits else head_
    amount = code(money.text(one.amount, one.method))
    address = code(wallet)
    if one.method is Method.TRON:
        pay = fill(words.pay_tron, amount=amount, address=address)
    else:
        symbol = one.method.symbol
        comment = code(one.comment)
        pay = fill(words.pay_ton, amount=amount, symbol=symbol, address=address, comment=comment)
    left = str(-(-(one.expires_ms - now_ms) // _MINUTE_MS))  # rounded up
    until = fill(words.deadline, time=bold(_time(one.expires_ms)), minutes=left)
    return head_ + _GAP + pay + _GAP + until


def told(kind: str, one: Order, words: Phrases) -> RichText:
    """The news that an order has come to a state, by the kind of the message in the outbox."""
    amount = money.text(one.amount, one.method)
    return fill(words.told[kind], order=code(one.id), amount=code(amount), symbol=one.method.symbol)


def goods(one: Order, brought: Goods, words: Phrases) -> RichText:
    """What an order brings."""
    if brought.until_ms is None:
        return fill(words.licence, order=code(one.id), code=code(brought.value))
    time = _time(brought.until_ms)
    return fill(words.download, order=code(one.id), link=brought.value, time=time)


def goods_now(one: Order, brought: Goods, now_ms: int, words: Phrases) -> RichText:
    """What an order brings, or why it cannot be fetched now and what to do."""
    if brought.is_missing:
        return fill(words.missing, order=code(one.id))
    if brought.until_ms is not None and brought.has_ended(now_ms):
        return fill(words.ended, time=_time(brought.until_ms))
    return goods(one, brought, words)


def is_payable(one: Order, now_ms: int) -> bool:
    """Whether a buyer should still be shown how to pay an order."""
    return one.state is OrderState.NEW and now_ms <= one.expires_ms


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
