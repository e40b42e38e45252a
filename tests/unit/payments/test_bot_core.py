"""What the bot says, without a network: texts, buttons, commands, pictures, throttle."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from string import Formatter
from typing import Any, get_args

import numpy as np
import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import CheckConstraint

from actors.payments.bot import asks, keyboards, offers, phrases, qr, texts
from actors.payments.bot.chat_throttle import INTERVAL_S, ChatThrottle
from actors.payments.bot.offers import Offer
from actors.payments.bot.phrases import EN, RU, Phrases
from actors.payments.catalogue import ShopPlan
from actors.payments.chains.money import MAX_AMOUNT, Method
from actors.payments.delivery import Goods
from actors.payments.ledger import schema
from actors.payments.ledger.orders import Cause, Delivers, Order, OrderState
from actors.payments.ledger.outbox import OwedMessage
from actors.payments.ledger.review_entries import Review
from actors.runtime.rich_text import MAX_CAPTION, Mark, Part, RichText, code, fill, units
from tests import telegram_api as bot_api
from tests.unit.payments.shop import MASTER, NOW, TON_WALLET, USDT, WALLET

LANGUAGES = pytest.mark.parametrize("words", [EN, RU], ids=["en", "ru"])
PARTS = st.lists(st.builds(Part, st.text(), st.sampled_from(Mark)))
TITLE = "<&>" * 26 + "😀😀"  # 80 characters, as long as a catalogue allows


def an_order(
    method: Method = Method.TRON, state: OrderState = OrderState.NEW, **values: Any
) -> Order:
    tron = method is Method.TRON
    order = Order(
        id="abcdefghijklmnop",
        request="r",
        plan="month",
        delivers=Delivers("licence"),
        method=method,
        wallet=WALLET if tron else TON_WALLET,
        contract=USDT if tron else MASTER,
        price=9_900_000,
        amount=9_912_300,
        comment="" if tron else "0123456789abcdef" * 2,
        channel="telegram",
        recipient="1",
        language="en",
        created_ms=NOW,
        expires_ms=NOW + 45 * 60_000,
        reserved_until_ms=NOW + 10**8,
        reserved=True,
        state=state,
        version=0,
    )
    return replace(order, **values)


def templates(words: Phrases) -> list[str]:
    found: list[str] = []
    for name in Phrases.__slots__:
        value = getattr(words, name)
        found += [value] if isinstance(value, str) else list(value.values())
    return found


@given(PARTS, st.integers(1, 60))
def test_a_text_is_whole_html_however_it_is_cut(parts: list[Part], most: int) -> None:
    """Whatever a text holds and wherever it is cut, Telegram reads it as it was meant."""
    cut = RichText(tuple(parts)).cut(most)
    shown, _ = bot_api.parsed(cut.html(), "HTML")
    assert shown == cut.plain()
    assert units(shown) <= most


@given(PARTS, st.integers(1, 60))
def test_a_cut_keeps_the_beginning_and_says_that_it_cut(parts: list[Part], most: int) -> None:
    """What fits stays as it is; of what does not, the beginning stays, as much as fits."""
    text = RichText(tuple(parts))
    cut = text.cut(most).plain()
    if units(text.plain()) <= most:
        assert cut == text.plain()
    else:
        assert cut.endswith("…")
        assert text.plain().startswith(cut[:-1])
        assert units(cut) >= most - 1  # a character of two units may not fit


@given(st.text())
def test_length_is_counted_in_utf_16(text: str) -> None:
    """Units are those of the encoding."""
    assert units(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@given(st.text(), st.text())
def test_nothing_in_a_value_is_markup(one: str, two: str) -> None:
    """Values that look like tags or like names in braces come out as they are."""
    text = fill("{a}: {b}", a=code(one), b=two)
    assert text.plain() == f"{one}: {two}"
    assert bot_api.parsed(text.html(), "HTML")[0] == text.plain()


PLANS = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
ASKS = st.one_of(
    st.sampled_from([asks.Plain.HELP, asks.Plain.ORDERS]),
    st.builds(asks.Plans, st.integers(0, 999)),
    st.builds(asks.Choose, PLANS),
    st.builds(asks.Buy, PLANS, st.sampled_from(Method)),
    st.builds(asks.Status, st.from_regex(r"[a-z2-7]{16}", fullmatch=True)),
    st.builds(asks.Renew, st.from_regex(r"[a-z2-7]{16}", fullmatch=True)),
)


@given(ASKS)
def test_a_button_is_read_as_it_was_written(ask: Any) -> None:
    """Every ask survives its way through a button, within Telegram's 64 bytes."""
    data = asks.data(ask)
    assert asks.pressed(data) == ask
    assert 1 <= len(data.encode()) <= asks.MAX_DATA


@given(st.text() | st.from_regex(r"/?(buy|plans|order|status)[: @]?.*"))
def test_whatever_is_sent_is_some_ask(text: str) -> None:
    """Nothing that people or programs send breaks the parser or gets through it unchecked."""
    for ask in (asks.typed(text), asks.pressed(text)):
        assert isinstance(ask, get_args(asks.Ask))
        if isinstance(ask, asks.Choose | asks.Buy):
            assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,31}", ask.plan)


@pytest.mark.parametrize(
    ("text", "ask"),
    [
        ("/start", asks.Start()),
        ("/start month", asks.Start("month")),
        ("/start Campaign_17", asks.Start()),
        ("/start two words", asks.Start()),
        ("/PLANS@shop_bot", asks.Plans()),
        ("/buy", asks.Plans()),
        ("/buy month", asks.Choose("month")),
        ("  /buy month TRON ", asks.Buy("month", Method.TRON)),
        ("/buy month bitcoin", asks.Plain.UNCLEAR),
        ("/buy ../x", asks.Plain.UNCLEAR),
        ("/status", asks.Status()),
        ("/status ABCDEFGHIJKLMNOP", asks.Status("abcdefghijklmnop")),
        ("/status 1", asks.Plain.UNCLEAR),
        ("/orders", asks.Plain.ORDERS),
        (f"/paid 0x{'A' * 64}", asks.Claim(f"0x{'A' * 64}")),
        ("/paid", asks.Claim("")),
        (
            f"see https://x.example/tx/{'a' * 64}",
            asks.Claim(f"see https://x.example/tx/{'a' * 64}"),
        ),
        (f"{'a' * 64} or {'b' * 64}", asks.Plain.UNCLEAR),
        ("/help", asks.Plain.HELP),
        ("plans", asks.Plain.UNCLEAR),
        ("", asks.Plain.UNCLEAR),
    ],
)
def test_commands_are_understood(text: str, ask: asks.Ask) -> None:
    """Each command, with and without arguments, a bot's name, capitals and blanks."""
    assert asks.typed(text) == ask


def test_both_languages_say_the_same_things() -> None:
    """Every phrase of one language has the same blanks in the other, and none is empty."""
    for one, two in zip(templates(EN), templates(RU), strict=True):
        names = [
            sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)
            for text in (one, two)
        ]
        assert names[0] == names[1]
        assert one
        assert two
    for words in (EN, RU):
        assert set(words.states) == set(OrderState)
        assert set(words.methods) == set(Method)


@LANGUAGES
def test_the_coin_is_called_by_its_name(words: Phrases) -> None:
    """What was Toncoin is GRAM wherever people read it, with the name that it had, in the language
    of the text around it; TON is the chain."""
    coin = {"en": "GRAM (formerly TON)", "ru": "GRAM (ранее TON)"}[words.language]
    order = an_order(Method.TON)
    plan = ShopPlan("x", {"en": "X"}, dict.fromkeys(Method, 3_200_000_000), Delivers("licence"))
    page = offers.page([Offer(plan, tuple(Method))], 0)
    assert f"3.2 {coin}" in texts.plans(page, words).plain()
    assert coin in texts.order("t", order, "w", NOW, words).plain()
    assert words.methods[Method.TON] == coin
    for text in templates(words):
        others = text.replace(coin, "").replace("on TON", "").replace("в сети TON", "")
        assert "TON" not in others


@pytest.mark.parametrize(
    ("tag", "words"),
    [("ru", RU), ("ru-RU", RU), ("RU", RU), ("en", EN), ("de", EN), ("", EN), (None, EN)],
)
def test_the_language_follows_the_person(tag: str | None, words: Phrases) -> None:
    """Russian for those who have it set, English for all others."""
    assert phrases.of(tag) is words


@LANGUAGES
@pytest.mark.parametrize("method", list(Method))
def test_an_invoice_fits_and_can_be_copied(words: Phrases, method: Method) -> None:
    """Amount, address and comment stand alone in code, and all of it fits below a picture."""
    order = an_order(method, amount=MAX_AMOUNT)
    text = texts.order(TITLE, order, order.wallet, NOW, words)
    shown, marked = bot_api.parsed(text.html(), "HTML")
    copied = [one for tag, one in marked if tag == "code"]
    amount = {Method.TON: "9223372036.854775807"}.get(method, "9223372036854.775807")
    assert copied == [order.id, amount, order.wallet, *([order.comment] if order.comment else [])]
    assert units(shown) <= MAX_CAPTION
    assert "2025-10-09 09:38 UTC" in shown  # NOW is 08:53:20
    assert "45" in shown
    keyboard = keyboards.invoice(order, order.wallet, words)
    copies = [one.copies for row in keyboard for one in row if one.copies]
    assert copies == copied[1:]


@LANGUAGES
@pytest.mark.parametrize("state", list(OrderState))
def test_only_an_open_order_is_to_be_paid(words: Phrases, state: OrderState) -> None:
    """The address is shown while paying makes sense, and never once its time is over."""
    order = an_order(state=state)
    assert (WALLET in texts.order("t", order, WALLET, NOW, words).plain()) == (
        state is OrderState.NEW
    )
    coins = an_order(Method.TON, state=state)  # of which the rest can be paid
    assert (WALLET in texts.order("t", coins, WALLET, NOW, words).plain()) == (
        state in {OrderState.NEW, OrderState.UNDERPAID}
    )
    after = texts.order("t", order, WALLET, order.expires_ms + 1, words).plain()
    assert WALLET not in after
    assert (words.no_more in after) == (state in {OrderState.NEW, OrderState.EXPIRED})
    assert words.states[state] in after


def _kinds() -> set[str]:
    """All kinds of messages that the outbox can hold."""
    (check,) = (
        one
        for one in schema.outbox.constraints
        if str(one.name).endswith("kind") and isinstance(one, CheckConstraint)
    )
    return set(re.findall("'([a-z_]+)'", str(check.sqltext)))


@LANGUAGES
def test_every_message_of_the_outbox_can_be_said(words: Phrases) -> None:
    """There are words for each kind, and a delivery carries its goods whole."""
    kinds = _kinds() - {"delivery"}
    assert set(words.told) == kinds
    assert set(words.told_tokens) == {"wrong_asset", "dismissed"} < kinds
    order = an_order()
    entry = Review(
        "ton:x:1",
        Cause.LATE,
        order.id,
        Method.TON,
        7,
        "",
        NOW,
        NOW,
        verified=True,
        decision="refund",
        note="",
        refund_to="ADDRESS",
        refund_amount=5,
        refund_tx="TX",
    )
    for kind in kinds:
        about = entry if kind in texts.OF_ENTRIES else None
        message = OwedMessage(1, "", kind, order, 0, None, about, 3)
        assert order.id in texts.told(message, words).plain()
    sent = texts.entry(order, entry, 0, words)
    assert sent is not None
    assert all(word in sent.plain() for word in ("0.000000005", "ADDRESS", "TX"))
    planned = texts.entry(order, replace(entry, refund_tx=""), 0, words)
    asked = texts.entry(order, replace(entry, refund_tx="", refund_to=""), 0, words)
    assert planned is not None
    assert asked is not None
    assert "ADDRESS" in planned.plain()
    assert f"/refund {order.id}" in asked.plain()
    assert texts.entry(order, replace(entry, decision=""), 0, words) is None, "its state says it"
    link = "https://shop.example/downloads/" + "A" * 44
    shown = texts.goods(order, Goods("download", link, NOW), words)
    assert link in bot_api.parsed(shown.html(), "HTML")[0]
    licence = texts.goods(order, Goods("licence", "ABCD-EFGH", None), words)
    assert "<code>ABCD-EFGH</code>" in licence.html()


@given(st.integers(1, 200), st.integers(-3, 1000))
def test_pages_hold_every_offer_once(count: int, number: int) -> None:
    """However many plans there are, the pages together are all of them, and a page fits."""
    prices = dict.fromkeys(Method, MAX_AMOUNT)
    all_offers = [
        Offer(ShopPlan(f"p{at}", {"en": TITLE}, prices, Delivers("licence")), tuple(Method))
        for at in range(count)
    ]
    of = offers.page(all_offers, 0).of
    seen = [one for at in range(of) for one in offers.page(all_offers, at).offers]
    assert seen == all_offers
    page = offers.page(all_offers, number)
    assert 0 <= page.number < of
    assert units(texts.plans(page, RU).plain()) <= 4096
    keyboard = keyboards.plans(page, RU)
    assert keyboard == tuple(row for row in keyboard if row)
    turned = [asks.pressed(one.data) for one in keyboard[-1]]
    if of > 1:
        assert {ask.page for ask in turned if isinstance(ask, asks.Plans)} == {
            other for other in (page.number - 1, page.number + 1) if 0 <= other < of
        }


@pytest.mark.parametrize("method", list(Method))
def test_the_picture_says_where_to_pay(method: Method) -> None:
    """Another program than ours reads from it the address, and on TON amount and comment."""
    order = an_order(method)
    _, _, rows = bot_api.png(qr.png(qr.content(order, "ADDRESS")))
    picture = np.array([list(row) for row in rows], np.uint8)
    (read,) = zxingcpp.read_barcodes(picture)
    expected = {
        Method.TRON: "ADDRESS",
        Method.TON: f"ton://transfer/ADDRESS?amount=9912300&text={order.comment}",
    }
    if method is Method.TON_USDT:
        assert re.fullmatch(
            rf"ton://transfer/ADDRESS\?jetton=UQ[\w-]{{46}}&amount=9912300&text={order.comment}",
            read.text,
        )
    else:
        assert read.text == expected[method]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 3), st.floats(0, 3)), max_size=40))
def test_a_chat_gets_one_message_a_second(asked: list[tuple[int, float, float]]) -> None:
    """In every chat, a message begins an interval after the one before it was over, however long
    each was on its way; a chat never waits for another."""
    now = 0.0
    slept: list[float] = []

    async def sleep(pause_s: float) -> None:
        nonlocal now
        slept.append(pause_s)
        now += pause_s

    throttle = ChatThrottle(lambda: now, sleep)
    over: dict[int, float] = {}

    async def say(chat: int, gap_s: float, way_s: float) -> None:
        nonlocal now
        now += gap_s
        slept.clear()
        asked_at = now
        async with throttle.turn(chat):
            assert now >= over.get(chat, 0.0) + (INTERVAL_S - 1e-9) * (chat in over)
            assert now == pytest.approx(max(asked_at, over.get(chat, -INTERVAL_S) + INTERVAL_S))
            now += way_s
        over[chat] = now

    async def say_all() -> None:
        for one in asked:
            await say(*one)

    asyncio.run(say_all())


async def test_turns_of_a_chat_come_one_after_the_other() -> None:
    """Two that want to speak at once in a chat do not overlap, also if one fails."""
    throttle = ChatThrottle(sleep=lambda _: asyncio.sleep(0))
    speaking = 0

    async def speak(number: int) -> None:
        nonlocal speaking
        async with throttle.turn(1):
            assert speaking == 0
            speaking += 1
            await asyncio.sleep(0.001)
            speaking -= 1
            if number == 0:
                raise ValueError

    found = await asyncio.gather(*map(speak, range(5)), return_exceptions=True)
    assert [type(one) for one in found] == [ValueError, *[type(None)] * 4]


async def test_chats_that_may_speak_are_forgotten() -> None:
    """The throttle of a chat is not kept for ever; that of one who waits is."""
    now = 0.0
    throttle = ChatThrottle(lambda: now)
    async with throttle.turn(-1):
        for chat in range(3000):
            now += 1.0
            async with throttle.turn(chat):
                pass
        assert len(throttle._chats) <= 1025
        assert -1 in throttle._chats
