"""Two watchers on one PostgreSQL, an API that misbehaves in every way, 2,000 orders."""

from __future__ import annotations

import itertools
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from actors.payments.catalogue import ShopPlan
from actors.payments.chains.money import Method
from actors.payments.ledger import schema
from actors.payments.ledger.ledger import Ledger
from actors.payments.ledger.order_book import NewOrder, OrderBook
from actors.payments.ledger.orders import Delivers, Order, OrderState
from actors.runtime.database import now_ms
from tests.integration.payments import lives
from tests.unit.payments import ledgers, postgres
from tests.unit.payments.http_chain import Answer, Asked, Chains, serving
from tests.unit.payments.shop import (
    FAKE_USDT,
    MASTER,
    TON_WALLET,
    chain_of,
    log,
    receipt,
    row,
)

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import Synchronized
    from pathlib import Path

RATE = 150.0  # requests per second, of each chain
TON_CODES = ("paid", "more", "less", "fake", "bounced", "unpaid")
TRON_CODES = ("paid", "twice", "late", "fake", "reverted", "unpaid", "pair")
ENDS = {
    "paid": OrderState.DELIVERED,
    "twice": OrderState.DELIVERED,
    "pair": OrderState.DELIVERED,
    "more": OrderState.DELIVERED,
    "late": OrderState.PAID_LATE,
    "less": OrderState.UNDERPAID,
    "fake": OrderState.EXPIRED,
    "bounced": OrderState.EXPIRED,
    "reverted": OrderState.EXPIRED,
    "unpaid": OrderState.EXPIRED,
}
SUSPENDED = {"Error": "frequency limit(15), and the query server is suspended for 30 s"}


class Faults:
    """Answers one in eight requests wrongly, by a seed; and suspends once."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._rng = random.Random(7)
        self._numbers = itertools.count(1)
        self.seen: dict[str, int] = {}

    def __call__(self, asked: Asked) -> Answer | None:
        if next(self._numbers) == 40:
            return self._count("403", Answer(403, SUSPENDED))
        draw = self._rng.random()
        for share, name, answer in (
            (0.02, "reset", Answer(reset=True)),
            (0.04, "429", Answer(429, {}, headers={"Retry-After": "0"})),
            (0.06, "500", Answer(500, {})),
            (0.07, "503", Answer(503, {})),
            (0.09, "truncated", Answer(body={"success": True, "data": []}, cut=7)),
            (0.11, "slow", None),
        ):
            if draw < share:
                self._count(name, answer)
                return answer or self._slow(asked)
        if draw < 0.25 and asked.path.endswith(("trc20", "transactions")):
            self._count("reordered", None)
            return self._reordered(asked)
        return None

    def _count(self, name: str, answer: Answer | None) -> Answer | None:
        self.seen[name] = self.seen.get(name, 0) + 1
        return answer

    def _right(self, asked: Asked) -> Answer:
        self._chains.fault = lambda _: None
        answer = self._chains.answer(asked)
        self._chains.asked.pop()  # the same request
        self._chains.fault = self
        return answer

    def _slow(self, asked: Asked) -> Answer:
        right = self._right(asked)
        return Answer(right.status, right.body, delay_s=0.3)

    def _reordered(self, asked: Asked) -> Answer:
        right = self._right(asked)
        listed: list[Any] = right.body.get("data", right.body.get("transactions", []))
        self._rng.shuffle(listed)
        return right


def buy(ledger: Ledger, name: str, method: Method, plan: ShopPlan, at_ms: int) -> Order:
    book: OrderBook = ledger.orders
    new = NewOrder(name, plan, method, "pull", name)
    return book.create(new, chain_of(method), at_ms)


def plan(price: int) -> ShopPlan:
    prices = {Method.TRON: price, Method.TON: 3_200_000_000, Method.TON_USDT: 9_900_000}
    return ShopPlan(f"p{price}", {"en": "x"}, prices, Delivers("licence"))


def pay_tron(chains: Chains, code: str, one: Order, name: str) -> None:
    at = one.created_ms + 60_000
    if code == "late":
        at = one.expires_ms + 60_000
    if code in {"paid", "late", "twice", "pair"}:
        logs = [log(one.amount)] * (2 if code == "pair" else 1)
        listed = row(one.amount, name, block_ms=at)
        chains.add(listed, receipt(*logs, name=name, block_ms=at))
        chains.rows.append({**listed, "_unconfirmed": True})
    if code == "twice":
        again = at + 3000
        chains.add(
            row(one.amount, f"{name} again", block_ms=again),
            receipt(log(one.amount), name=f"{name} again", block_ms=again),
        )
    if code == "fake":
        chains.rows.append(row(one.amount, name, block_ms=at, token=FAKE_USDT))
        chains.rows.append(row(0, f"{name} zero", block_ms=at))
        chains.rows.append(row(one.amount, f"{name} approval", block_ms=at, kind="Approval"))
    if code == "reverted":
        proof = receipt(log(one.amount), name=name, block_ms=at, result="REVERT")
        chains.add(row(one.amount, name, block_ms=at), proof)


def pay_ton(chains: Chains, code: str, one: Order) -> None:
    shop = chains.accounts[TON_WALLET]
    time_s = one.created_ms // 1000 + 60
    amount = one.amount + {"more": 5, "less": -5}.get(code, 0)
    if code == "unpaid":
        return
    if one.method is Method.TON_USDT:
        if code in {"fake", "bounced"}:
            shop.notice(one.comment, amount, wallet=TON_WALLET, time_s=time_s)
        else:
            chains.pay_jettons(one.comment, amount, time_s=time_s)
    elif code == "bounced":
        from tests.unit.payments.ton_cells import comment

        shop.take(comment(one.comment), amount, time_s=time_s, bounce="ok", aborted=True)
    elif code == "fake":
        shop.pay("x" * 32, amount, time_s=time_s)
    else:
        shop.pay(one.comment, amount, time_s=time_s)


def arrive(
    chains: Chains, waiting: list[tuple[Method, str, Order, str]], clock: Synchronized[int]
) -> None:
    """Have money arrive while the watchers run; in the end the time of every order is over."""
    for start in range(0, len(waiting), 200):
        for method, code, one, name in waiting[start : start + 200]:
            if method is Method.TRON:
                pay_tron(chains, code, one, name)
            else:
                pay_ton(chains, code, one)
        time.sleep(0.5)
    chains.rows[:] = [one for one in chains.rows if not one.get("_unconfirmed")]
    chains.head_ms = max(one.expires_ms for _, _, one, _ in waiting) + 10 * 60_000
    clock.value = chains.head_ms


def test_two_watchers_and_2000_orders(postgres_base: str, tmp_path: Path) -> None:
    """Every order ends right, every transfer ends somewhere, and the rate is kept."""
    database = postgres.fresh(postgres_base).replace("postgresql:", "postgresql+psycopg:")
    begun = now_ms() - 3 * 3_600_000
    chains = Chains(head_ms=begun)
    with Ledger(SecretStr(database), random.Random(1)) as ledger:
        at = ledger.intake.open(Method.TON.network, TON_WALLET)
        ledger.intake.pin_jetton_wallet(at, MASTER, chains.jetton_wallet or "")
        waiting = [_ordered(ledger, number, begun) for number in range(2000)]
    expected = {one.id: ENDS[code] for _, code, one, _ in waiting}
    random.Random(2).shuffle(waiting)
    clock = lives.PROCESSES.Value("q", begun + 3 * 60_000)
    faults = Faults(chains)
    chains.fault = faults
    with serving(chains) as url:
        watchers = [
            lives.PROCESSES.Process(
                target=lives.watch, args=(database, url, tmp_path, RATE, n, clock)
            )
            for n in range(2)
        ]
        for process in watchers:
            process.start()
        arriving = threading.Thread(target=arrive, args=(chains, waiting, clock))
        arriving.start()
        try:
            wrong = _wait(database, expected, [process.pid for process in watchers])
        finally:
            arriving.join()
            for process in watchers:
                process.terminate()
                process.join(120)
    assert wrong == {}
    with Ledger(SecretStr(database)) as ledger:
        ledgers.check(ledger)
        _check_takings(ledger, waiting)
    assert set(faults.seen) == {
        *("403", "429", "500", "503", "reset", "truncated", "slow", "reordered")
    }
    for part in ("/v2/", "/w", "/v1/"):
        assert any(asked.path.startswith(part) for asked in chains.asked)
    for is_ton in (True, False):
        mine = [asked for asked in chains.asked if asked.path.startswith("/v2/") == is_ton]
        assert Chains(asked=mine).busiest_second() <= RATE + 1


def _ordered(ledger: Ledger, number: int, begun: int) -> tuple[Method, str, Order, str]:
    """Order as the buyer of this number does, who will pay as the code says."""
    method = (Method.TRON, Method.TON, Method.TRON, Method.TON_USDT)[number % 4]
    codes = TRON_CODES if method is Method.TRON else TON_CODES
    code = codes[number // 4 % len(codes)]
    price = 9_900_000 + 1_000_000 * (number % 3)
    one = buy(ledger, f"{code} {number}", method, plan(price), begun + number)
    return method, code, one, f"{number}"


def _check_takings(ledger: Ledger, waiting: list[tuple[Method, str, Order, str]]) -> None:
    """Each transfer that was made is settled or in review, once."""
    moved = sum(sums.settled + sums.review for sums in ledger.report().takings.values())
    count = {code: sum(entry[1] == code for entry in waiting) for code in ENDS}
    forged_coins = sum(w[1] == "fake" and w[0] is Method.TON for w in waiting)
    ton_pairs = count["paid"] + count["more"] + count["less"] + forged_coins
    assert moved == ton_pairs + 2 * count["twice"] + 2 * count["pair"] + count["late"]


def _wait(
    database: str, expected: dict[str, OrderState], pids: list[int | None]
) -> dict[str, tuple[OrderState, OrderState]]:
    """What is not as it should be once nothing changes any more, or after a quarter of an hour."""
    assert all(pids)
    deadline = time.monotonic() + 900
    with Ledger(SecretStr(database)) as ledger:
        while True:
            found = {row.id: OrderState(row.state) for row in ledgers.rows(ledger, schema.orders)}
            wrong = {
                name: (found[name], state)
                for name, state in expected.items()
                if found[name] is not state
            }
            if not wrong or time.monotonic() > deadline:
                return wrong
            time.sleep(1)
