"""A wallet that the shop had before is read as long as a payment to it would be recognised."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from actors.payments import lookup
from actors.payments import scan as scanning
from actors.payments.chains.money import Method, Network
from actors.payments.errors import FormerWalletUnread
from actors.payments.ledger.intake import CATCH_UP_MS, MOST_FORMER
from actors.payments.ledger.order_book import NewOrder
from actors.payments.ledger.orders import OrderState
from actors.payments.sandbox.kinds import Payment, PaymentKind
from tests.unit.payments import ledgers, sandboxed
from tests.unit.payments.http_chain import Answer, Chains, clock_of, serving
from tests.unit.payments.sandboxed import LICENCE
from tests.unit.payments.shop import MINUTE, NOW, log, order, receipt, row, tron_chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.payments.ledger.ledger import Ledger
    from actors.payments.ledger.orders import Order
    from actors.payments.scan import ScanResult
    from tests.unit.payments.sandboxed import Stall


@pytest.fixture(params=["/ton", "/ton/api/v2"])
def stall(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stall]:
    with sandboxed.stall(tmp_path, dialect=request.param) as opened:
        yield opened


def ordered(stall: Stall, method: Method, name: str, wallet: str = "former") -> Order:
    """An order of when the shop had another wallet."""
    chains = stall.stage.chains
    account = (chains.tron if method is Method.TRON else chains.ton).account(wallet)
    chain = replace(stall.chain(method.network), wallet=account)
    new = NewOrder(f"request {name}", LICENCE, method, "pull", f"buyer {name}")
    return stall.ledger.orders.create(new, chain, chains.clock.now_ms())


def pay(stall: Stall, one: Order, kind: PaymentKind = PaymentKind.EXACT) -> str:
    """Pay it; the last of the transactions."""
    sent = Payment(one.method, kind, one.wallet, one.amount, one.comment)
    return stall.client.pay([sent])[0][0]


@pytest.mark.parametrize("method", list(Method))
async def test_what_is_paid_to_a_former_wallet_is_found(stall: Stall, method: Method) -> None:
    """In time it settles, late it waits for a person, and what is not paid ends with the chain."""
    network, ledger = method.network, stall.ledger
    early, never, late = (ordered(stall, method, name) for name in ("early", "never", "late"))
    mine = stall.order(method, "mine")
    pay(stall, early)
    pay(stall, mine)
    found = await stall.scan(network)
    assert (found.settled, found.unread) == (2, {})
    state = {one.id: ledger.orders.get(one.id).state for one in (early, never, late, mine)}
    assert list(state.values()) == [
        OrderState.CONFIRMED,
        *[OrderState.NEW] * 2,
        OrderState.CONFIRMED,
    ]
    stall.forward(late.expires_ms - late.created_ms + CATCH_UP_MS + 2000)
    assert (await stall.scan(network)).expired == 2
    pay(stall, late)
    assert (await stall.scan(network)).review == 1
    assert ledger.orders.get(late.id).state is OrderState.PAID_LATE
    assert ledger.orders.get(never.id).state is OrderState.EXPIRED
    before = ledgers.snapshot(ledger)
    await stall.scan(network)
    assert ledgers.snapshot(ledger) == before
    # A day after, nothing would be recognised there, and nobody asks for it.
    chain, clock = stall.chain(network), stall.stage.chains.clock
    assert [one.wallet for one in await scanning.former_chains(chain, ledger, clock.now_ms())] == [
        late.wallet
    ]
    assert await scanning.former_chains(chain, ledger, late.reserved_until_ms + 1) == []
    ledgers.check(ledger)
    ledgers.check_told(ledger)


@pytest.mark.parametrize("method", list(Method))
async def test_a_payment_to_a_former_wallet_can_be_named(stall: Stall, method: Method) -> None:
    """As the buyer does with /paid."""
    one = ordered(stall, method, "one")
    named = pay(stall, one)
    async with stall.api(method.network) as api:
        chain, now = stall.chain(method.network), stall.stage.chains.clock.now_ms
        found = await lookup.look_up(chain, stall.ledger, api, named, clock=now)
        nothing = await lookup.look_up(chain, stall.ledger, api, "ab" * 32, clock=now)
    assert found.outcome is lookup.Outcome.RECORDED
    assert [paid.order_id for paid in found.transfers] == [one.id]
    assert nothing.outcome is lookup.Outcome.NOT_FOUND


async def test_only_a_few_former_wallets_are_read(stall: Stall) -> None:
    """The newest: each costs questions at every scan."""
    made = []
    for number in range(MOST_FORMER + 1):
        stall.forward(1)
        made.append(ordered(stall, Method.TON, f"{number}", f"former {number}").wallet)
    chain, clock = stall.chain(Network.TON), stall.stage.chains.clock
    found = await scanning.former_chains(chain, stall.ledger, clock.now_ms())
    assert [one.wallet for one in found] == made[:0:-1]


def test_a_former_wallet_that_cannot_be_read_keeps_nothing_else(ledger: Ledger) -> None:
    """The shop's own is read to its end, and a person is told which is not."""
    former = replace(tron_chain(), wallet=row(1)["from"])
    left = ledger.orders.create(
        NewOrder("request left", LICENCE, Method.TRON, "pull", "left"), former, NOW
    )
    one = order(ledger)
    chains = Chains(head_ms=NOW + 5 * MINUTE)
    chains.add(row(one.amount), receipt(log(one.amount)))
    chains.fault = lambda asked: Answer(500) if former.wallet in asked.path else None

    async def scan(url: str) -> ScanResult:
        chain = tron_chain(url)
        async with scanning.connect(chain) as api:
            api._pause_s = 0.001
            return await scanning.scan(chain, ledger, api, clock=lambda: clock_of(url))

    with serving(chains) as url:
        found = asyncio.run(scan(url))
    assert found.settled == 1
    (told,) = found.unread.values()
    assert isinstance(told, FormerWalletUnread)
    assert former.wallet in str(told)
    assert ledger.orders.get(left.id).state is OrderState.NEW
