"""The properties of payments, on the real ledger over SQLite and over PostgreSQL.

Numbers in the docstrings are those of the list of properties: 1 one payment an order, 2 any order
of arrival, 4 reservations, 5 what delivered implies, 6 the cursor, 7 what never settles, 9 every
transfer ends somewhere. 3 and 10 (crashes, two watchers) and 8 (outages) need processes and
servers: see tests/integration.
"""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from actors.payments.chains import tron
from actors.payments.chains.clock_skew import TOLERATED_MS
from actors.payments.chains.money import Method, Network
from actors.payments.chains.verdict import Rejected, Transfer
from actors.payments.errors import OrdersFull, UnknownReview
from actors.payments.ledger.order_book import RESERVED_MS, WINDOW_MS
from actors.payments.ledger.orders import SETTLED, OrderState
from actors.payments.ledger.outbox import CLAIM_MS
from actors.runtime.errors import Conflict, InvalidInput
from tests.unit.payments import ledgers
from tests.unit.payments.shop import (
    BUYER,
    FAKE_USDT,
    MINUTE,
    NOW,
    TON_BUYER,
    USDT,
    WALLET,
    chain_of,
    log,
    order,
    receipt,
    row,
    transfer,
    tx_id,
)

if TYPE_CHECKING:
    from actors.payments.ledger.cursors import Cursor
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.ledger.outbox import Message


def cursor(ledger: Ledger, method: Method) -> Cursor:
    return ledger.intake.open(method.network, chain_of(method).wallet)


# What happens on the chain, as (order, difference to its amount, time after NOW, log index).
PAID = st.tuples(
    st.integers(0, 2),
    st.sampled_from([-(10**12), -4_000_000, -100, -1, 0, 0, 0, 1]),
    st.sampled_from(
        [
            -TOLERATED_MS - 1,
            -TOLERATED_MS,
            0,
            MINUTE,
            2 * MINUTE,
            WINDOW_MS,
            WINDOW_MS + 1,
            RESERVED_MS * 2,
        ]
    ),
    st.integers(0, 1),
)


def transfers_of(orders: list[Order], paid: list[tuple[int, int, int, int]]) -> list[Transfer]:
    return [
        transfer(
            max(1, orders[which].amount + difference),
            number,
            block_ms=NOW + after,
            position=position,
            method=orders[which].method,
            comment=orders[which].comment,
        )
        for number, (which, difference, after, position) in enumerate(paid)
    ]


def apply(ledger: Ledger, pages: list[list[Transfer]]) -> None:
    """Record pages as scans of both chains do."""
    for page in pages:
        for one in page:
            if one.network is Network.TRON:
                at = cursor(ledger, Method.TRON)
                ledger.intake.settle(at, one.tx_id, [one], NOW)
        coins = [one for one in page if one.network is Network.TON]
        if coins:
            last = max(one.position for one in coins)
            ledger.intake.apply(
                cursor(ledger, Method.TON), coins, NOW, position=last + 1, mark="00"
            )


METHODS = (Method.TRON, Method.TON, Method.TON_USDT)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paid=st.lists(PAID, max_size=7), data=st.data())
def test_any_history_order_gives_the_same_ledger(
    shared: Ledger, paid: list[tuple[int, int, int, int]], data: st.DataObject
) -> None:
    """2: permuted, repeated, overlapping and split at will, the same transfers end alike."""
    numbers = list(range(len(paid)))
    again = data.draw(st.lists(st.sampled_from(numbers), max_size=5)) if numbers else []
    shuffled = data.draw(st.permutations(numbers + again))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(shuffled)))) | {0, len(shuffled)})
    ends = []
    for pages in (
        [numbers],
        [shuffled[start:end] for start, end in itertools.pairwise(cuts)],
    ):
        ledgers.wipe(shared)
        shared.orders._rng = random.Random(1)
        orders = [order(shared, number, method=METHODS[number]) for number in range(3)]
        chain = transfers_of(orders, paid)
        apply(shared, [[chain[number] for number in page] for page in pages])
        ledgers.check(shared)
        ends.append(ledgers.snapshot(shared))
    assert ends[0] == ends[1]


def is_enough(one: Order, in_time: list[tuple[int, int, int, int]]) -> bool:
    """Whether what came before its time was over pays an order."""
    if one.method is Method.TRON:
        return any(draw[1] == 0 and draw[2] >= -TOLERATED_MS for draw in in_time)
    # What came with its comment adds up.
    return sum(max(1, one.amount + draw[1]) for draw in in_time) >= one.amount


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paid=st.lists(PAID, max_size=6))
def test_every_transfer_ends_settled_or_in_review(
    shared: Ledger, paid: list[tuple[int, int, int, int]]
) -> None:
    """1, 5, 9: each once, and an order is paid exactly if enough came in time, to the unit."""
    ledgers.wipe(shared)
    orders = [order(shared, number, method=METHODS[number]) for number in range(3)]
    chain = transfers_of(orders, paid)
    apply(shared, [chain])
    ledgers.check(shared)
    report = shared.report()
    total = sum(sums.settled + sums.review for sums in report.takings.values())
    assert total == len(chain)
    over = [one for one in shared.reviews.listing() if one.cause == "overpaid"]
    assert report.reviews == sum(sums.review for sums in report.takings.values()) + len(over)
    came = sum(one.amount for one in chain)
    assert came == sum(sums.settled_amount + sums.review_amount for sums in report.takings.values())
    for number, one in enumerate(orders):
        mine = [draw for draw in paid if draw[0] == number and draw[2] <= WINDOW_MS]
        assert (shared.orders.get(one.id).state in SETTLED) == is_enough(one, mine)


BAD = st.sampled_from(["token", "approval", "zero", "recipient", "reverted", "no log", "other log"])


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tricks=st.lists(BAD, min_size=1, max_size=4))
def test_tricks_never_settle(shared: Ledger, tricks: list[str]) -> None:
    """7: a wrong token, an approval, nothing, a foreign recipient, a receipt that disagrees."""
    ledgers.wipe(shared)
    one = order(shared)
    at = cursor(shared, Method.TRON)
    for number, trick in enumerate(tricks):
        listed = {
            "token": row(one.amount, number, token=FAKE_USDT),
            "approval": row(one.amount, number, kind="Approval"),
            "zero": row(0, number),
            "recipient": row(one.amount, number, to=FAKE_USDT),
        }.get(trick, row(one.amount, number))
        proof = {
            "reverted": receipt(log(one.amount), name=number, result="REVERT"),
            "no log": receipt(name=number),
            "other log": receipt(log(one.amount, token=FAKE_USDT), name=number),
        }.get(trick, receipt(log(one.amount), name=number))
        sifted = tron.sift([listed], wallet=WALLET, contract=USDT, since_ms=0)
        shared.intake.note(at, USDT, sifted.sightings, NOW)
        for waiting in shared.intake.waiting(at, NOW, limit=9):
            read = tron.read_receipt(proof, waiting.tx_id, wallet=WALLET, contract=USDT, since_ms=0)
            assert isinstance(read, Rejected)
            shared.intake.refuse(at, waiting.tx_id, read.reason)
    assert shared.orders.get(one.id).state is OrderState.NEW
    assert shared.report().takings[Method.TRON].settled == 0
    ledgers.check(shared)


class Shop(RuleBasedStateMachine):
    """Everything that can happen to a shop, in any order: buyers, chains, relays, people."""

    ledger: Ledger

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.number = 0
        self.claimed: list[Message] = []
        self.positions: dict[str, int] = {}
        self.delivered: set[str] = set()

    @initialize()
    def begin(self) -> None:
        ledgers.wipe(self.ledger)

    @rule(target=orders, method=st.sampled_from(METHODS))
    def buy(self, method: Method) -> str:
        self.number += 1
        try:
            return order(self.ledger, self.number, method=method, now_ms=self.now).id
        except OrdersFull:
            return ""

    @rule(minutes=st.sampled_from([1, 40, 60, 60 * 25]))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(
        which=orders,
        difference=st.sampled_from([-2_000_000, -1, 0, 0, 0, 3]),
        back=st.sampled_from([0, MINUTE, 50 * MINUTE]),
        settles=st.sampled_from([True, True, False]),
    )
    def pay(self, which: str, difference: int, back: int, settles: bool) -> None:  # noqa: FBT001 - drawn by name
        if not which:
            return
        self.number += 1
        one = self.ledger.orders.get(which)
        paid = transfer(
            one.amount + difference,
            self.number,
            block_ms=self.now - back,
            position=self.number,
            method=one.method,
            comment=one.comment,
            settles=settles or one.method is Method.TRON,
        )
        apply(self.ledger, [[paid]])

    @rule(which=orders)
    def see(self, which: str) -> None:
        if not which:
            return
        self.number += 1
        one = self.ledger.orders.get(which)
        if one.method is Method.TRON:
            listed = row(one.amount, self.number, block_ms=self.now, unconfirmed=True)
            found = tron.sift([listed], wallet=WALLET, contract=USDT, since_ms=0)
            at = cursor(self.ledger, Method.TRON)
            self.ledger.intake.note(at, USDT, found.sightings, self.now)

    @rule(network=st.sampled_from(list(Network)), lag=st.sampled_from([0, MINUTE, 60 * MINUTE]))
    def read_to_the_end(self, network: Network, lag: int) -> None:
        at = self.ledger.intake.open(network, chain_of(Method(str(network))).wallet)
        self.ledger.intake.complete([at], self.now - lag, self.now)

    @rule(limit=st.integers(1, 5))
    def claim(self, limit: int) -> None:
        self.claimed += self.ledger.outbox.claim("pull", self.now, limit=limit)

    @rule(end=st.sampled_from(["done", "retry", "refuse", "die"]))
    def carry(self, end: str) -> None:
        if not self.claimed:
            return
        message = self.claimed.pop()
        if end == "done":
            self.ledger.outbox.done(message)
        elif end == "retry":
            self.ledger.outbox.retry(message, "busy", self.now)
        elif end == "refuse":
            self.ledger.outbox.refuse(message, "gone", self.now)
        else:
            self.now += CLAIM_MS

    @rule(
        decision=st.sampled_from(["accept", "refund", "dismiss", "retry"]), pick=st.integers(0, 5)
    )
    def decide(self, decision: str, pick: int) -> None:
        found = self.ledger.reviews.listing()
        if not found:
            return
        subject = found[pick % len(found)].subject
        queue = self.ledger.reviews
        try:
            if decision == "accept":
                queue.accept(subject, self.now, underpaid=pick % 2 == 0)
            elif decision == "refund":
                self.ledger.refunds.propose(subject, self.now)
            elif decision == "dismiss":
                queue.dismiss(subject, self.now)
            else:
                queue.retry(subject, self.now)
        except (UnknownReview, Conflict, InvalidInput):
            return
        with pytest.raises(UnknownReview):
            queue.dismiss(subject, self.now)  # decided is decided

    @rule(step=st.sampled_from(["address", "correct", "sent", "withdraw"]), pick=st.integers(0, 5))
    def go_on_with_a_refund(self, step: str, pick: int) -> None:
        refunds = self.ledger.refunds
        found = refunds.listing()
        if not found:
            return
        one = found[pick % len(found)]
        try:
            if step == "address":
                to = BUYER if one.method is Method.TRON else TON_BUYER
                refunds.address_given(one.order or "", to, self.now)
            elif step == "correct":
                refunds.correct(one.subject, self.now, amount=1)
            elif step == "sent":
                refunds.sent(one.subject, tx_id("refund"), self.now)
            else:
                refunds.withdraw(one.subject, self.now)
        except InvalidInput:
            assert step == "address" or (step == "sent" and not one.refund_to)

    @rule()
    def the_wallet_changes(self) -> None:
        self.ledger.intake.end_unpayable([], self.now)

    @invariant()
    def rules_hold(self) -> None:
        """1, 4, 5, 9; 6: a cursor never goes back; and what was delivered stays so."""
        ledgers.check(self.ledger)
        ledgers.check_told(self.ledger)
        for at in self.ledger.intake.cursors():
            assert at.position >= self.positions.get(at.account, 0)
            self.positions[at.account] = at.position
        delivered = {
            one.id for one in self.ledger.orders.listing(states=[OrderState.DELIVERED], limit=1000)
        }
        assert self.delivered <= delivered
        self.delivered = delivered


def test_whatever_happens_the_rules_hold(shared: Ledger) -> None:
    """Orders, payments, expiry, relays that die and people who decide, interleaved at will."""
    machine: Any = type("Machine", (Shop,), {"ledger": shared})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None)
    )


def test_equal_amounts_at_different_times_are_different_orders(shared: Ledger) -> None:
    """4: an amount that was used before is recognised by the time of the block."""
    ledgers.wipe(shared)
    first = order(shared, 1)
    over = NOW + WINDOW_MS + RESERVED_MS + 10 * MINUTE
    shared.intake.complete([cursor(shared, Method.TRON)], over, over)
    shared.orders._rng = _Always(first.amount)  # type: ignore[assignment]  # draws what it is told
    second = order(shared, 2, now_ms=over)
    assert second.amount == first.amount
    apply(
        shared,
        [
            [transfer(first.amount, "late", block_ms=over + MINUTE)],
            [transfer(first.amount, "early", block_ms=NOW + MINUTE)],
        ],
    )
    settling = {entry[0]: entry[1] for entry in ledgers.snapshot(shared)["settling"]}
    assert settling == {"request 1": tx_id("early"), "request 2": tx_id("late")}
    shared.orders._rng = random.Random(1)


class _Always:
    def __init__(self, value: int) -> None:
        self._value = value

    def choice(self, items: list[int]) -> int:
        assert self._value in items
        return self._value
