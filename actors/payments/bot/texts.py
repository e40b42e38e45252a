"""What the bot says about offers and orders: phrases with amounts, addresses and times put in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from actors.payments.chains import money
from actors.payments.chains.money import Method
from actors.payments.ledger.orders import OrderState
from actors.runtime.rich_text import Part, RichText, bold, code, fill

if TYPE_CHECKING:
    from actors.payments.bot.offers import Offer, OfferPage
    from actors.payments.bot.phrases import Phrases
    from actors.payments.delivery import Goods
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.outbox import OwedMessage
    from actors.payments.ledger.review_entries import Review

_MINUTE_MS: Final = 60_000
OF_ENTRIES: Final = frozenset(
    {
        "duplicate",
        "unusual",
        "wrong_asset",
        "refund_asked",
        "refund_planned",
        "refund_sent",
        "dismissed",
    }
)
_GAP: Final = RichText((Part("\n\n"),))


def plans(page: OfferPage, words: Phrases) -> RichText:
    """A page of plans with all prices."""
    text = RichText((Part(words.which_plan),))
    if page.of > 1:
        text += fill(words.page, page=str(page.number + 1), pages=str(page.of))
    for offer in page.offers:
        title = bold(offer.plan.title(words.language))
        text += fill("\n\n{plan}\n{prices}", plan=title, prices=" / ".join(_prices(offer, words)))
    return text


def _prices(offer: Offer, words: Phrases) -> list[str]:
    prices = offer.plan.prices
    shown = [f"{money.text(prices[way], way)} {words.coins[way]}" for way in offer.methods]
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
        symbol = words.coins[one.method]
        comment = code(one.comment)
        pay = fill(words.pay_ton, amount=amount, symbol=symbol, address=address, comment=comment)
    left = str(-(-(one.expires_ms - now_ms) // _MINUTE_MS))  # rounded up
    until = fill(words.deadline, time=bold(_time(one.expires_ms)), minutes=left)
    return head_ + _GAP + pay + _GAP + until


def told(message: OwedMessage, words: Phrases) -> RichText:
    """The news of an order, by the kind of the message in the outbox."""
    return _told(message.kind, message.order, message.review, message.received, words)


def entry(one: Order, review: Review, received: int, words: Phrases) -> RichText | None:
    """What has become of a transfer that settles nothing by itself; None if its order says it."""
    kind = None
    match review.decision:
        case "":
            kind = str(review.cause)
        case "dismissed":
            kind = "dismissed"
        case "refund" if review.refund_tx:
            kind = "refund_sent"
        case "refund":
            kind = "refund_planned" if review.refund_to else "refund_asked"
    if kind is None or kind not in OF_ENTRIES:
        return None
    return _told(kind, one, review, received, words)


def _told(kind: str, one: Order, review: Review | None, received: int, words: Phrases) -> RichText:
    amount = money.text(one.amount, one.method)
    values: dict[str, str | Part] = {
        "order": code(one.id),
        "amount": code(amount),
        "symbol": words.coins[one.method],
        "received": money.text(received, one.method),
        "missing": code(money.text(max(0, one.amount - received), one.method)),
        "time": bold(_time(one.expires_ms)),
    }
    if review is not None and review.method is not None and review.amount is not None:
        refund = review.refund_amount or review.amount
        values |= {
            "paid": money.text(review.amount, review.method),
            "coin": words.coins[review.method],
            "refund": money.text(refund, review.method),
            "address": code(review.refund_to),
            "tx": code(review.refund_tx),
        }
    is_token = review is not None and review.amount is None
    return fill((words.told_tokens if is_token else words.told)[kind], **values)


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
    adds_up = one.state is OrderState.UNDERPAID and bool(one.comment)
    return (one.state is OrderState.NEW or adds_up) and now_ms <= one.expires_ms


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
