"""Answers what people ask the bot, out of the ledger; it remembers nothing itself.

Invariants: the same request makes one order however often it comes; people see their own orders
only; whoever is entitled gets the goods at every question, so nothing that was bought can be lost
on the way. All of it is synchronous and waits for the database: call it from a thread.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from actors.payments.bot import asks, keyboards, offers, phrases, qr, texts
from actors.payments.bot.offers import Offer
from actors.payments.checkout import Checkout, shown_wallet
from actors.payments.errors import (
    GoodsMissing,
    OrdersFull,
    UnknownOrder,
    UnknownPlan,
    UnknownReview,
)
from actors.payments.ledger.orders import OrderState
from actors.payments.ledger.outbox import undeliverable
from actors.runtime.database import now_ms
from actors.runtime.errors import Conflict, InvalidInput, Unavailable
from actors.runtime.rich_text import Part, RichText

if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.payments.bot.asks import Ask
    from actors.payments.bot.keyboards import Keyboard
    from actors.payments.bot.phrases import Phrases
    from actors.payments.catalogue_file import CatalogueFile
    from actors.payments.chains.money import Method
    from actors.payments.delivery import Delivery
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.shop import Shop

CHANNEL: Final = "telegram"
_GAP: Final = RichText((Part("\n\n"),))
LISTED: Final = 10  # most orders that one answer lists


@dataclass(frozen=True, slots=True)
class BotReply:
    """What is said to one chat.

    Attributes:
        text: text of the message, or caption of the picture.
        keyboard: below it.
        picture: content of a QR code to go with it, or "".
    """

    text: RichText
    keyboard: Keyboard = ()
    picture: str = ""


@dataclass(frozen=True, slots=True)
class BuyerQuestion:
    """One question.

    Attributes:
        ask: the question.
        chat: Telegram's id of the private chat.
        request: names the message or button; the same again makes no second order.
        language: language of the person who asks, as Telegram reports it.
    """

    ask: Ask
    chat: int
    request: str
    language: str | None


class Seller:
    """Sells the plans of a catalogue, as its file says at each question.

    Args:
        shop: the shop that sells.
        plans: the plans that can be bought.
        ledger: the ledger that keeps the orders.
        delivery: makes the goods.
        tell: told what keeps a buyer from what is paid.
        clock: ms since the Unix epoch.
    """

    def __init__(
        self,
        shop: Shop,
        plans: CatalogueFile,
        ledger: Ledger,
        delivery: Delivery,
        tell: Callable[[Exception], None],
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._shop = shop
        self._plans = plans
        self._ledger = ledger
        self._delivery = delivery
        self._tell = tell
        self._clock = clock

    def answer(self, asked: BuyerQuestion) -> BotReply:
        """What is said to a question.

        Raises:
            X0Error: for what is the shop's own fault (see `runtime.errors`).
        """
        words = phrases.of(asked.language)
        try:
            return self._answer(asked, words)
        except (UnknownPlan, GoodsMissing):
            return _saying(words.no_plan, keyboards.home(words))
        except UnknownOrder:
            return _saying(words.no_order, keyboards.home(words))
        except OrdersFull:
            return _saying(words.full, keyboards.home(words))
        except Unavailable as error:  # such as USDT on TON before the first scan
            self._tell(error)
            return _saying(words.unavailable)

    def _answer(self, asked: BuyerQuestion, words: Phrases) -> BotReply:
        reply = _saying(words.unclear, keyboards.home(words))
        match asked.ask:
            case asks.Start(plan):
                self._bring_again(asked.chat)
                reply = self._start(plan, words)
            case asks.Plain.HELP:
                reply = _saying(words.how, keyboards.home(words))
            case asks.Plans(number):
                page = offers.page(self._offers(), number)
                reply = BotReply(texts.plans(page, words), keyboards.plans(page, words))
            case asks.Choose(plan):
                offer = self._offer(plan)
                reply = BotReply(texts.ways(offer, words), keyboards.ways(offer, words))
            case asks.Buy(plan, method):
                reply = self._state(self._order(asked, plan, method, words), words)
            case asks.Plain.ORDERS:
                reply = self._orders(asked.chat, words)
            case asks.Status(order):
                reply = self._state(self._own(asked.chat, order), words)
            case asks.Renew(order):
                one = self._own(asked.chat, order)
                self._renew(one)
                reply = self._state(one, words)
            case asks.RefundTo(order, address):
                reply = self._refund_to(self._own(asked.chat, order), address, words)
        return reply

    def _start(self, plan: str | None, words: Phrases) -> BotReply:
        if plan is None:
            return _saying(words.welcome, keyboards.home(words))
        try:
            offer = self._offer(plan)
        except UnknownPlan:
            return _saying(f"{words.welcome}\n\n{words.no_plan}", keyboards.home(words))
        return BotReply(texts.ways(offer, words), keyboards.ways(offer, words))

    def _order(self, asked: BuyerQuestion, plan: str, method: Method, words: Phrases) -> Order:
        return self._checkout().order(
            self._ledger,
            plan,
            method,
            request=asked.request,
            channel=CHANNEL,
            recipient=str(asked.chat),
            language=words.language,
        )

    def _checkout(self) -> Checkout:
        return Checkout(self._shop, self._plans.now(), self._clock)

    def _offers(self) -> list[Offer]:
        catalogue = self._plans.now()
        checkout = Checkout(self._shop, catalogue, self._clock)
        return [
            Offer(plan, methods)
            for plan in catalogue.plans
            if checkout.refusal(plan) is None and (methods := checkout.offered(plan))
        ]

    def _offer(self, plan: str) -> Offer:
        for offer in self._offers():
            if offer.plan.id == plan:
                return offer
        raise UnknownPlan(plan, "it is not offered")

    def _orders(self, chat: int, words: Phrases) -> BotReply:
        listed = self._ledger.orders.listing(channel=CHANNEL, recipient=str(chat), limit=LISTED)
        if not listed:
            return _saying(words.no_orders, keyboards.home(words))
        return _saying(words.your_orders, keyboards.orders(listed, words))

    def _own(self, chat: int, order: str | None) -> Order:
        """An order of this chat's: that one, or the latest."""
        if order is None:
            found = self._ledger.orders.listing(channel=CHANNEL, recipient=str(chat), limit=1)
        else:
            one = self._ledger.orders.get(order)
            found = [one] if (one.channel, one.recipient) == (CHANNEL, str(chat)) else []
        if not found:
            raise UnknownOrder(order or "")
        return found[0]

    def _refund_to(self, order: Order, address: str, words: Phrases) -> BotReply:
        try:
            self._ledger.refunds.address_given(order.id, address, self._clock())
        except UnknownReview:
            return _saying(words.no_refund, keyboards.home(words))
        except InvalidInput:
            return _saying(words.no_address)
        return self._state(order, words)

    def _state(self, order: Order, words: Phrases) -> BotReply:
        """Where an order stands: with how to pay it, or with what it brought."""
        now = self._clock()
        received = self._ledger.orders.received(order)
        if order.state is OrderState.UNDERPAID:  # what is still to be paid is the rest
            order = replace(order, amount=max(1, order.amount - received))
        wallet = shown_wallet(self._shop, order)
        text = texts.order(self._title(order, words), order, wallet, now, words)
        if texts.is_payable(order, now):
            keyboard = keyboards.invoice(order, wallet, words)
            return BotReply(text, keyboard, qr.content(order, wallet))
        brought = self._delivery.of(order)
        for entry in self._ledger.reviews.of_order(order.id):
            said = texts.entry(order, entry, received, words)
            text += _GAP + said if said is not None else RichText(())
        if brought is None:
            return BotReply(text, keyboards.after(order, words))
        text += _GAP + texts.goods_now(order, brought, now, words)
        if brought.is_missing:
            shelf = str(self._shop.catalogue.parent)
            self._tell(GoodsMissing(order.plan, order.delivers.file, shelf))
        elif brought.has_ended(now):
            return BotReply(text, keyboards.renewal(order, words))
        return BotReply(text, keyboards.after(order, words))

    def _renew(self, order: Order) -> None:
        """Have the link of a paid order work again; one that works stays as it is."""
        try:
            self._ledger.entitlements.renew(order.id, self._clock())
        except Conflict:  # it is not paid: its state says so
            return

    def _title(self, order: Order, words: Phrases) -> str:
        try:
            return self._plans.now().plan(order.plan).title(words.language)
        except UnknownPlan:  # the plan has been removed from the catalogue since the offer
            return order.plan

    def _bring_again(self, chat: int) -> None:
        """Have sent again what could not be sent while this person had blocked the bot."""
        for order in self._ledger.orders.listing(
            states=[OrderState.REVIEW], channel=CHANNEL, recipient=str(chat)
        ):
            try:
                self._ledger.reviews.retry(undeliverable(order.id), self._clock())
            except UnknownReview:  # a person has decided about it meanwhile
                continue


def _saying(text: str, keyboard: Keyboard = ()) -> BotReply:
    return BotReply(RichText((Part(text),)), keyboard)
