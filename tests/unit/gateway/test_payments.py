"""Payments over HTTP: orders, reviews, sums and downloads, on a real ledger."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretBytes, SecretStr

from actors.payments import tokens
from actors.payments.chains.money import Method, Network
from actors.payments.delivery import Delivery
from actors.payments.ledger.orders import OrderState
from actors.payments.sandbox.kinds import PaymentKind
from actors.payments.shop import Shop
from actors.payments.watcher import Watcher
from actors.runtime.error_handler import ErrorHandler
from actors.runtime.metrics import MemoryMetrics
from serve_apps.gateway import payment_desk
from serve_apps.gateway.gateway_state import Gateway
from serve_apps.gateway.http.application import build
from serve_apps.gateway.limits import Limits
from tests.unit.payments import sandboxed
from tests.unit.payments.bot_shop import BotShop
from tests.unit.payments.shop import TON_BUYER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "a-token-of-the-tests"  # noqa: S105 - opens nothing
AUTH = {"authorization": f"Bearer {TOKEN}"}
ROUTES = [
    ("GET", "/v1/payments/catalogue"),
    ("GET", "/v1/payments/orders"),
    ("POST", "/v1/payments/orders"),
    ("GET", "/v1/payments/orders/abcdefghijklmnop"),
    ("GET", "/v1/payments/reviews"),
    ("POST", "/v1/payments/reviews/tron:0:0"),
    ("POST", "/v1/payments/reviews"),
    ("GET", "/v1/payments/proposals?decision=accept"),
    ("GET", "/v1/payments/refunds"),
    ("POST", "/v1/payments/refunds/tron:0:0"),
    ("GET", "/v1/payments/licences/AAAA"),
    ("GET", "/v1/payments/report"),
    ("POST", "/v1/payments/scans"),
]


@pytest.fixture
def sold(tmp_path: Path) -> Iterator[BotShop]:
    shop = BotShop(tmp_path)
    yield shop
    shop.ledger.close()


@pytest.fixture
def served(sold: BotShop) -> Iterator[Gateway]:
    """A gateway of a shop; its mesh is not there, which payments do not need."""
    gateway = Gateway(TOKEN, shop=sold.shop)
    yield gateway
    gateway.payments.close()


def client_of(gateway: Gateway) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(build(gateway), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=AUTH)


def is_problem(answer: httpx.Response, status: int) -> bool:
    found = answer.json()
    assert (answer.status_code, found["status"]) == (status, status), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(found) == {"type", "title", "status", "detail", "remedy"}
    return bool(found["remedy"])


async def test_an_order_from_catalogue_to_download(sold: BotShop, served: Gateway) -> None:
    """The catalogue, an order, its payment, and the file behind the link, without a token."""
    async with client_of(served) as client:
        plans = (await client.get("/v1/payments/catalogue")).json()["plans"]
        assert [one["id"] for one in plans] == ["month", "licence"]
        assert plans[0]["price"] == {"tron": "9.9", "ton": "3.2", "ton-usdt": "9.9"}
        wanted = {"plan": "month", "method": "ton", "request": "r1", "language": "ru"}
        made = (await client.post("/v1/payments/orders", json=wanted)).json()
        assert (await client.post("/v1/payments/orders", json=wanted)).json() == made
        other = await client.post("/v1/payments/orders", json={**wanted, "recipient": "other"})
        assert is_problem(other, 409)
        assert (made["amount"], made["symbol"], made["state"]) == ("3.2", "TON", "new")
        assert len(made["comment"]) == 32
        listed = (await client.get("/v1/payments/orders?state=new&state=seen")).json()["orders"]
        assert listed == [made]
        assert (await client.get("/v1/payments/orders?state=delivered")).json() == {"orders": []}
        order = sold.ledger.orders.get(made["id"])
        assert (order.channel, order.request) == ("pull", "http:r1")

        sold.pay(order)
        paid = await client.get(f"/v1/payments/orders/{order.id}")
        assert paid.headers["cache-control"] == "no-store"
        assert (paid.json()["state"], paid.json()["delivers"]) == ("confirmed", "download")
        assert [(one["amount"], one["settles"]) for one in paid.json()["payments"]] == [
            ("3.2", True)
        ]
        path = httpx.URL(paid.json()["goods"]).path
        file = await client.get(path, headers={"authorization": ""})
        assert (file.status_code, file.content) == (200, b"what was bought")
        assert file.headers["content-disposition"] == 'attachment; filename="month.zip"'
        assert file.headers["cache-control"] == "private, no-store"
        part = await client.get(path, headers={"range": "bytes=5-7"})
        assert (part.status_code, part.content) == (206, b"was")
        report = (await client.get("/v1/payments/report")).json()
        assert report["orders"] == {"confirmed": 1}
        assert report["takings"]["ton"]["settled_amount"] == "3.2"
        future = (await client.get("/v1/payments/report?since=2100-01-01T00:00:00")).json()
        assert future["orders"] == {}


async def test_a_delivery_is_asked_for_again(sold: BotShop, served: Gateway) -> None:
    """A link that has ended is not shown as if it lived, and neither is one without its file; an
    order that is paid is delivered again with a link that works."""
    file, away = sold.directory / "month.zip", sold.directory / "away.zip"
    async with client_of(served) as client:
        wanted = {"plan": "month", "method": "ton"}
        made = (await client.post("/v1/payments/orders", json=wanted)).json()
        order = sold.ledger.orders.get(made["id"])
        where = f"/v1/payments/orders/{order.id}"

        async def goods() -> tuple[str, bool]:
            found = (await client.get(where)).json()
            return found["goods_state"], found["goods"] is not None

        assert is_problem(await client.post(f"{where}/delivery"), 409)
        sold.pay(order)
        assert await goods() == ("ready", True)
        sold.end_links()
        assert await goods() == ("ended", False)
        file.rename(away)
        assert await goods() == ("missing", False)
        assert is_problem(await client.post(f"{where}/delivery"), 500)
        assert is_problem(await client.post("/v1/payments/orders", json=wanted), 500)
        plans = (await client.get("/v1/payments/catalogue")).json()["plans"]
        assert ["no file month.zip" in one["refused"] for one in plans] == [True, False]
        away.rename(file)
        again = await client.post(f"{where}/delivery")
        assert (again.status_code, again.headers["cache-control"]) == (200, "no-store")
        path = httpx.URL(again.json()["goods"]).path
        assert (await client.get(path)).content == b"what was bought"
        assert is_problem(await client.post("/v1/payments/orders/none/delivery"), 404)


async def test_a_person_decides_over_http(sold: BotShop, served: Gateway) -> None:
    """What settles nothing is listed; it is accepted, refunded or dismissed, once."""
    async with client_of(served) as client:
        made = []
        for number in range(3):
            wanted = {"plan": "month", "method": "ton", "recipient": f"r{number}"}
            answer = await client.post("/v1/payments/orders", json=wanted)
            made.append(sold.ledger.orders.get(answer.json()["id"]))
            sold.pay(made[-1], amount=1_000_000_000)
        queue = (await client.get("/v1/payments/reviews")).json()
        assert queue["open"] == 3
        assert {one["cause"] for one in queue["reviews"]} == {"underpaid"}
        names = {one["order"]: one["subject"] for one in queue["reviews"]}

        async def decide(order: Any, /, **values: Any) -> httpx.Response:
            return await client.post(f"/v1/payments/reviews/{names[order.id]}", json=values)

        assert is_problem(await decide(made[0], decision="refund", amount="1.5"), 422)
        assert is_problem(await decide(made[0], decision="refund", amount="much"), 422)
        assert is_problem(await decide(made[0], decision="retry"), 404)
        assert is_problem(await decide(made[0], decision="give away"), 422)
        short = await decide(made[0], decision="accept")
        assert is_problem(short, 422)
        assert f"1 {Method.TON.symbol} came in" in short.json()["detail"]
        assert f"costs 3.2 {Method.TON.symbol}" in short.json()["detail"]
        accepted = (await decide(made[0], decision="accept", underpaid=True)).json()
        assert (accepted["order"], accepted["paid"], accepted["price"]) == (made[0].id, "1", "3.2")
        assert sold.ledger.orders.get(made[0].id).state is OrderState.CONFIRMED
        assert is_problem(await decide(made[0], decision="accept"), 404)  # it is closed
        refund = await decide(made[1], decision="refund", amount="0.5", note="too little")
        assert refund.json()["decision"] == "refund"
        settled = await decide(made[2], decision="accept", order=made[0].id)
        assert is_problem(settled, 409)
        assert (await decide(made[2], decision="dismiss")).status_code == 200
        closed = (await client.get("/v1/payments/reviews?closed=true")).json()
        assert closed["open"] == 0
        assert {one["decision"] for one in closed["reviews"]} == {"accepted", "refund", "dismissed"}
        (refunded,) = [one for one in closed["reviews"] if one["decision"] == "refund"]
        assert (refunded["refund"], refunded["note"]) == ("0.5", "too little")
        assert refunded["refund_to"] == "", "its buyer is asked"
        listed = (await client.get("/v1/payments/refunds")).json()
        assert [one["subject"] for one in listed["refunds"]] == [names[made[1].id]]
        path = f"/v1/payments/refunds/{names[made[1].id]}"
        for wrong in ({}, {"sent": "x", "withdraw": True}, {"to": "x"}, {"sent": "x"}):
            assert is_problem(await client.post(path, json=wrong), 422)
        assert is_problem(await client.post(f"{path}0", json={"sent": "x"}), 404)
        corrected = await client.post(path, json={"to": TON_BUYER, "amount": "0.4"})
        assert corrected.json()["review"]["refund"] == "0.4"
        sent = (await client.post(path, json={"sent": "5" * 64})).json()["review"]
        assert (sent["refund_tx"], bool(sent["refund_sent"])) == ("5" * 64, True)
        assert is_problem(await client.post(path, json={"withdraw": True}), 409)
        assert (await client.get("/v1/payments/refunds")).json() == {"refunds": [], "next": None}
        assert len((await client.get("/v1/payments/refunds?sent=true")).json()["refunds"]) == 1
        shown = (await client.get(f"/v1/payments/orders/{made[1].id}")).json()
        assert shown["state"] == "closed"
        assert [one["refund_tx"] for one in shown["reviews"]] == ["5" * 64]


async def test_a_long_queue_is_read_and_cleared_over_http(sold: BotShop, served: Gateway) -> None:
    """Filtered, page by page, and many entries at once: each by itself, and once."""
    async with client_of(served) as client:
        for number in range(3):
            wanted = {"plan": "month", "method": "ton", "recipient": f"r{number}"}
            made = (await client.post("/v1/payments/orders", json=wanted)).json()
            sold.pay(sold.ledger.orders.get(made["id"]), amount=10**9 * (number + 1))
        everything = (await client.get("/v1/payments/reviews")).json()["reviews"]
        first = (await client.get("/v1/payments/reviews?limit=2")).json()
        rest = (await client.get(f"/v1/payments/reviews?limit=2&after={first['next']}")).json()
        assert first["reviews"] + rest["reviews"] == everything
        assert rest["next"] is None

        async def found(query: str) -> list[str]:
            answer = await client.get(f"/v1/payments/reviews?{query}")
            return [one["amount"] for one in answer.json()["reviews"]]

        assert await found("below=2.5") == ["1", "2"]
        assert await found("cause=late") == await found("method=tron") == []
        assert await found(f"order={everything[0]['order']}") == ["1"]
        for wrong in ("below=much", "cause=x", "method=x"):
            assert is_problem(await client.get(f"/v1/payments/reviews?{wrong}"), 422)
        names = [one["subject"] for one in everything]
        path = "/v1/payments/proposals?decision="
        proposed = (await client.get(f"{path}refund&limit=2")).json()
        rest = (await client.get(f"{path}refund&limit=2&after={proposed['next']}")).json()
        listed = proposed["proposals"] + rest["proposals"]
        assert [one["subject"] for one in listed] == names
        assert (listed[0]["order"], listed[0]["amount"]) == (everything[0]["order"], "1")
        assert (await client.get(f"{path}accept")).json()["proposals"] == []
        for wrong in ("x", "accept&below=much"):
            assert is_problem(await client.get(path + wrong), 422)

        async def decide(**values: Any) -> Any:
            return await client.post("/v1/payments/reviews", json=values)

        for wrong_body in ({"decision": "dismiss", "subjects": []}, {"decision": "x"}):
            assert is_problem(await decide(**wrong_body), 422)
        refused = (await decide(decision="accept", subjects=names)).json()
        assert refused["failed"] == 3
        assert "costs 3.2" in refused["decisions"][0]["error"]
        assert (await decide(decision="refund", subjects=names[:1])).json()["failed"] == 0
        cleared = (await decide(decision="dismiss", subjects=[*names, "tron:x"], note="x")).json()
        results = [one["result"] for one in cleared["decisions"]]
        assert (results, cleared["failed"]) == (["failed", "decided", "decided", "failed"], 2)
        again = (await decide(decision="dismiss", subjects=names[1:])).json()
        assert {one["result"] for one in again["decisions"]} == {"before"}
        assert (await client.get("/v1/payments/reviews")).json()["open"] == 0


async def test_a_licence_can_be_checked(sold: BotShop, served: Gateway) -> None:
    """In any case and grouping; a code of nothing that was paid is none."""
    async with client_of(served) as client:
        made = (await client.post("/v1/payments/orders", json={"plan": "licence"})).json()
        code = tokens.licence(tokens.ensure_key(sold.directory), made["id"])
        assert is_problem(await client.get(f"/v1/payments/licences/{code}"), 404)
        sold.pay(sold.ledger.orders.get(made["id"]))
        for spelt in (code, code.lower().replace("-", "")):
            answer = await client.get(f"/v1/payments/licences/{spelt}")
            assert answer.json() == {"order": made["id"], "plan": "licence", "state": "confirmed"}
        for wrong in (code[:-1], "x", "A" * 32):
            assert is_problem(await client.get(f"/v1/payments/licences/{wrong}"), 404)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"plan": "nothing"}, 404),
        ({"plan": "licence", "method": "ton"}, 404),
        ({"plan": "month", "method": "bitcoin"}, 404),
        ({"plan": ""}, 422),
        ({}, 422),
        ([], 422),
        ({"plan": "month", "language": "de"}, 422),
        ({"plan": "month", "request": "x" * 101}, 422),
        ({"plan": "month", "request": "\n"}, 422),
        ({"plan": "month", "recipient": "x" * 65}, 422),
        ({"plan": "month", "price": "0"}, 422),
        ({"plan": 7}, 422),
        ({"plan": "x" * 20_000}, 413),
    ],
    ids=str,
)
async def test_a_bad_order_is_refused(
    sold: BotShop, served: Gateway, body: Any, status: int
) -> None:
    """What is wrong is said, and nothing is made."""
    async with client_of(served) as client:
        assert is_problem(await client.post("/v1/payments/orders", json=body), status)
        assert is_problem(await client.post("/v1/payments/orders", content=b"plan=month"), 415)
    assert sold.ledger.orders.listing() == []


async def test_characters_that_no_name_has_are_refused(served: Gateway) -> None:
    """NUL, which one database takes and the other does not, in any place that is looked up."""
    async with client_of(served) as client:
        assert is_problem(await client.get("/v1/payments/orders/a%00b"), 422)
        path = "/v1/payments/reviews/ton:0:0"
        assert is_problem(await client.post(f"{path}%00", json={"decision": "dismiss"}), 422)
        for values in (
            {"decision": "accept", "order": "\0"},
            {"decision": "dismiss", "note": "\0"},
        ):
            assert is_problem(await client.post(path, json=values), 422)
        written = {"decision": "dismiss", "note": "Größe 💰,\nzweimal"}
        assert is_problem(await client.post(path, json=written), 404)


async def test_too_many_open_orders_of_one_are_refused(served: Gateway) -> None:
    """The sixth waits: 429 with when to come back."""
    wanted = {"plan": "licence", "recipient": "one"}
    async with client_of(served) as client:
        for _ in range(5):
            assert (await client.post("/v1/payments/orders", json=wanted)).status_code == 200
        full = await client.post("/v1/payments/orders", json=wanted)
        assert is_problem(full, 429)
        assert int(full.headers["retry-after"]) >= 1


async def test_links_open_what_they_are_for_alone(sold: BotShop, served: Gateway) -> None:
    """Forged, altered, expired, of a licence or of a file that is gone: a problem, no file."""
    async with client_of(served) as client:
        for plan, method in (("month", "ton"), ("licence", "tron")):
            wanted = {"plan": plan, "method": method}
            await client.post("/v1/payments/orders", json=wanted)
        for order in sold.ledger.orders.listing():
            sold.pay(order)
        key = tokens.ensure_key(sold.directory)
        by_method = {one.method: one for one in sold.ledger.orders.listing()}
        download, licence = by_method[Method.TON], by_method[Method.TRON]
        until = sold.ledger.orders.entitled_until_ms(download.id)
        licensed_until = sold.ledger.orders.entitled_until_ms(licence.id)
        assert until is not None
        assert licensed_until is not None
        good = tokens.sign(key, download.id, until)
        bad = [
            good[:-1] + ("A" if good[-1] != "A" else "B"),
            good[:-1],
            "x",
            "A" * 44,
            tokens.sign(key, download.id, 1),  # its time is over
            tokens.sign(key, download.id, until + 1),  # no entitlement of this order
            tokens.sign(key, licence.id, licensed_until),
            tokens.sign(key, "a" * 16, until),
            "..%2Fcatalogue.yaml",
            "%00",
            "é" * 44,
        ]
        for token in bad:
            assert is_problem(await client.get(f"/downloads/{token}"), 404), token
        assert (await client.get(f"/downloads/{good}")).status_code == 200
        for given, status in (("bytes=99-", 416), ("bytes=x", 400)):
            answer = await client.get(f"/downloads/{good}", headers={"range": given})
            assert is_problem(answer, status)
        assert served.downloads.taken == 0
        for _ in range(served.limits.downloads_each):  # by readers that take their time
            served.downloads.take(good)
        assert is_problem(await client.get(f"/downloads/{good}"), 429)
        served.downloads.take("another link")
        served.downloads.give(good)
        assert (await client.get(f"/downloads/{good}")).status_code == 200
        (sold.directory / "month.zip").unlink()
        assert is_problem(await client.get(f"/downloads/{good}"), 503)


async def test_only_the_holder_of_the_token_gets_in(served: Gateway) -> None:
    """Every route of payments asks for the token, before it looks at anything else."""
    async with client_of(served) as client:
        for method, path in ROUTES:
            for header in ("", "Bearer wrong"):
                answer = await client.request(method, path, headers={"authorization": header})
                assert is_problem(answer, 401), path
            foreign = await client.request(method, path, headers={"origin": "http://x"})
            assert is_problem(foreign, 403), path


@pytest.mark.parametrize("has_shop", [False, True], ids=["no shop", "no wallet"])
async def test_payments_that_are_off_say_how_to_turn_them_on(
    sold: BotShop, tmp_path: Path, *, has_shop: bool
) -> None:
    """503 with the names of the settings; and nothing was opened or written for it."""
    from dataclasses import replace

    state = tmp_path / "off"
    state.mkdir()
    url = type(sold.shop.database_url)(f"sqlite:///{state / 'payments.db'}")
    off = replace(sold.shop, chains={}, state_dir=state, database_url=url)
    gateway = Gateway(TOKEN, shop=off if has_shop else None)
    async with client_of(gateway) as client:
        for method, path in [*ROUTES, ("GET", "/downloads/" + "A" * 44)]:
            body: dict[str, Any] = {"decision": "dismiss"}
            if path.endswith("orders"):
                body = {"plan": "month"}
            elif path.endswith("scans"):
                body = {"network": "tron", "transaction": "0" * 64}
            elif path.endswith("reviews"):
                body = {"decision": "dismiss", "subjects": ["tron:0:0"]}
            elif "refunds" in path:
                body = {"withdraw": True}
            answer = await client.request(method, path, json=body if method == "POST" else None)
            assert is_problem(answer, 503), path
            assert "X0TTA6BL4_TRON_WALLET" in answer.json()["remedy"]
    gateway.payments.close()
    assert list(state.iterdir()) == []


async def test_a_slow_database_holds_up_nothing_else(
    sold: BotShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While every thread of payments waits for the ledger, the loop goes on and others are
    answered; beyond what may wait, requests are refused."""
    limits = Limits(payments=8)
    gateway = Gateway(TOKEN, limits, sold.shop)
    gate = threading.Event()
    listing = type(sold.ledger.orders).listing

    def slow(*args: Any, **values: Any) -> Any:
        assert gate.wait(120)
        return listing(*args, **values)

    monkeypatch.setattr(type(sold.ledger.orders), "listing", slow)
    async with client_of(gateway) as client:
        waiting = [asyncio.create_task(client.get("/v1/payments/orders")) for _ in range(8)]
        deadline = time.monotonic() + 180
        while gateway.payments._slots.taken < 8:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert (await client.get("/healthz")).status_code == 200
        assert await asyncio.to_thread(lambda: 7) == 7
        assert is_problem(await client.get("/v1/payments/orders"), 429)
        gate.set()
        assert {one.status_code for one in await asyncio.gather(*waiting)} == {200}
        assert gateway.payments._slots.taken == 0
    gateway.payments.close()


async def test_a_shop_that_is_set_up_wrongly_is_not_told_to_strangers(
    sold: BotShop, served: Gateway
) -> None:
    """A broken catalogue is a 500 without names of files; the log has them."""
    (sold.directory / "catalogue.yaml").write_text("plans: []")
    async with client_of(served) as client:
        answer = await client.get("/v1/payments/catalogue")
        assert is_problem(answer, 500)
        assert "catalogue.yaml" not in answer.text


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_a_transaction_is_brought_in_and_a_history_read_again(
    served: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the watcher of the chain, which has the key of its API."""
    (tmp_path / "stall").mkdir()
    with sandboxed.stall(tmp_path / "stall") as stall:
        one, two = stall.order(Method.TRON, 1), stall.order(Method.TRON, 2)
        (paid,) = stall.pay(one, PaymentKind.UNLISTED)
        (hidden,) = stall.pay(two, PaymentKind.UNLISTED)
        chain = stall.chain(Network.TRON)
        shop = Shop({chain.network: chain}, SecretStr(""), tmp_path, "", tmp_path)
        delivery = Delivery(shop, stall.ledger, SecretBytes(b"k" * 32))
        metrics, clock = MemoryMetrics(), stall.stage.chains.clock.now_ms
        async with stall.api(Network.TRON) as api, client_of(served) as client:
            errors = ErrorHandler("payments-tron", metrics)
            watcher = Watcher(
                chain, stall.ledger, delivery, api, errors=errors, metrics=metrics, clock=clock
            )

            class Proxy:  # what stands between: the watcher's actor
                look_up = staticmethod(watcher.look_up)

                async def rescan(self, from_ms: int) -> None:
                    watcher.rescan(from_ms)

            monkeypatch.setattr(payment_desk.remote, "proxy", lambda *_, **__: Proxy())
            asked = {"network": "tron", "transaction": f"https://tronscan.org/#/transaction/{paid}"}
            found = (await client.post("/v1/payments/scans", json=asked)).json()
            assert (found["outcome"], found["transaction"]) == ("recorded", paid)
            assert [(each["order"], each["settles"]) for each in found["transfers"]] == [
                (one.id, True)
            ]
            assert (await client.post("/v1/payments/scans", json=asked)).json()[
                "outcome"
            ] == "known"
            watching = asyncio.create_task(watcher.run())
            try:
                await until(lambda: bool(watcher._scans))
                stall.forward(60 * 60_000)
                await stall.scan(Network.TRON)
                stall.stage.chains.tron.list_after_all(hidden)
                begin = {"network": "tron", "from": "2026-01-31T12:00:00"}
                again = (await client.post("/v1/payments/scans", json=begin)).json()
                assert again == {"network": "tron", "begin": "2026-01-31T12:00:00+00:00"}
                state = lambda: stall.ledger.orders.get(two.id).state  # noqa: E731 - short
                await until(lambda: state() is OrderState.DELIVERED)
            finally:
                watching.cancel()
            for wrong in (
                {"network": "tron"},
                {"network": "doge", "transaction": paid},
                {**asked, "from": "2026-01-31"},
                {"network": "tron", "transaction": "paid!"},
            ):
                assert is_problem(await client.post("/v1/payments/scans", json=wrong), 422)
