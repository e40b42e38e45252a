"""The bot's whole conversation, over HTTP with a strict Bot API, on a real ledger."""

from __future__ import annotations

import copy
import logging
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from actors.payments.bot import bot_loop, chat_throttle, phrases, polling, telegram, webhook
from actors.payments.bot.bot_loop import Webhook
from actors.payments.bot.keyboards import Button
from actors.payments.bot.seller import BotReply
from actors.payments.bot.telegram import TelegramClient
from actors.payments.chains.money import Method, Network
from actors.payments.claims import OF_ONE
from actors.payments.errors import BotRefused, TransportBusy, TransportRefused
from actors.payments.ledger.orders import OrderState
from actors.payments.sandbox.kinds import Payment, PaymentKind
from actors.runtime.alerting import AlertName
from actors.runtime.database import now_ms
from actors.runtime.rich_text import Mark, Part, RichText
from cluster.ray_start import free_ports
from tests.telegram_api import TOKEN, BotApi, Refusal, Sent, User, serving
from tests.unit.payments import sandboxed
from tests.unit.payments.bot_shop import BotShop
from tests.unit.payments.shop import WALLET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PLAIN = "the quick brown fox"


@pytest.fixture(params=[False], ids=["unhurried"])
def api(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BotApi]:
    """A Bot API; without its throttle, and the bot without its own, unless asked for."""
    if not request.param:
        monkeypatch.setattr(chat_throttle, "INTERVAL_S", 0.0)
    monkeypatch.setattr(bot_loop, "NEWS_S", 0.05)
    with serving(BotApi(throttles=request.param)) as served:
        yield served


@pytest.fixture
def sold(tmp_path: Path) -> Iterator[BotShop]:
    shop = BotShop(tmp_path)
    yield shop
    shop.ledger.close()
    assert shop.failures == []


THROTTLED = pytest.mark.parametrize("api", [True], indirect=True, ids=["throttled"])


def expected_refusals(api: BotApi) -> list[str]:
    return [f"{method} {error}" for method, error in api.refusals]


@pytest.mark.parametrize("language", ["en", "ru-RU"])
def test_from_start_to_delivery(api: BotApi, sold: BotShop, language: str) -> None:
    """Start, plans, buy, pay on TRON, seen, confirmed, delivered, orders, status: all refused by
    nobody, in the buyer's language, with one order and one link."""
    words = phrases.of(language)
    buyer = api.user(1001, language)
    with sold.selling(api):
        buyer.says("/start")
        welcome = buyer.wait(words.welcome)
        buyer.presses(welcome, words.plans)
        coin = "GRAM (formerly TON)" if language == "en" else "GRAM (ранее TON)"
        menu = buyer.wait(f"9.9 USDT / 3.2 {coin}")
        assert menu.id == welcome.id  # menus change in place
        title = "One <month> & more_" if words is phrases.EN else "Один <месяц> и *больше*"
        assert title in menu.text
        buyer.presses(menu, title)
        ways = buyer.wait(words.which_way)
        assert set(words.methods.values()) <= set(ways.buttons)
        buyer.presses(ways, words.methods[Method.TRON])
        invoice = buyer.wait(lambda one: bool(one.picture))
        order = sold.order(1001)
        amount = f"{order.amount / 1e6:.4f}".rstrip("0")
        assert invoice.codes == [order.id, amount, WALLET]
        assert invoice.copies == [amount, WALLET]
        assert order.language == words.language

        sold.sight(order)
        buyer.wait(words.told["seen"].partition("{")[0])
        sold.pay(order)
        confirmed = buyer.wait(words.told["confirmed"].partition("{")[0])
        delivered = buyer.wait("https://shop.example/downloads/")
        assert confirmed.id < delivered.id
        assert wait_state(sold, order.id, OrderState.DELIVERED)

        buyer.says("/orders")
        listed = buyer.wait(words.your_orders)
        (label,) = [one for one in listed.buttons if order.id in one]
        assert words.states[OrderState.DELIVERED] in label
        buyer.presses(listed, label)
        shown = buyer.wait(words.states[OrderState.DELIVERED])
        link = delivered.text.split("https://")[1].split()[0]
        assert link in shown.text  # the same one
        buyer.says(f"/status {order.id}")
        buyer.wait(lambda one: link in one.text and one.id > shown.id)
        buyer.says("/status")
        buyer.wait(lambda one: link in one.text and one.id > shown.id + 2)
        buyer.says("/help")
        buyer.wait(words.how[:20])
        api.settled()
    assert api.refusals == []
    assert set(api.commands) == {"", "ru"}
    assert len(sold.orders(1001)) == 1
    assert len(set(api.answered)) == len(api.queries)  # every press was answered


@pytest.mark.parametrize("method", [Method.TON, Method.TON_USDT])
def test_on_ton_the_comment_names_the_order(api: BotApi, sold: BotShop, method: Method) -> None:
    """A command buys too; the invoice has the comment, and paying more is thanked for and told."""
    buyer = api.user(1, "en")
    with sold.selling(api):
        buyer.says(f"/buy month {method}")
        invoice = buyer.wait(lambda one: bool(one.picture))
        order = sold.order(1)
        assert order.comment in invoice.codes
        assert invoice.copies[2] == order.comment
        sold.pay(order, amount=order.amount + 1)
        buyer.wait("more than was asked for")
        buyer.wait("/downloads/")
    assert api.refusals == []


def test_what_goes_wrong_with_a_payment_is_told(api: BotApi, sold: BotShop) -> None:
    """Expired, paid late, paid too little: each is said once, with what follows."""
    first, second, third = (api.user(chat) for chat in (1, 2, 3))
    with sold.selling(api):
        for user in (first, second, third):
            user.says("/buy month ton")
            user.wait(lambda one: bool(one.picture))
        sold.pay(sold.order(1), late_ms=60_000)
        first.wait("came after its time")
        sold.pay(sold.order(2), amount=1)
        second.wait("of 3.2 GRAM (formerly TON) has come")
        sold.expire(sold.order(3))
        third.wait("No payment for order")
        third.says("/status")
        third.wait("State: expired")
        assert third.heard[-1].codes == [sold.order(3).id]  # and no address any more
    assert [len(user.heard) for user in (first, second, third)] == [2, 2, 3]


def test_wrong_inputs_are_answered(api: BotApi, sold: BotShop) -> None:
    """Nonsense, unknown plans and orders, others' orders, forged buttons: said so, nothing made."""
    buyer, other = api.user(1), api.user(2)
    with sold.selling(api):
        buyer.says("/buy licence tron")
        buyer.wait(lambda one: bool(one.picture))
        order = sold.order(1)
        for text, answer in (
            ("hello", "did not understand"),
            ("/buy nothing", "not on offer"),
            ("/buy licence ton", "not on offer"),
            ("/buy licence bitcoin", "did not understand"),
            ("/status", "no such order"),
            (f"/status {order.id}", "no such order"),
            ("/status " + "a" * 16, "no such order"),
            ("/orders", "no orders yet"),
            ("/start nothing", "not on offer"),
            ("/start", "Welcome"),
            ("/start licence", "How will you pay?"),
        ):
            heard = len(other.heard)
            other.says(text)
            api.settled()
            assert [answer in one.text for one in other.heard[heard:]] == [True]
        found = other.heard[-1]
        for data in ("buy:licence:ton", f"order:{order.id}", "x" * 64, "plans:999", "buy:\x00"):
            other.sends(found.id, data)
            api.settled()
        assert sold.orders(2) == []
        other.says("/plans")
        other.wait("Licence")
    assert WALLET not in "".join(one.text for one in other.heard)


def test_the_catalogue_is_read_again(api: BotApi, sold: BotShop) -> None:
    """A change counts from the next question on; a mistake in it does not, and is told once; a plan
    whose file has gone is not sold until it is back."""
    buyer = api.user(1)
    path, file = sold.directory / "catalogue.yaml", sold.directory / "month.zip"
    text = path.read_text()

    def offers(present: str, absent: str) -> None:
        heard = len(buyer.heard)
        buyer.says("/plans")
        buyer.wait(lambda one: one is buyer.heard[-1] and len(buyer.heard) > heard)
        assert present in buyer.heard[-1].text
        assert absent not in buyer.heard[-1].text

    with sold.selling(api):
        offers("Licence", "Key")
        path.write_text(text.replace("title: Licence", "title: Key"))
        offers("Key", "Licence")
        for broken in ("plans: {", "", text.replace('"25"', "25")):
            path.write_text(broken)
            offers("Key", "Licence")
            offers("Key", "Licence")
        assert sold.told("without quotes") == 1
        path.write_text(text)
        offers("<month>", "Key")
        file.rename(sold.directory / "elsewhere.zip")
        offers("Licence", "<month>")
        buyer.says("/buy month ton")
        buyer.wait("not on offer")
        assert sold.told("no file month.zip") == 1
        (sold.directory / "elsewhere.zip").rename(file)
        offers("<month>", "Key")
        buyer.says("/buy month ton")
        buyer.wait(lambda one: bool(one.picture))
    assert len(sold.orders(1)) == 1


def test_who_has_bought_gets_it_in_the_end(api: BotApi, sold: BotShop) -> None:
    """The file has gone before the delivery, and the buyer is told so; it comes back, and is
    delivered again. The link has ended, and a button renews it, for its buyer alone."""
    buyer, other = api.user(1), api.user(2)
    file, away = sold.directory / "month.zip", sold.directory / "away.zip"
    with sold.selling(api):
        buyer.says("/buy month ton")
        buyer.wait(lambda one: bool(one.picture))
        order = sold.order(1)
        file.rename(away)
        sold.pay(order)
        buyer.wait("is confirmed")
        buyer.says("/status")
        buyer.wait("cannot be fetched at the moment")
        assert sold.told("no file month.zip")
        assert eventually(lambda: bool(sold.alerts))
        (lacks,) = sold.alerts
        assert (lacks.name, lacks.ended) == (AlertName.PAYMENT_CONFIGURATION, None)
        assert "month.zip" in lacks.summary
        assert sold.ledger.orders.get(order.id).state is not OrderState.DELIVERED
        away.rename(file)
        sold.ledger.outbox.deliver_again(order.id, now_ms())
        first = buyer.wait("/downloads/")
        assert wait_state(sold, order.id, OrderState.DELIVERED)
        assert eventually(lambda: sold.alerts[-1].ended is not None)
        assert f"/status {order.id} gives you a new one" in first.text

        sold.end_links()
        buyer.says("/status")
        ended = buyer.wait("Its link ended")
        assert "/downloads/" not in ended.text
        other.says("/help")
        other.sends(other.wait("How it works").id, ended.buttons["New link"])
        other.wait("no such order")
        buyer.presses(ended, "New link")
        renewed = buyer.wait(lambda one: one.id == ended.id and "/downloads/" in one.text)
        old, new = (one.text.split("/downloads/")[1].split()[0] for one in (first, renewed))
        assert sold.opens(new) == b"what was bought"
        assert old != new
        buyer.sends(ended.id, ended.buttons["New link"])  # it works, so it stays
        buyer.says("/status")
        buyer.wait(lambda one: one.id > renewed.id and new in one.text)


def test_a_buyer_names_a_transaction(api: BotApi, tmp_path: Path) -> None:
    """One that no index lists is found by its link, and brings what it pays; one that is another's
    helps the other, of whose order no word is said; what brings nothing or is nobody's is told,
    and nobody can ask without end."""
    (tmp_path / "shop").mkdir()
    with sandboxed.stall(tmp_path) as stall:
        sold = BotShop(tmp_path / "shop", tuple(stall.chain(network) for network in Network))
        buyer, other, third = api.user(1), api.user(2), api.user(3)
        with sold.selling(api):
            for user in (buyer, other):
                user.says("/buy licence tron")
                user.wait(lambda one: bool(one.picture))
            third.says("/buy month ton-usdt")  # before TON was ever read: the shop hears of it
            third.wait("does not work at the moment")
            assert sold.told("x0 pay scan --network ton --once") == 1
            (lost,) = stall.pay(sold.order(1), PaymentKind.UNLISTED)
            buyer.says(f"I paid! https://tronscan.org/#/transaction/{lost}")
            found = buyer.wait("belongs to your order")
            assert sold.order(1).id in found.text
            buyer.wait("Here is the licence")

            (lost,) = stall.pay(sold.order(2), PaymentKind.UNLISTED)
            third.says(f"/paid {lost}")
            told = third.wait("belongs to no order of yours")
            assert sold.order(2).id not in told.text
            other.wait("Here is the licence")

            (nameless,) = stall.client.pay(
                [Payment(Method.TRON, PaymentKind.EXACT, sold.order(2).wallet, 12_345, "", "x", 0)]
            )[0]
            third.says(nameless)
            third.wait("names no order")
            third.says("/paid")
            third.wait("send me the id")
            third.says("/paid " + "0" * 64)
            third.wait("knows no such transaction")
            (worthless,) = stall.pay(sold.order(2), PaymentKind.FAKE_TOKEN)
            third.says(worthless)
            third.wait("brings this shop nothing")
            for _ in range(OF_ONE):
                third.says(worthless)
                api.settled()
            third.wait("no more transactions for now")
            assert len(sold.handled) == 1
        sold.ledger.close()
        assert sold.failures == []


def test_only_private_chats_are_served(api: BotApi, sold: BotShop) -> None:
    """In a group nothing is said, pressed or ordered; a message without text passes by."""
    group, buyer = api.user(-5), api.user(1)
    with sold.selling(api):
        group.says("/buy licence tron")
        group.sends(1, "buy:licence:tron")
        api.put({"message": buyer._message(9) | {"left_chat_member": buyer._person()}})
        api.put({"edited_message": buyer._message(9) | {"text": "/plans"}})
        buyer.says("/plans")
        buyer.wait("Licence")
        api.settled()
    assert group.heard == []
    assert len(buyer.heard) == 1
    assert sold.ledger.orders.listing() == []


def test_a_button_pressed_again_makes_one_order(api: BotApi, sold: BotShop) -> None:
    """Pressed five times at once, and replayed later, a button makes one order; another button of
    the same message makes another one."""
    buyer = api.user(1)
    with sold.selling(api):
        buyer.says("/buy month")
        ways = buyer.wait("How will you pay?")
        data = ways.buttons["GRAM (formerly TON)"]
        buyer.sends(ways.id, data, times=5)
        buyer.wait(lambda one: bool(one.picture))
        api.settled()
        buyer.sends(ways.id, data)
        api.settled()
        assert len(sold.orders(1)) == 1
        buyer.sends(ways.id, "buy:month:tron")
        api.settled()
        assert {one.method for one in sold.orders(1)} == {Method.TON, Method.TRON}
        buyer.sends(77, data)  # of a message that is gone
        api.settled()
        assert len(sold.orders(1)) == 3


def test_too_many_open_orders_are_refused(api: BotApi, sold: BotShop) -> None:
    """The sixth order that waits for its payment is not opened, and the buyer is told why."""
    buyer = api.user(1)
    with sold.selling(api):
        for number in range(6):
            buyer.says("/buy licence tron")
            api.settled()
            assert len(sold.orders(1)) == min(5, number + 1)
        buyer.wait("too many wait")


def test_who_blocks_the_bot_stands_in_nobodys_way(api: BotApi, sold: BotShop) -> None:
    """A delivery to one who has blocked the bot goes to review, others get theirs; when the first
    one comes back, it is delivered without a person."""
    gone, buyer = api.user(1), api.user(2)
    with sold.selling(api):
        for user in (gone, buyer):
            user.says("/buy month ton")
            user.wait(lambda one: bool(one.picture))
        gone.blocked = True
        sold.pay(sold.order(1))
        sold.pay(sold.order(2))
        buyer.wait("/downloads/")
        assert wait_state(sold, sold.order(1).id, OrderState.REVIEW)
        (review,) = sold.ledger.reviews.listing()
        assert "blocked" in review.note
        gone.blocked = False
        gone.says("/start")
        gone.wait("/downloads/")
        assert wait_state(sold, sold.order(1).id, OrderState.DELIVERED)
        assert sold.ledger.reviews.listing() == []


def test_a_ledger_that_is_away_is_said(
    api: BotApi, sold: BotShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the ledger fails, people are told to try again; then it goes on."""
    buyer = api.user(1)
    with sold.selling(api):
        with monkeypatch.context() as broken:
            broken.setattr(type(sold.ledger.orders), "listing", _broken)
            buyer.says("/orders")
            buyer.wait("Something went wrong")
        buyer.says("/orders")
        buyer.wait("no orders yet")


def _broken(*_: Any, **__: Any) -> None:
    raise RuntimeError("the test broke it")


def test_a_slow_telegram_or_none_loses_nothing(
    api: BotApi, sold: BotShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5xx, broken connections and 429 at every kind of request: all is said in the end."""
    monkeypatch.setattr(bot_loop, "RETRY_S", 0.1)
    monkeypatch.setattr(telegram, "_PAUSE_S", 0.1)
    monkeypatch.setattr(polling, "FIRST_PAUSE_S", 0.1)
    seen: dict[str, int] = {}

    def fault(call: Any) -> None:
        seen[call.method] = seen.get(call.method, 0) + 1
        match seen[call.method]:
            case 1:
                raise Refusal(502, "Bad Gateway")
            case 2:
                raise ConnectionAbortedError
            case 3:
                raise Refusal(429, "Too Many Requests: retry after 1", retry_after=1)

    buyer = api.user(1)
    api.fault = fault
    with sold.selling(api):
        buyer.says("/buy licence")
        ways = buyer.wait("How will you pay?", 60)
        buyer.presses(ways, "USDT on TRON (TRC-20)")
        buyer.wait(lambda one: bool(one.picture), 60)
        sold.pay(sold.order(1))
        buyer.wait("Here is the licence", 60)
        assert wait_state(sold, sold.order(1).id, OrderState.DELIVERED)
    assert len(sold.orders(1)) == 1


def test_a_chat_that_is_refused_holds_up_no_other(api: BotApi, sold: BotShop) -> None:
    """One chat is answered 429 for half a minute, whatever is said in it; in the others answers,
    invoices, news and deliveries come as ever, and updates are acknowledged."""
    busy, buyer = api.user(1), api.user(2)
    with sold.selling(api):
        for user in (busy, buyer):
            user.says("/buy licence tron")
            user.wait(lambda one: bool(one.picture))

        def fault(call: Any) -> None:
            if call.params.get("chat_id") == "1":
                raise Refusal(429, "Too Many Requests: retry after 30", retry_after=30)

        api.fault = fault
        for _ in range(8):
            busy.says("/plans")
        sold.pay(sold.order(1))
        sold.pay(sold.order(2))
        buyer.says("/help")
        buyer.wait("How it works", 15)
        buyer.wait("Here is the licence", 15)
        api.settled()
        # Who is refused is left alone: no request is spent on him before his time.
        refused = sum(call.params.get("chat_id") == "1" for call in api.calls)
        busy.says("/help")
        buyer.says("/orders")
        buyer.wait("the newest first")
        assert sum(call.params.get("chat_id") == "1" for call in api.calls) == refused


def test_an_answer_that_was_refused_for_a_while_comes_after_it(api: BotApi, sold: BotShop) -> None:
    """A 429 costs a message its time, not the message."""
    buyer = api.user(1)
    refused: list[str] = []

    def fault(call: Any) -> None:
        if call.params.get("chat_id") == "1" and len(refused) < 2:
            refused.append(call.method)
            raise Refusal(429, "Too Many Requests: retry after 1", retry_after=1)

    api.fault = fault
    with sold.selling(api):
        buyer.says("/help")
        buyer.wait("How it works")
    assert refused == ["sendMessage"] * 2


def odd_updates(person: User) -> list[dict[str, Any]]:
    """A message and a press, each with one odd value at one of its places, for every place."""
    message = person._message(9) | {"text": "/help"}
    press = {"id": "q", "from": person._person(), "chat_instance": "c", "data": "help"}
    good = [{"message": message}, {"callback_query": press | {"message": message}}]
    odd: tuple[Any, ...] = (None, [], {}, "x", "", 10**30, -1, True, [[]], {"x": 1}, 1.5)
    return [
        changed_at(update, path, *value)
        for update in good
        for path in places(update)
        for value in [(), *((one,) for one in odd)]
    ]


def changed_at(update: dict[str, Any], path: tuple[str, ...], *value: Any) -> dict[str, Any]:
    """An update with another value at a place, or with nothing there."""
    changed = copy.deepcopy(update)
    at: Any = changed
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    at |= dict.fromkeys(path[-1:], *value) if value else {}
    return changed


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield (*path, name)
        yield from places(inner, (*path, name))


def test_an_update_that_cannot_be_read_costs_itself(api: BotApi, sold: BotShop) -> None:
    """Whatever is odd at any place of an update, it is acknowledged, and the next is answered."""
    odd, buyer = api.user(1), api.user(2)
    with sold.selling(api):
        for update in [{}, {"message": 1}, {"poll": "x"}, *odd_updates(odd)]:
            api.put(update)
        buyer.says("/plans")
        buyer.wait("Licence", 60)
        api.settled(60)


@THROTTLED
def test_limits_are_kept(api: BotApi, sold: BotShop) -> None:
    """Twelve buyers who are paid at once, and one who types fast: Telegram refuses nothing."""
    buyers = [api.user(chat) for chat in range(1, 13)]
    with sold.selling(api):
        for buyer in buyers:
            buyer.says("/buy licence tron")
        for buyer in buyers:
            buyer.wait(lambda one: bool(one.picture))
        for _ in range(20):
            buyers[0].says("/help")
        for buyer in buyers:
            sold.pay(sold.order(buyer.chat))
        for buyer in buyers:
            buyer.wait("Here is the licence", 30)
        api.settled()
        buyers[0].says("/plans")
        buyers[0].wait("What would you like?")
    assert expected_refusals(api) == []
    # Who asks faster than he may be answered is not answered every time.
    assert sum("How it works" in one.text for one in buyers[0].heard) < 20


def test_updates_by_webhook(api: BotApi, sold: BotShop) -> None:
    """What Telegram sends is taken once it is answered; what is not from Telegram is not there."""
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    buyer = api.user(1)
    hook = Webhook("https://shop.example/telegram/hook", "127.0.0.1", port)
    with sold.selling(api, hook):
        deadline = time.monotonic() + 180
        while not answers(address):
            assert time.monotonic() < deadline
        buyer.says("/buy licence tron")
        assert api.push(address) == [200]
        assert len(buyer.heard) == 1
        url = f"{address}/telegram/hook"
        right = {webhook.HEADER: webhook.secret(SecretStr(TOKEN))}
        update = {"update_id": 1, "message": buyer._message(50) | {"text": "/plans"}}
        with httpx.Client(trust_env=False, timeout=20) as client:
            for headers in ({}, {webhook.HEADER: "wrong"}):
                assert client.post(url, json=update, headers=headers).status_code == 404
            assert client.post(address, json=update, headers=right).status_code == 404
            assert client.get(url).status_code == 405
            assert client.post(url, content=b"x" * (2**20 + 1), headers=right).status_code == 413
            odd = b'{"update_id": 1, "message": []}'
            for content in (b"{", b"[]", b"1", b'{"update_id": "1"}', odd, b"[" * 100_000):
                assert client.post(url, content=content, headers=right).status_code == 200
            assert len(buyer.heard) == 1
            assert client.post(url, json=update, headers=right).status_code == 200
        assert len(buyer.heard) == 2
    assert api.webhook["secret_token"] == webhook.secret(SecretStr(TOKEN))
    assert TOKEN.partition(":")[2] not in api.webhook["secret_token"]
    with sold.selling(api):  # by polling again: the webhook is taken back
        buyer.says("/help")
        buyer.wait("How it works")


def answers(address: str) -> bool:
    try:
        httpx.get(address, trust_env=False)
    except httpx.TransportError:
        return False
    return True


def wait_state(sold: BotShop, order: str, state: OrderState) -> bool:
    deadline = time.monotonic() + 180
    while sold.ledger.orders.get(order).state is not state:
        assert time.monotonic() < deadline, sold.ledger.orders.get(order)
        time.sleep(0.05)
    return True


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return True


# -- the client alone -----------------------------------------------------------------------------


def said(*parts: Part, picture: str = "") -> BotReply:
    return BotReply(RichText(parts), ((Button("one", "help"),),), picture)


async def test_a_text_that_telegram_cannot_read_is_sent_plain(api: BotApi) -> None:
    """A 400 over entities costs the looks of a message, and not the message."""
    user = api.user(1)

    def fault(call: Any) -> None:
        if call.params.get("parse_mode"):
            raise Refusal(400, "Bad Request: can't parse entities: a rule that is new")

    api.fault = fault
    async with TelegramClient(SecretStr(TOKEN), api.url) as client:
        await client.begin()
        await client.say(1, said(Part("a < b & c "), Part("copy", Mark.CODE)))
        await client.say(1, said(Part(PLAIN), picture="x"))
    assert [one.text for one in user.heard] == ["a < b & c copy", PLAIN]
    assert [one.buttons for one in user.heard] == [{"one": "help"}] * 2


async def test_texts_are_cut_to_what_telegram_takes(api: BotApi) -> None:
    """Messages and captions that are too long, in characters of two units, are cut and arrive."""
    user = api.user(1)
    long = Part("<😀" * 5000, Mark.CODE)
    async with TelegramClient(SecretStr(TOKEN), api.url) as client:
        await client.say(1, said(long))
        await client.say(1, said(long, picture="x"))
    lengths = [len(one.text.encode("utf-16-le")) // 2 for one in user.heard]
    assert [4094 <= lengths[0] <= 4096, 1022 <= lengths[1] <= 1024] == [True, True]
    assert api.refusals == []


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refusal(403, "Forbidden: bot was blocked by the user"), TransportRefused),
        (Refusal(403, "Forbidden: user is deactivated"), TransportRefused),
        (Refusal(400, "Bad Request: chat not found"), TransportRefused),
        (Refusal(400, "Bad Request: something new"), TransportRefused),
        (Refusal(429, "Too Many Requests", retry_after=1), TransportBusy),
        (Refusal(500, "Internal Server Error"), TransportBusy),
        (Refusal(401, "Unauthorized"), BotRefused),
        (Refusal(404, "Not Found"), BotRefused),
    ],
    ids=str,
)
async def test_refusals_are_told_apart(
    api: BotApi,
    refusal: Refusal,
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Never, not now, and not with this token are three errors; none holds the token."""
    caplog.set_level(logging.DEBUG)
    api.user(1)

    def fault(_: Any) -> None:
        raise refusal

    api.fault = fault
    async with TelegramClient(SecretStr(TOKEN), api.url) as client:
        with pytest.raises(error) as caught:
            await client.say(1, said(Part("x")))
        secret = TOKEN.partition(":")[2]
        assert secret not in f"{caught.value!r}{caught.value}{client!r}{client._bot!r}{client._bot}"
        if isinstance(caught.value, TransportBusy):
            assert (caught.value.retry_after_s > 0) == (refusal.status == 429)


@pytest.mark.parametrize("token", ["", "x", "123:abc", "7654321098", f"bot{TOKEN}", f"{TOKEN}/"])
def test_what_is_no_token_is_refused_before_it_is_used(token: str) -> None:
    """A token with a slip in it is an error that names the variable, and not the token."""
    with pytest.raises(BotRefused) as caught:
        TelegramClient(SecretStr(token), "http://127.0.0.1:1")
    assert caught.value.variable == "X0TTA6BL4_TELEGRAM_TOKEN"
    assert token == "" or len(token) < 4 or token not in str(caught.value)


async def test_the_server_of_the_tests_is_strict(api: BotApi) -> None:
    """It refuses what Telegram refuses; else these tests would prove little."""
    api.user(1)
    api.throttles = True
    button = {"text": "a", "callback_data": "x"}

    def markup(**changes: Any) -> dict[str, Any]:
        return {"inline_keyboard": [[{**button, **changes}]]}

    cases: list[tuple[str, dict[str, Any], int, str]] = [
        ("sendMessage", {"chat_id": 1, "text": "<b>x", "parse_mode": "HTML"}, 400, "end tag"),
        ("sendMessage", {"chat_id": 1, "text": "<b>x</i>", "parse_mode": "HTML"}, 400, "Unmatched"),
        ("sendMessage", {"chat_id": 1, "text": "1 < 2", "parse_mode": "HTML"}, 400, "start tag"),
        ("sendMessage", {"chat_id": 1, "text": "<x>1</x>", "parse_mode": "HTML"}, 400, "start tag"),
        ("sendMessage", {"chat_id": 1, "text": "a_b", "parse_mode": "Markdown"}, 400, "offset 1"),
        ("sendMessage", {"chat_id": 1, "text": "`a", "parse_mode": "Markdown"}, 400, "offset 0"),
        ("sendMessage", {"chat_id": 1, "text": "x" * 4097}, 400, "too long"),
        ("sendMessage", {"chat_id": 1, "text": " "}, 400, "empty"),
        ("sendMessage", {"chat_id": 2, "text": "x"}, 400, "chat not found"),
        ("sendMessage", {"chat_id": 1, "text": "x", "reply_markup": markup(text="")}, 400, "text"),
        (
            "sendMessage",
            {"chat_id": 1, "text": "x", "reply_markup": markup(callback_data="ы" * 33)},
            400,
            "BUTTON_DATA_INVALID",
        ),
        ("sendPhoto", {"chat_id": 1, "photo": "attach://x"}, 400, "no photo"),
        ("answerCallbackQuery", {"callback_query_id": "q"}, 400, "too old"),
        ("editMessageText", {"chat_id": 1, "message_id": 9, "text": "x"}, 400, "not found"),
        ("setWebhook", {"url": "http://x", "secret_token": "a"}, 400, "HTTPS"),
        ("sendSticker", {"chat_id": 1}, 404, "Not Found"),
    ]
    async with httpx.AsyncClient(trust_env=False) as client:

        async def ask(method: str, params: dict[str, Any], token: str = TOKEN) -> httpx.Response:
            import json

            sent = {k: v if isinstance(v, str) else json.dumps(v) for k, v in params.items()}
            return await client.post(f"{api.url}/bot{token}/{method}", data=sent)

        for method, params, status, words in cases:
            api._last.clear()
            answer = await ask(method, params)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
        api._last.clear()
        good = {"chat_id": 1, "text": "x"}
        assert (await ask("sendMessage", good)).status_code == 200
        fast = await ask("sendMessage", good)
        assert (fast.status_code, fast.json()["parameters"]) == (429, {"retry_after": 1})
        assert (await ask("getMe", {}, "1:x")).status_code == 404
        assert (await ask("getMe", {}, f"{TOKEN[:-1]}A")).status_code == 401
        api.user(3).blocked = True
        assert (await ask("sendMessage", {"chat_id": 3, "text": "x"})).status_code == 403
    assert isinstance(api.messages[1, next(iter(api.messages))[1]], Sent)
