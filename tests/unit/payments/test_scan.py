"""Scans of both chains against a loopback API: what they read, and what they do not fall for."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from actors.payments import answers
from actors.payments import scan as scanning
from actors.payments.chains import ton_source, tron_source
from actors.payments.chains.money import Method, Network
from actors.payments.errors import (
    AnswerTooLarge,
    ChainRefused,
    ChainUnavailable,
    HistoryForgotten,
    UntrustedHistory,
)
from actors.payments.ledger.order_book import RESERVED_MS, WINDOW_MS
from actors.payments.ledger.orders import Cause, OrderState
from actors.runtime.errors import Conflict
from tests.unit.payments import ledgers
from tests.unit.payments.http_chain import Answer, Asked, Chains, clock_of, serving
from tests.unit.payments.shop import (
    JETTON_WALLET,
    MINUTE,
    NOW,
    TON_WALLET,
    log,
    order,
    receipt,
    row,
    ton_chain,
    tron_address,
    tron_chain,
)
from tests.unit.payments.ton_cells import TonAccount, external, internal_transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.scan import ScanResult

CLOCK = NOW + 10 * MINUTE


@pytest.fixture
def chains() -> Chains:
    return Chains(head_ms=NOW + 5 * MINUTE)


@pytest.fixture
def url(chains: Chains) -> Iterator[str]:
    with serving(chains) as base:
        yield base


async def scan(
    ledger: Ledger,
    url: str,
    network: str = "tron",
    clock: Callable[[], int] | None = None,
    **kwargs: Any,
) -> ScanResult:
    chain = tron_chain(url) if network == "tron" else ton_chain(url)
    async with scanning.connect(chain) as api:
        api._pause_s = 0.001
        right = clock or (lambda: clock_of(url))
        return await scanning.scan(chain, ledger, api, clock=right, **kwargs)


def pay(chains: Chains, amount: int, name: object, block_ms: int = NOW + MINUTE) -> None:
    chains.add(
        row(amount, name, block_ms=block_ms), receipt(log(amount), name=name, block_ms=block_ms)
    )


def state(ledger: Ledger, order_id: str) -> OrderState:
    return ledger.orders.get(order_id).state


async def test_a_scan_settles_and_a_second_one_changes_nothing(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Paid, unmatched and fake, each ends in its place, once."""
    one = order(ledger)
    pay(chains, one.amount, "paid")
    pay(chains, 7, "unmatched", NOW + 2 * MINUTE)
    chains.rows.append(row(one.amount, "fake", token=one.wallet))
    first = await scan(ledger, url)
    assert (first.pages, first.transfers, first.settled, first.review) == (1, 2, 1, 1)
    assert dict(first.rejected) == {"wrong_token": 1}
    assert (first.cursor, first.requests) == (NOW + 2 * MINUTE, len(chains.asked))
    before = ledgers.snapshot(ledger)
    second = await scan(ledger, url)
    assert (second.transfers, second.settled, second.review) == (2, 0, 0)
    assert ledgers.snapshot(ledger) == before
    assert state(ledger, one.id) is OrderState.CONFIRMED
    ledgers.check(ledger)


async def test_a_scan_of_nothing(ledger: Ledger, url: str) -> None:
    """An empty history is read to its end."""
    for network in ("tron", "ton"):
        found = await scan(ledger, url, network)
        assert (found.transfers, found.settled, found.review, found.cursor) == (0, 0, 0, 0)
        assert found.chain_ms == NOW + 5 * MINUTE


async def test_every_page_is_read(ledger: Ledger, url: str, chains: Chains) -> None:
    """The request names everything that the history is to be cut by, and follows to the end."""
    chains.page = 3
    for number in range(10):
        pay(chains, 100 + number, number, NOW + number)
    found = await scan(ledger, url)
    assert (found.pages, found.transfers, found.review) == (4, 10, 10)
    asked = [a for a in chains.asked if a.path.startswith("/v1/")]
    assert [a.query.get("fingerprint") is None for a in asked] == [True, False, False, False]
    assert {name: asked[0].query[name] for name in ("only_to", "limit", "order_by")} == {
        "only_to": "true",
        "limit": "200",
        "order_by": "block_timestamp,asc",
    }
    assert len({(a.query["min_timestamp"], a.query["max_timestamp"]) for a in asked}) == 1


async def test_pages_that_go_in_circles_are_refused(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """A repeated fingerprint is no end; the cursor stays."""
    body = {"success": True, "data": [row(5)], "meta": {"fingerprint": "same"}}
    chains.fault = lambda asked: Answer(body=body) if asked.path.startswith("/v1/") else None
    with pytest.raises(UntrustedHistory):
        await scan(ledger, url)
    assert ledger.intake.cursors()[0].position == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"success": False, "data": []},
        {"success": True, "data": {}},
        {"success": True, "data": [], "meta": {"fingerprint": 5}},
    ],
)
async def test_a_page_of_another_shape_is_an_outage(
    ledger: Ledger, url: str, chains: Chains, body: object
) -> None:
    """It may pass, and if it does not, nothing was read."""
    one = order(ledger)
    chains.fault = lambda asked: Answer(body=body) if asked.path.startswith("/v1/") else None
    with pytest.raises(ChainUnavailable):
        await scan(ledger, url)
    assert ledger.intake.cursors()[0].completed_ms == 0
    assert state(ledger, one.id) is OrderState.NEW


async def test_a_page_that_fails_keeps_the_cursor(ledger: Ledger, url: str, chains: Chains) -> None:
    """6: what stands on pages that were not read is read next time."""
    chains.page = 3
    one = order(ledger)
    for number in range(8):
        pay(chains, 100 + number, number, NOW + number)
    pay(chains, one.amount, "paid", NOW + 20 * MINUTE)
    chains.head_ms = NOW + 20 * MINUTE
    chains.fault = lambda asked: (
        Answer(500) if asked.query.get("fingerprint", "").endswith("-6") else None
    )
    with pytest.raises(ChainUnavailable):
        await scan(ledger, url)
    assert ledger.intake.cursors()[0].position == 0
    chains.fault = lambda _: None
    found = await scan(ledger, url)
    assert (found.settled, found.cursor) == (1, NOW + 20 * MINUTE)


async def test_what_was_before_the_start_is_not_the_shops(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """On either chain, whatever an API lists; and TRON's is not even asked for it."""
    since_ms = NOW + MINUTE
    pay(chains, 7, "before", since_ms - 1)
    pay(chains, 8, "at", since_ms)
    chains.ignores_times = True
    chains.accounts[TON_WALLET].pay("before", 5, time_s=since_ms // 1000 - 1)
    chains.accounts[TON_WALLET].pay("at", 6, time_s=since_ms // 1000)
    for chain in (tron_chain(url), ton_chain(url)):
        started = replace(chain, since_ms=since_ms)
        async with scanning.connect(started) as api:
            found = await scanning.scan(started, ledger, api, clock=lambda: CLOCK)
        assert (found.transfers, found.review, dict(found.rejected)) == (1, 1, {"before_start": 1})
    assert sorted(review.amount or 0 for review in ledger.reviews.listing()) == [6, 8]
    (asked,) = [a for a in chains.asked if a.path.startswith("/v1/")]
    assert asked.query["min_timestamp"] == str(since_ms)


async def test_what_an_index_lists_late_is_read(ledger: Ledger, url: str, chains: Chains) -> None:
    """6: also when the cursor is five minutes past it already."""
    one = order(ledger, now_ms=NOW - 10 * MINUTE)
    pay(chains, 7, "first", NOW)
    assert (await scan(ledger, url)).cursor == NOW
    pay(chains, one.amount, "late", NOW - 5 * MINUTE)
    found = await scan(ledger, url)
    assert (found.settled, found.cursor) == (1, NOW)
    assert state(ledger, one.id) is OrderState.CONFIRMED


async def test_unconfirmed_rows_are_seen_and_hold_the_cursor(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """The same transaction once unconfirmed and once confirmed is one payment."""
    one = order(ledger)
    chains.rows.append(row(one.amount, "paid", unconfirmed=True))
    pay(chains, 7, "later", NOW + 2 * MINUTE)
    found = await scan(ledger, url)
    assert (state(ledger, one.id), found.settled, found.waiting) == (OrderState.SEEN, 0, 1)
    assert dict(found.rejected) == {"unconfirmed": 1}
    assert found.cursor == NOW + MINUTE, "not past what may still be confirmed"
    pay(chains, one.amount, "paid")
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("UPDATE sightings SET next_ms = 0")
    found = await scan(ledger, url)
    assert (state(ledger, one.id), found.settled) == (OrderState.CONFIRMED, 1)
    assert found.transfers == 2


async def test_two_transfers_in_one_transaction_are_two(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Rows have no log index; the receipt does."""
    one, two = order(ledger, 1), order(ledger, 2)
    for amount in (one.amount, two.amount, two.amount):
        chains.rows.append(row(amount, "both"))
    proof = receipt(log(one.amount), log(two.amount), log(two.amount), name="both")
    chains.receipts[proof["id"]] = proof
    found = await scan(ledger, url)
    assert found.settled == 2
    assert [review.cause for review in ledger.reviews.listing()] == ["duplicate"]
    ledgers.check(ledger)


async def test_a_row_that_its_receipt_contradicts_is_nothing(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Reverted, or of another token: the order waits on."""
    one = order(ledger)
    chains.add(row(one.amount, "bad"), receipt(log(one.amount), name="bad", result="REVERT"))
    found = await scan(ledger, url)
    assert (found.settled, dict(found.rejected)) == (0, {"reverted": 1})
    assert state(ledger, one.id) is OrderState.NEW


async def test_the_receipt_decides_about_time(ledger: Ledger, url: str, chains: Chains) -> None:
    """A row that says in time does not help when the block was late."""
    one = order(ledger)
    late = NOW + WINDOW_MS + 1
    chains.add(row(one.amount, "t"), receipt(log(one.amount), name="t", block_ms=late))
    await scan(ledger, url)
    assert state(ledger, one.id) is OrderState.PAID_LATE


async def test_others_receipts_are_read_a_few_at_a_time(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """What no order waits for is in the queue at once, unverified, and verified by and by."""
    for number in range(8):
        pay(chains, 100 + number, number, NOW + number)
    found = await scan(ledger, url, others=3)
    assert (found.review, found.waiting) == (8, 5)
    listed = ledger.reviews.listing()
    assert sorted(review.verified for review in listed) == [False] * 5 + [True] * 3
    await scan(ledger, url, others=9)
    assert all(review.verified for review in ledger.reviews.listing())
    assert ledger.reviews.count() == 8


async def test_a_receipt_that_fails_spoils_nothing_else(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """The pages count, the order stays seen, the error is told, and the next scan settles."""
    one = order(ledger)
    pay(chains, one.amount, "paid")
    chains.fault = lambda asked: Answer(500) if "gettransactioninfo" in asked.path else None
    with pytest.raises(ChainUnavailable):
        await scan(ledger, url)
    assert state(ledger, one.id) is OrderState.SEEN
    assert ledger.intake.cursors()[0].completed_ms == chains.head_ms
    chains.fault = lambda _: None
    assert (await scan(ledger, url)).settled == 1


@pytest.mark.parametrize(
    "answer",
    [
        Answer(body=[1]),
        Answer(raw=b"{"),
        Answer(body={"Error": "x"}),
        Answer(body={"code": 7, "message": "too many requests"}),
        Answer(body={"success": False}),
        Answer(body={**receipt(), "id": "00" * 32}),
        Answer(body={**receipt(name="paid"), "log": None}),
    ],
)
async def test_a_receipt_of_another_shape_is_an_outage(
    ledger: Ledger, url: str, chains: Chains, answer: Answer
) -> None:
    """A node's error is no receipt and no refusal."""
    one = order(ledger)
    pay(chains, one.amount, "paid")
    chains.fault = lambda asked: answer if "gettransactioninfo" in asked.path else None
    with pytest.raises(ChainUnavailable):
        await scan(ledger, url)
    assert state(ledger, one.id) is OrderState.SEEN
    chains.fault = lambda _: None
    assert (await scan(ledger, url)).settled == 1


async def test_an_outage_expires_nothing(ledger: Ledger, url: str, chains: Chains) -> None:
    """8: only the chain's own time does, and only as far as it was read."""
    one, two = order(ledger, 1), order(ledger, 2)
    chains.head_ms = None
    found = await scan(ledger, url)
    assert (found.chain_ms, found.expired) == (0, 0)
    chains.head_ms = NOW + WINDOW_MS + 3 * MINUTE
    pay(chains, one.amount, "in time", NOW + WINDOW_MS)
    chains.fault = lambda asked: Answer(503) if asked.path.startswith("/v1/") else None
    with pytest.raises(ChainUnavailable):
        await scan(ledger, url)
    assert (state(ledger, one.id), state(ledger, two.id)) == (OrderState.NEW, OrderState.NEW)
    chains.fault = lambda _: None
    found = await scan(ledger, url)
    assert found.expired == 1
    assert (state(ledger, one.id), state(ledger, two.id)) == (
        OrderState.CONFIRMED,
        OrderState.EXPIRED,
    )


async def test_a_clock_that_runs_ahead_moves_no_cursor(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """A row that claims the far future is not followed there."""
    pay(chains, 7, "future", NOW + 10**12)
    pay(chains, 8, "now", NOW)
    chains.ignores_times = True
    assert (await scan(ledger, url)).cursor == NOW


@pytest.mark.parametrize(
    ("behind_s", "expected"), [(0, 0), (29, 0), (31, 31), (-80, 0), (-91, -31)]
)
async def test_a_clock_that_is_off_is_told(
    ledger: Ledger, url: str, behind_s: int, expected: int
) -> None:
    """By name, from half a minute on; a solid block may be a minute old."""
    found = await scan(ledger, url, clock=lambda: clock_of(url) - behind_s * 1000)
    told = found.skewed
    assert (0 if told is None else round(found.skew_ms / 1000)) == expected
    if told is not None:
        assert f"{abs(expected)} s {'behind' if expected > 0 else 'ahead'}" in str(told)
        assert "no order expires" not in str(told)


@pytest.mark.parametrize("network", list(Network))
@pytest.mark.parametrize("off", [-50 * MINUTE, -4 * MINUTE, 4 * MINUTE, 50 * MINUTE])
async def test_nothing_expires_by_a_clock_that_is_wrong(
    ledger: Ledger, url: str, chains: Chains, off: int, network: Network
) -> None:
    """However far the chain has come; once the clock is right, what is over ends."""
    method = Method.TRON if network is Network.TRON else Method.TON
    chains.head_ms = NOW
    one = order(ledger, method=method, now_ms=NOW + off)
    chains.head_ms = NOW + WINDOW_MS + RESERVED_MS
    found = await scan(ledger, url, network, clock=lambda: clock_of(url) + off)
    assert (found.expired, state(ledger, one.id)) == (0, OrderState.NEW)
    assert "no order expires" in str(found.skewed)
    chains.head_ms += 2 * WINDOW_MS
    assert (await scan(ledger, url, network)).expired == 1


async def test_a_clock_a_little_ahead_costs_no_payment(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Half a minute ahead, and paid 20 s after the order was made: the block is older than it."""
    one = order(ledger, now_ms=NOW + 30_000)
    pay(chains, one.amount, "paid", NOW + 20_000)
    assert (await scan(ledger, url)).settled == 1
    assert state(ledger, one.id) is OrderState.CONFIRMED
    ledgers.check(ledger)


async def test_a_clock_that_was_far_ahead_delays_no_receipt(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """What was put off to the next year by it is asked for once it is right."""
    one = order(ledger)
    pay(chains, one.amount, "paid")
    chains.fault = lambda asked: Answer(body={}) if "gettransactioninfo" in asked.path else None
    await scan(ledger, url, clock=lambda: clock_of(url) + 10**10)
    chains.fault = lambda _: None
    assert (await scan(ledger, url)).settled == 1


async def test_a_time_that_no_calendar_has_spoils_no_list(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """A row or a head of the year 144000 is none; the queue and the scan can still be shown."""
    chains.rows.append(row(7, "absurd", block_ms=2**52))
    pay(chains, 8, "now", NOW)
    chains.ignores_times = True
    assert (await scan(ledger, url)).waiting == 1
    shown = sorted(
        (one.amount, one.verified) for one in map(answers.review, ledger.reviews.listing())
    )
    assert shown == [("0.000007", False), ("0.000008", True)]
    chains.head_ms = 2**40 * 1000 - 1000
    for network in ("tron", "ton"):
        assert (await scan(ledger, url, network)).chain_ms == 0


async def test_a_refused_key_is_told(ledger: Ledger, url: str, chains: Chains) -> None:
    """It is a matter of settings on either chain."""
    chains.fault = lambda _: Answer(401, {})
    for network in ("tron", "ton"):
        with pytest.raises(ChainRefused, match=f"X0TTA6BL4_{network.upper()}_API_KEY"):
            await scan(ledger, url, network)


async def test_two_do_not_scan_at_once(ledger: Ledger, url: str) -> None:
    """The second is told, or waits for its turn."""
    with ledger.database.alone("scan-tron", timeout_s=0):
        with pytest.raises(Conflict):
            await scan(ledger, url)
        waiting = asyncio.create_task(scan(ledger, url, wait_s=120))
        await asyncio.sleep(0.1)
        assert not waiting.done()
    assert (await waiting).network is Network.TRON


async def test_a_scan_that_is_cancelled_leaves_no_lock(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """The next one may begin at once."""
    chains.fault = lambda _: Answer(body={}, delay_s=5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await scan(ledger, url)
    with ledger.database.alone("scan-tron", timeout_s=60):
        pass


DIALECTS = pytest.mark.parametrize("dialect", ["", "/api/v2"])


@DIALECTS
async def test_ton_in_both_dialects(ledger: Ledger, url: str, chains: Chains, dialect: str) -> None:
    """Coins and jettons settle, forgeries are listed, and a second scan changes nothing."""
    coins, tokens = order(ledger, 1, method=Method.TON), order(ledger, 2, method=Method.TON_USDT)
    shop = chains.accounts[TON_WALLET]
    shop.pay(coins.comment, coins.amount)
    shop.notice(tokens.comment, tokens.amount, wallet=TON_WALLET)
    chains.pay_jettons(f" {tokens.comment} ", tokens.amount)
    shop.pay("nobody's", 5)
    found = await scan(ledger, url + dialect, "ton")
    assert (found.transfers, found.settled, found.review) == (3, 2, 2)
    causes = {one.cause: one.order for one in ledger.reviews.listing()}
    assert causes == {Cause.WRONG_ASSET: tokens.id, Cause.UNMATCHED: None}
    assert dict(found.rejected) == {"fake_jetton": 1, "notified": 1}
    assert (found.cursor, found.chain_ms) == (40, NOW + 5 * MINUTE)
    assert state(ledger, coins.id) is OrderState.CONFIRMED
    assert state(ledger, tokens.id) is OrderState.CONFIRMED
    before = ledgers.snapshot(ledger)
    assert (await scan(ledger, url + dialect, "ton")).transfers == 0
    assert ledgers.snapshot(ledger) == before
    shop.pay("more", 5)
    assert (await scan(ledger, url + dialect, "ton")).transfers == 1
    ledgers.check(ledger)


@DIALECTS
async def test_ton_reads_many_pages(ledger: Ledger, url: str, chains: Chains, dialect: str) -> None:
    """To the end, also when the API gives less than was asked for."""
    chains.page = 40
    for number in range(250):
        chains.accounts[TON_WALLET].pay("x", number + 1)
    found = await scan(ledger, url + dialect, "ton")
    assert (found.transfers, found.cursor) == (250, 2500)


@DIALECTS
async def test_pages_that_somebody_has_stuffed_are_read_in_parts(
    ledger: Ledger, url: str, chains: Chains, dialect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What strangers send along makes no page too large to be read; one alone always fits."""
    one = order(ledger, method=Method.TON)
    shop = chains.accounts[TON_WALLET]
    for number in range(9):
        shop.pay(f"{number}" + "x" * 4000, 1)
    shop.pay(one.comment, one.amount)
    largest = max(len(made.boc) for made in shop.made)
    monkeypatch.setattr("actors.payments.chains.api.MAX_BYTES", 5 * largest)
    found = await scan(ledger, url + dialect, "ton")
    assert (found.transfers, found.settled) == (10, 1)
    monkeypatch.setattr("actors.payments.chains.api.MAX_BYTES", largest)
    shop.pay("y" * 4000, 1)
    with pytest.raises(AnswerTooLarge):
        await scan(ledger, url + dialect, "ton")


@DIALECTS
async def test_jettons_without_a_notice_are_read(
    ledger: Ledger, url: str, chains: Chains, dialect: str
) -> None:
    """From the shop's jetton wallet itself."""
    one = order(ledger, method=Method.TON_USDT)
    chains.accounts[JETTON_WALLET] = TonAccount(JETTON_WALLET)
    chains.accounts[JETTON_WALLET].take(internal_transfer(one.amount, one.comment), 10**8)
    await scan(ledger, url + dialect, "ton")
    assert state(ledger, one.id) is OrderState.CONFIRMED


@DIALECTS
async def test_a_wallet_that_was_emptied_and_is_used_again(
    ledger: Ledger, url: str, chains: Chains, dialect: str
) -> None:
    """Its account ended with the last coin. Toncenter forgets it then, and the way on is told."""
    one, two = order(ledger, 1, method=Method.TON), order(ledger, 2, method=Method.TON)
    shop = chains.accounts[TON_WALLET]
    shop.pay(one.comment, one.amount)
    assert (await scan(ledger, url + dialect, "ton")).settled == 1
    shop.add(external(TON_WALLET), end="nonexist")
    shop.pay(two.comment, two.amount)
    if dialect:
        with pytest.raises(HistoryForgotten, match="emptied") as caught:
            await scan(ledger, url + dialect, "ton")
        named = re.search(r"--network ton --from (\S+)`", caught.value.remedy)
        assert named is not None
        begins = datetime.fromisoformat(f"{named[1]}+00:00").timestamp()
        found = await scan(ledger, url + dialect, "ton", from_ms=int(begins * 1000))
        assert found.settled == 1
        shop.pay("more", 5)
        assert (await scan(ledger, url + dialect, "ton")).transfers == 1
    else:
        assert (await scan(ledger, url + dialect, "ton")).settled == 1
    shop.pay("later", 5)
    assert (await scan(ledger, url + dialect, "ton")).transfers == 1
    ledgers.check(ledger)


async def test_an_api_that_cannot_tell_the_jetton_wallet(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Coins are taken; once another path of the API knows it, all that it has had is read."""
    chains.jetton_wallet = None
    one, two = order(ledger, 1, method=Method.TON_USDT), order(ledger, 2, method=Method.TON_USDT)
    chains.pay_jettons(one.comment, one.amount)
    chains.accounts[TON_WALLET].pay("x", 5)
    for dialect in ("/api/v2", ""):
        found = await scan(ledger, url + dialect, "ton")
        assert found.settled == 0
    chains.fault = lambda asked: (
        Answer(body={"wallet_address": {"address": JETTON_WALLET}})
        if "/jettons/" in asked.path
        else None
    )
    chains.pay_jettons(two.comment, two.amount)
    assert (await scan(ledger, url, "ton")).settled == 2


async def test_another_master_has_another_jetton_wallet(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """After a change of the token, the one before buys nothing, and the new one is recognised."""
    other = replace(ton_chain(url), contract="0:" + "ab" * 32)
    async with scanning.connect(other) as api:
        await scanning.scan(other, ledger, api, clock=lambda: CLOCK)
    chains.jetton_wallet = "0:" + "cd" * 32
    one = order(ledger, method=Method.TON_USDT)
    chains.pay_jettons(one.comment, one.amount, wallet=JETTON_WALLET)
    assert (await scan(ledger, url, "ton")).settled == 0
    chains.pay_jettons(one.comment, one.amount, wallet=chains.jetton_wallet)
    assert (await scan(ledger, url, "ton")).settled == 1
    ledgers.check(ledger)


NEVER_DEPLOYED = itertools.cycle(["uninit", "nonexist"])
"""What becomes of such a wallet: storage eats the nanoton of a notice once it is touched again."""


@DIALECTS
@pytest.mark.parametrize("every", [1, 2, 3])
async def test_usdt_at_a_wallet_that_was_never_deployed(
    ledger: Ledger, url: str, chains: Chains, dialect: str, every: int
) -> None:
    """Its account comes and goes, and toncenter forgets what was before; no payment is missed."""
    bought = [order(ledger, number, method=Method.TON_USDT) for number in range(6)]
    for number, (one, end) in enumerate(zip(bought, NEVER_DEPLOYED, strict=False)):
        chains.pay_jettons(one.comment, one.amount, end=end)
        if number % every == 0:
            await scan(ledger, url + dialect, "ton")
    chains.head_ms = NOW + WINDOW_MS + 10 * MINUTE
    await scan(ledger, url + dialect, "ton")
    assert {state(ledger, one.id) for one in bought} == {OrderState.CONFIRMED}
    ledgers.check(ledger)


async def test_the_beginning_of_a_history_is_not_taken_on_trust(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """An API that lists only the newest has not shown all, unless the shop begins among them."""
    chains.newest, chains.page = True, 10
    shop = chains.accounts[TON_WALLET]
    one = order(ledger, method=Method.TON)
    shop.pay(one.comment, one.amount)
    for number in range(12):
        shop.pay("x", 1 + number, time_s=NOW // 1000 + 61 + number)
    chains.head_ms = NOW + WINDOW_MS + 10 * MINUTE
    with pytest.raises(UntrustedHistory, match="missing"):
        await scan(ledger, url, "ton")
    assert state(ledger, one.id) is OrderState.NEW
    started = replace(ton_chain(url), since_ms=(NOW // 1000 + 66) * 1000)
    async with scanning.connect(started) as api:
        found = await scanning.scan(started, ledger, api, clock=lambda: CLOCK)
    assert (found.transfers, found.rejected["before_start"]) == (7, 3)
    chains.newest = False
    async with scanning.connect(ton_chain(url)) as api:
        again = await scanning.scan(ton_chain(url), ledger, api, from_ms=0, clock=lambda: CLOCK)
    assert (again.settled, again.transfers) == (1, 13)
    ledgers.check(ledger)


async def test_toncenter_is_read_back_to_the_shops_beginning_only(
    ledger: Ledger, url: str, chains: Chains, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A used wallet may have any history before."""
    monkeypatch.setattr(ton_source, "MAX_BACKLOG", 50)
    monkeypatch.setattr(ton_source, "CENTER_PAGE", 10)
    shop = chains.accounts[TON_WALLET]
    for number in range(100):
        shop.pay("x", 1 + number, time_s=NOW // 1000 + number)
    started = replace(ton_chain(f"{url}/api/v2"), since_ms=(NOW // 1000 + 85) * 1000)
    async with scanning.connect(started) as api:
        found = await scanning.scan(started, ledger, api, clock=lambda: CLOCK)
    assert (found.transfers, found.review) == (15, 15)
    assert sum("getTransactions" in asked.path for asked in chains.asked) < 5


def wrong(asked: Asked, change: Any, chains: Chains) -> Answer | None:
    if not asked.path.endswith(("/transactions", "/getTransactions")):
        return None
    chains.fault = lambda _: None
    answer = chains.answer(asked)
    chains.fault = lambda later: wrong(later, change, chains)
    name = "transactions" if "transactions" in answer.body else "result"
    if TON_WALLET in str(asked):
        change(answer.body[name])
    return answer


def drop_first(listed: list[Any]) -> None:
    if len(listed) > 1:
        del listed[0]


def rename(listed: list[Any]) -> None:
    for one in listed:
        if "hash" in one:
            one["hash"] = "00" * 32
        else:
            one["transaction_id"]["hash"] = "AAAA"


def spoil(listed: list[Any]) -> None:
    for one in listed:
        one["raw"] = one["data"] = "zz"


def empty(listed: list[Any]) -> None:
    listed[:] = [None] * len(listed)


@DIALECTS
@pytest.mark.parametrize("change", [drop_first, rename, spoil, empty])
async def test_a_ton_history_that_is_not_the_chain_is_refused(
    ledger: Ledger, url: str, chains: Chains, dialect: str, change: Any
) -> None:
    """A gap, a false hash, broken cells: nothing is taken over and the cursor stays."""
    shop = chains.accounts[TON_WALLET]
    shop.pay("x", 5)
    await scan(ledger, url + dialect, "ton")
    for _ in range(3):
        shop.pay("y", 6)
    before = ledgers.snapshot(ledger)
    chains.fault = lambda asked: wrong(asked, change, chains)
    if change is drop_first and dialect:
        # Listed from the newest: without it, the rest is a chain, and the newest comes next time.
        await scan(ledger, url + dialect, "ton")
        assert len(ledgers.snapshot(ledger)["payments"]) == 3
        return
    with pytest.raises(UntrustedHistory):
        await scan(ledger, url + dialect, "ton")
    assert ledgers.snapshot(ledger) == before
    assert ledger.intake.cursors()[0].position in {0, 10}
    chains.fault = lambda _: None
    assert (await scan(ledger, url + dialect, "ton")).transfers == 3


@DIALECTS
async def test_ton_lists_of_another_shape_are_refused(
    ledger: Ledger, url: str, chains: Chains, dialect: str
) -> None:
    """And a time that is none is no time."""
    chains.fault = lambda asked: (
        Answer(body={"result": {"last": {"seqno": "x"}}, "gen_utime": "x"})
        if "ead" in asked.path or "Info" in asked.path
        else None
    )
    assert (await scan(ledger, url + dialect, "ton")).chain_ms == 0
    chains.fault = lambda asked: Answer(body=[]) if "ransactions" in asked.path else None
    with pytest.raises(UntrustedHistory, match="without"):
        await scan(ledger, url + dialect, "ton")
    chains.fault = lambda _: None
    chains.head_ms = None
    assert (await scan(ledger, url + dialect, "ton")).chain_ms == 0


@pytest.mark.parametrize(
    "stack", [None, [], [["num", "0x1"]], [["cell", {"bytes": "AAAA"}]], [["cell", {}]]]
)
async def test_a_stack_without_an_address_is_no_jetton_wallet(
    ledger: Ledger, url: str, chains: Chains, stack: object
) -> None:
    """Whatever a get method answers."""
    chains.fault = lambda asked: (
        Answer(body={"ok": True, "result": {"stack": stack}}) if "runGet" in asked.path else None
    )
    await scan(ledger, f"{url}/api/v2", "ton")
    assert ledger.intake.cursors()[0].jetton_wallet == ""


@pytest.mark.parametrize(
    ("base", "header", "value"),
    [
        ("https://tonapi.io", "authorization", "Bearer canary"),
        ("https://toncenter.com/api/v2", "x-api-key", "canary"),
    ],
)
async def test_each_dialect_has_its_header_for_the_key(base: str, header: str, value: str) -> None:
    """And only that one."""
    async with ton_source.connect(ton_chain(base, key=SecretStr("canary"))) as api:
        carrying = {name for name, held in api.client.headers.items() if "canary" in held}
        assert carrying == {header}
        assert api.client.headers[header] == value


async def test_histories_end(
    ledger: Ledger, url: str, chains: Chains, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has more pages than any real one is not followed for ever."""
    monkeypatch.setattr(tron_source, "MAX_PAGES", 3)
    monkeypatch.setattr(ton_source, "MAX_PAGES", 3)
    monkeypatch.setattr(ton_source, "MAX_BACKLOG", 150)
    monkeypatch.setattr(ton_source, "PAGE", 1)
    chains.page = 1
    for number in range(250):
        pay(chains, 100 + number, number, NOW + number)
        chains.accounts[TON_WALLET].pay("x", number + 1)
    for network, dialect in (("tron", ""), ("ton", ""), ("ton", "/api/v2")):
        with pytest.raises(UntrustedHistory, match="more than"):
            await scan(ledger, url + dialect, network)
    assert ledger.intake.cursors()[0].completed_ms == 0


async def test_a_ton_page_out_of_the_middle_is_refused(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Also when it is not the first that is missing, and at the very first scan."""
    shop = chains.accounts[TON_WALLET]
    for _ in range(4):
        shop.pay("x", 5)
    hidden = shop.made.pop(1)
    with pytest.raises(UntrustedHistory, match="missing"):
        await scan(ledger, url, "ton")
    shop.made.insert(1, hidden)
    assert (await scan(ledger, url, "ton")).transfers == 4


async def test_receipts_after_a_failure_are_left(ledger: Ledger, url: str, chains: Chains) -> None:
    """An API that is down is not asked for each of them."""
    for number in range(30):
        one = order(ledger, number)
        pay(chains, one.amount, number, NOW + number)
    chains.fault = lambda asked: Answer(401) if "gettransactioninfo" in asked.path else None
    with pytest.raises(ChainRefused):
        await scan(ledger, url)
    assert sum("gettransactioninfo" in asked.path for asked in chains.asked) <= 8


async def test_a_receipt_that_always_fails_keeps_no_others_waiting(
    ledger: Ledger, url: str, chains: Chains, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a node makes of one transaction, who paid later gets what he paid for."""
    monkeypatch.setattr(scanning, "RECEIPTS_AT_ONCE", 1)
    bought = [order(ledger, number) for number in range(5)]
    for number, one in enumerate(bought):
        pay(chains, one.amount, number, NOW + number)
    poison = chains.rows[0]["transaction_id"]
    chains.fault = lambda asked: (
        Answer(500) if isinstance(asked.body, dict) and asked.body.get("value") == poison else None
    )
    clock = itertools.count(CLOCK).__next__
    for _ in range(2):
        with pytest.raises(ChainUnavailable):
            await scan(ledger, url, clock=clock)
    assert [state(ledger, one.id) for one in bought] == [OrderState.SEEN] + 4 * [
        OrderState.CONFIRMED
    ]
    chains.fault = lambda _: None
    assert (await scan(ledger, url, clock=clock)).settled == 1


async def test_a_transaction_that_vanishes_is_forgotten(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Listed once, and an hour of solid blocks later in none of them: the order was not paid."""
    one = order(ledger)
    chains.rows.append(row(one.amount, "gone", unconfirmed=True))
    chains.rows.append(row(7, "gone too"))
    await scan(ledger, url)
    assert (state(ledger, one.id), ledger.reviews.count()) == (OrderState.SEEN, 1)
    chains.rows.clear()
    chains.head_ms = NOW + MINUTE + scanning.GONE_MS + 1
    for _ in range(scanning.GONE_ASKED):
        assert ledger.intake.count_waiting(ledger.intake.cursors()[0]) == 2
        with ledger.database.writing() as connection:
            connection.exec_driver_sql("UPDATE sightings SET next_ms = 0")
        found = await scan(ledger, url)
    assert (dict(found.rejected), found.waiting) == ({"vanished": 2}, 0)
    assert ledger.reviews.count() == 0
    assert state(ledger, one.id) is OrderState.EXPIRED


async def test_a_node_that_lags_behind_forgets_no_payment(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """Made in time while nobody watched, and not found at once hours later."""
    one = order(ledger)
    pay(chains, one.amount, "paid")
    chains.head_ms = NOW + 2 * scanning.GONE_MS
    chains.fault = lambda asked: Answer(body={}) if "gettransactioninfo" in asked.path else None
    found = await scan(ledger, url)
    assert (dict(found.rejected), found.waiting) == ({}, 1)
    chains.fault = lambda _: None
    with ledger.database.writing() as connection:
        connection.exec_driver_sql("UPDATE sightings SET next_ms = 0")
    assert (await scan(ledger, url)).settled == 1
    ledgers.check(ledger)


async def test_another_wallets_orders_are_left_alone(
    ledger: Ledger, url: str, chains: Chains
) -> None:
    """After a change of the wallet: what nobody reads any more does not expire by being unread."""
    one = order(ledger)
    pay(chains, one.amount, "paid")
    chains.fault = lambda asked: Answer(500) if "gettransactioninfo" in asked.path else None
    with pytest.raises(ChainUnavailable):
        await scan(ledger, url)
    chains.fault = lambda _: None
    chains.head_ms = NOW + 3 * WINDOW_MS
    moved = replace(tron_chain(url), wallet=tron_address("another shop"))
    async with scanning.connect(moved) as api:
        late = one.reserved_until_ms + 1
        found = await scanning.scan(moved, ledger, api, clock=lambda: late)
        assert (found.settled, found.expired, found.waiting) == (0, 0, 0)
        assert state(ledger, one.id) is OrderState.SEEN
        found = await scanning.scan(moved, ledger, api, clock=lambda: CLOCK)
        assert found.settled == 1, "it is the wallet of before, which is read for a while"
