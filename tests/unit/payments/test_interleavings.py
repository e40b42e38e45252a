"""Any interleaving of paying, listing and reading, and any clock: no money is lost, nobody waits.

Transfers are made on both chains, and become solid and listed when they will: late, out of order,
as unconfirmed first, or only once all else was read. Two watchers, each with its own clock, read
meanwhile, also again from a time, and people name transactions; each goes on one answer at a time,
loses an answer, or is ended in the middle (see `stepped`).

The oracles know nothing of the ledger's rules but these two: money that arrived is in exactly one
of settled, in review, or counted as dust; and whoever paid has heard every state that the order was
in, and has a next step. What pays an order is computed here once more, from the chain alone.
"""

from __future__ import annotations

import base64
import contextlib
import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from actors.payments import lookup
from actors.payments import scan as scanning
from actors.payments.chains.clock_skew import HEAD_LAG_MS, TOLERATED_MS
from actors.payments.chains.money import Method, Network
from actors.payments.errors import ChainUnavailable
from actors.payments.ledger import orders, schema
from actors.payments.ledger.orders import SETTLED, OrderState
from actors.payments.scan import OVERLAP_MS
from tests.unit.payments import ledgers
from tests.unit.payments.http_chain import Chains
from tests.unit.payments.shop import (
    JETTON_WALLET,
    LICENCE,
    MINUTE,
    NOW,
    PRICES,
    TON_WALLET,
    chain_of,
    log,
    order,
    receipt,
    row,
    tx_id,
)
from tests.unit.payments.stepped import Steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from actors.payments.chains.api import Api
    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.shop import ShopChain
    from tests.unit.payments.stepped import Work

DUST = {Method.TRON: 1_000_000, Method.TON: 10**8, Method.TON_USDT: 1_000_000}
IN_TIME_MS = OVERLAP_MS - 2 * MINUTE
"""An index that lists a transfer so late loses nothing: a scan reads again what is up to five
minutes older than the newest row, and no row that it believes is two minutes ahead of the chain."""
SKEWS = (0, 0, 25_000, -25_000, 115_000, -115_000, 50 * MINUTE, -50 * MINUTE)
NAMED = {
    OrderState.SEEN: "seen",
    OrderState.EXPIRED: "expired",
    OrderState.CONFIRMED: "confirmed",
    OrderState.OVERPAID: "overpaid",
    OrderState.UNDERPAID: "underpaid",
    OrderState.PAID_LATE: "paid_late",
}
"""What the buyer is told of a state."""


@dataclass
class Arrived:
    """A transfer to the shop that was made on a chain."""

    method: Method
    tx_id: str
    position: int
    amount: int
    block_ms: int
    comment: str
    is_in_time: bool = False  # its index listed it in time
    listed_at: int | None = None  # the number of the event that listed it

    @property
    def key(self) -> tuple[str, str, int]:
        """Its key in the ledger."""
        return str(self.method.network), self.tx_id, self.position


@dataclass
class Row:
    """A transaction on TRON, and how far its index has got with it."""

    name: str
    block_ms: int
    brings: list[Arrived]
    receipt: dict[str, Any]
    listing: str = ""  # then "unconfirmed", then "confirmed"


def shop_chain(network: Network) -> ShopChain:
    return replace(chain_of(Method(str(network))), dust=DUST)


class Interleavings(RuleBasedStateMachine):
    """A shop, its chains, and those who read them."""

    ledger: Ledger

    def __init__(self) -> None:
        super().__init__()
        ledgers.wipe(self.ledger)
        self.now = NOW
        self.numbers = count(1)
        self.drawn = contextlib.ExitStack()  # the same in each run of an example
        self.drawn.enter_context(mock.patch.object(orders, "new_id", self._draw_id))
        self.drawn.enter_context(mock.patch.object(orders, "new_comment", self._draw_comment))
        self.ledger.orders._rng = random.Random(1)
        self.chains = Chains(head_ms=NOW, page=3)
        self.chains.accounts[JETTON_WALLET] = type(self.chains.accounts[TON_WALLET])(JETTON_WALLET)
        self.chains.shown = {TON_WALLET: 0, JETTON_WALLET: 0}
        self.orders: list[Order] = []
        self.arrived: list[Arrived] = []
        self.rows: list[Row] = []
        self.skews = [0, 0]
        self.states: dict[str, list[OrderState]] = {}
        self.steps = Steps(self.chains, self.ledger)

    @initialize(skews=st.tuples(st.sampled_from(SKEWS), st.sampled_from(SKEWS)))
    def clocks_are_set(self, skews: tuple[int, int]) -> None:
        self.skews = list(skews)

    def teardown(self) -> None:
        try:
            self.everything_is_read()
        finally:
            self.steps.__exit__()
            self.drawn.close()

    def _draw_id(self) -> str:
        return base64.b32encode(bytes.fromhex(tx_id(next(self.numbers)))[:10]).decode().lower()

    def _draw_comment(self) -> str:
        return tx_id(next(self.numbers))[:32]

    # What happens on the chains, and to the shop.

    @rule(method=st.sampled_from(Method))
    def buy(self, method: Method) -> None:
        at = self.now + self.skews[0]
        one = order(self.ledger, next(self.numbers), method=method, now_ms=at, plan=LICENCE)
        self.orders.append(one)
        self.states[one.id] = [one.state]

    @rule(time_s=st.sampled_from([10, 100, 170, 400, 50 * 60, 25 * 3600]))
    def wait(self, time_s: int) -> None:
        self.now += time_s * 1000
        self.chains.head_ms = self.now

    @precondition(lambda self: self.orders)
    @rule(
        pick=st.integers(0, 9),
        difference=st.sampled_from([0, 0, 0, -1, 3, -4_000_000]),
        how=st.sampled_from(["once", "once", "pair", "reverted", "wrong coin"]),
    )
    def pay(self, pick: int, difference: int, how: str) -> None:
        one = self.orders[pick % len(self.orders)]
        if one.method is Method.TRON:
            amounts = [one.amount + difference] * (2 if how == "pair" else 1)
            self._on_tron(amounts, is_reverted=how == "reverted")
        else:
            other = {Method.TON: Method.TON_USDT, Method.TON_USDT: Method.TON}
            method = other[one.method] if how == "wrong coin" else one.method
            self._on_ton(method, one.amount + difference, f" {one.comment.upper()}")

    @rule(method=st.sampled_from(Method), is_dust=st.booleans(), more=st.booleans())
    def pay_nobody(self, method: Method, is_dust: bool, more: bool) -> None:  # noqa: FBT001 - drawn by name
        amount = 5 if is_dust else PRICES[method] // 2
        if method is Method.TRON:
            self._on_tron([amount, DUST[method]] if more else [amount])
        else:
            self._on_ton(method, amount, "hello" if more else "")

    def _on_tron(self, amounts: list[int], *, is_reverted: bool = False) -> None:
        name = f"tron {next(self.numbers)}"
        logs = [log(amount) for amount in amounts]
        result = "REVERT" if is_reverted else "SUCCESS"
        proof = receipt(*logs, name=name, block_ms=self.now, result=result)
        made = [
            Arrived(Method.TRON, tx_id(name), number, amount, self.now, "")
            for number, amount in enumerate(amounts)
        ]
        brings = [] if is_reverted else made
        self.arrived += brings
        self.rows.append(Row(name, self.now, made, proof))
        self.chains.early[tx_id(name)] = proof

    def _on_ton(self, method: Method, amount: int, comment: str) -> None:
        time_s = self.now // 1000
        if method is Method.TON:
            made = self.chains.accounts[TON_WALLET].pay(comment, amount, time_s=time_s)
        else:
            self.chains.pay_jettons(comment, amount, time_s=time_s)
            made = self.chains.accounts[JETTON_WALLET].made[-1]
        words = comment.strip().lower()
        self.arrived.append(Arrived(method, made.tx_id, made.lt, amount, time_s * 1000, words))

    @precondition(lambda self: any(one.listing != "confirmed" for one in self.rows))
    @rule(pick=st.integers(0, 9), listing=st.sampled_from(["unconfirmed", "confirmed", "twin"]))
    def list_row(self, pick: int, listing: str) -> None:
        """TRON's index gets to a transaction: any of them."""
        left = [one for one in self.rows if one.listing != "confirmed"]
        self._list(left[pick % len(left)], listing)

    def _list(self, one: Row, listing: str) -> None:
        listed = [
            row(made.amount, one.name, block_ms=one.block_ms, unconfirmed=listing == "unconfirmed")
            for made in one.brings
        ]
        if listing != "twin":  # the unconfirmed one stays beside it
            self.chains.rows = [
                other for other in self.chains.rows if other["transaction_id"] != tx_id(one.name)
            ]
        self.chains.rows += listed
        if not one.listing:
            at = next(self.numbers)
            for made in one.brings:
                made.is_in_time, made.listed_at = self.now - one.block_ms <= IN_TIME_MS, at
        one.listing = "unconfirmed" if listing == "unconfirmed" else "confirmed"
        if one.listing == "confirmed":
            self._make_solid(one)

    @precondition(lambda self: any(one.name for one in self.rows))
    @rule(pick=st.integers(0, 9))
    def make_solid(self, pick: int) -> None:
        """A transaction's block cannot be given up any more."""
        self._make_solid(self.rows[pick % len(self.rows)])

    def _make_solid(self, one: Row) -> None:
        self.chains.receipts[tx_id(one.name)] = one.receipt

    @rule(account=st.sampled_from([TON_WALLET, JETTON_WALLET]), more=st.integers(1, 3))
    def list_on_ton(self, account: str, more: int) -> None:
        """TON's index gets on: always in the order of the chain, on each account by itself."""
        self.chains.shown[account] += more

    # Those who read.

    @rule(
        who=st.integers(0, 1),
        network=st.sampled_from(Network),
        again=st.sampled_from([None, None, None, MINUTE, 26 * 60 * MINUTE]),
    )
    def begin_scan(self, who: int, network: Network, again: int | None) -> None:
        self._begin_scan(network, self.skews[who], None if again is None else self.now - again)

    @precondition(lambda self: self.arrived)
    @rule(pick=st.integers(0, 9))
    def name(self, pick: int) -> None:
        """Somebody names a transaction."""
        one = self.arrived[pick % len(self.arrived)]
        self._look_up(one.method.network, one.tx_id)

    @rule(network=st.sampled_from(Network))
    def name_another(self, network: Network) -> None:
        """One that never was."""
        self._look_up(network, tx_id("no transaction"))

    @precondition(lambda self: self.steps.works)
    @rule(pick=st.integers(0, 9), lost=st.sampled_from([False] * 5 + [True]))
    def go_on(self, pick: int, lost: bool) -> None:  # noqa: FBT001 - drawn by name
        work = self.steps.works[pick % len(self.steps.works)]
        self.steps.go_on(work, is_lost=lost)
        self._look_at(work)

    @precondition(lambda self: self.steps.works)
    @rule(pick=st.integers(0, 9))
    def finish(self, pick: int) -> None:
        self._finish(self.steps.works[pick % len(self.steps.works)])

    @precondition(lambda self: self.steps.works)
    @rule(pick=st.integers(0, 9))
    def stop(self, pick: int) -> None:
        self.steps.stop(self.steps.works.pop(pick % len(self.steps.works)))

    def _begin_scan(self, network: Network, skew: int, from_ms: int | None = None) -> Work:
        def work(api: Api) -> Awaitable[Any]:
            return scanning.scan(
                shop_chain(network),
                self.ledger,
                api,
                from_ms=from_ms,
                clock=lambda: self.now + skew,
            )

        return self._begin(network, work, skew)

    def _look_up(self, network: Network, name: str) -> Work:
        def work(api: Api) -> Awaitable[Any]:
            clock = lambda: self.now  # noqa: E731 - it reads what time it is then
            return lookup.look_up(shop_chain(network), self.ledger, api, name, clock=clock)

        return self._begin(network, work, 0)

    def _begin(self, network: Network, work: Callable[[Api], Awaitable[Any]], skew: int) -> Work:
        begun = self.steps.begin(network, work, (next(self.numbers), skew, network))
        self._look_at(begun)
        return begun

    def _finish(self, work: Work) -> None:
        while not work.is_over:
            self.steps.go_on(work)
            self._look_at(work)

    def _look_at(self, work: Work) -> None:
        """What has changed by a step of a process."""
        begun, skew, network = work.begun
        for row_ in ledgers.rows(self.ledger, schema.orders):
            state, before = OrderState(row_.state), self.states[row_.id]
            if state is before[-1]:
                continue
            before.append(state)
            if state is OrderState.EXPIRED:
                self._check_expired(row_, begun)
                ahead = -skew - HEAD_LAG_MS[network]
                assert max(skew, ahead) > -TOLERATED_MS, "expired by a wrong clock"
                assert skew >= -TOLERATED_MS
                assert skew <= TOLERATED_MS + HEAD_LAG_MS[network]
        if work.is_over:
            self.steps.works.remove(work)
            with contextlib.suppress(ChainUnavailable):  # an answer was lost too often
                work.result()

    def _check_expired(self, one: Any, begun: int) -> None:
        assert self.now > one.expires_ms
        for made in self._naming(one):
            known = made.listed_at is not None and made.listed_at < begun and made.is_in_time
            assert not (known and made.block_ms <= one.expires_ms), "paid, listed, and given up"

    # The oracles.

    def _naming(self, one: Any) -> list[Arrived]:
        """The transfers that name an order, in its coin or in another."""
        if one.method != "tron":
            return [made for made in self.arrived if made.comment == one.comment]
        same = [other for other in self.orders if other.amount == one.amount]
        return [
            made
            for made in self.arrived
            if made.method is Method.TRON
            and made.amount == one.amount
            and one.id == _meant(made, same)
        ]

    def _expected(self, one: Order) -> set[OrderState]:
        """What the chain says of an order."""
        mine = [made for made in self._naming(one) if made.method is one.method]
        in_time = [made for made in mine if made.block_ms <= one.expires_ms]
        late = [made for made in mine if made.block_ms > one.expires_ms]
        if sum(made.amount for made in in_time) >= one.amount:
            return set(SETTLED)
        if any(made.amount >= one.amount for made in late):
            return {OrderState.PAID_LATE}
        if mine:
            return {OrderState.UNDERPAID}
        return {OrderState.NEW, OrderState.EXPIRED}

    def _places(self) -> Counter[tuple[str, str, int]]:
        """In how many places the ledger has each transfer."""
        found: Counter[tuple[str, str, int]] = Counter()
        queued = {
            (one.network, one.tx_id, one.position)
            for one in ledgers.rows(self.ledger, schema.reviews)
        }
        for paid in ledgers.rows(self.ledger, schema.payments):
            key = (paid.network, paid.tx_id, paid.position)
            assert (paid.role == "review") == (key in queued)
            found[key] += 1
        for seen in ledgers.rows(self.ledger, schema.sightings):
            if seen.status == "dust":
                mine = [made for made in self.arrived if made.tx_id == seen.tx_id]
                found.update(made.key for made in mine if made.amount == seen.amount)
        return found

    @invariant()
    def rules_hold(self) -> None:
        ledgers.check(self.ledger)
        ledgers.check_told(self.ledger)
        assert set(self._places().values()) <= {1}
        assert set(self._places()) <= {made.key for made in self.arrived}

    def everything_is_read(self) -> None:
        """All is listed, clocks are right, and watchers have scanned: what was listed in time is
        known. Then a person has read again, or named, what was not."""
        for work in list(self.steps.works):
            self._finish(work)
        self.now += MINUTE
        self.chains.head_ms = self.now
        for one in self.rows:
            if one.listing != "confirmed":
                self._list(one, "confirmed")
        for account in self.chains.shown:
            self.chains.shown[account] = len(self.chains.accounts[account].made)
        self._read_all(None)
        known = self._places()
        for made in self.arrived:
            if made.method is not Method.TRON or made.is_in_time:
                assert made.key in known, "listed in time, and never read"
        if len(self.rows) % 2:
            self._read_all(NOW - MINUTE)
        else:
            for made in self.arrived:
                self._finish(self._look_up(made.method.network, made.tx_id))
            self._read_all(None)
        self.rules_hold()
        self._check_money()
        for one in self.orders:
            self._check_buyer(self.ledger.orders.get(one.id))

    def _read_all(self, from_ms: int | None) -> None:
        for network in Network:
            self._finish(self._begin_scan(network, 0, from_ms))
        at = self.ledger.intake.open(Network.TRON, shop_chain(Network.TRON).wallet)
        while self.ledger.intake.count_waiting(at):
            self.now += 60 * MINUTE  # as long as the oldest receipt is not asked for again
            self.chains.head_ms = self.now
            self._finish(self._begin_scan(Network.TRON, 0))

    def _check_money(self) -> None:
        """Each transfer is in one place, and the sums are what came in."""
        assert self._places() == Counter(made.key for made in self.arrived)
        takings = self.ledger.report().takings
        for method in Method:
            came = [made.amount for made in self.arrived if made.method is method]
            sums = takings[method]
            assert sums.settled + sums.review + sums.dust == len(came)
            assert sums.settled_amount + sums.review_amount + sums.dust_amount == sum(came)

    def _check_buyer(self, one: Order) -> None:
        """The order is what the chain says; its buyer has heard so, and knows how it goes on."""
        assert one.state in self._expected(one)
        told = {
            (said.kind, said.about)
            for said in ledgers.rows(self.ledger, schema.outbox)
            if said.order_id == one.id
        }
        kinds = {kind for kind, _ in told}
        for state in set(self.states[one.id]) & set(NAMED):
            assert NAMED[state] in kinds, f"never told: {state}"
        if one.state in SETTLED:
            assert "delivery" in kinds
        counted = {
            (paid.network, paid.tx_id, paid.position)
            for paid in ledgers.rows(self.ledger, schema.payments)
            if paid.role in {"settling", "part"}
        }
        waiting = {entry.subject for entry in self.ledger.reviews.of_order(one.id)}
        for made in self._naming(one):
            if made.key in counted:
                assert one.state in SETTLED
                continue
            name = ":".join(map(str, made.key))
            assert name in waiting, "it waits for nobody"
            assert name in {about for _, about in told}, "its buyer has not heard of it"


def _meant(made: Arrived, orders: list[Order]) -> str | None:
    """The order that an amount names: the latest whose time it is, which may be a little ahead."""
    for early_ms in (0, TOLERATED_MS):
        for one in sorted(orders, key=lambda one: (one.created_ms, one.id), reverse=True):
            if one.created_ms - early_ms <= made.block_ms <= one.reserved_until_ms:
                return one.id
    return None


def test_no_interleaving_loses_money_or_a_buyer(shared: Ledger) -> None:
    """Listing, solidity, two watchers, their clocks, `--from` and `--transaction`, at will."""
    machine: Any = type("Machine", (Interleavings,), {"ledger": shared})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=25, stateful_step_count=40, deadline=None)
    )
