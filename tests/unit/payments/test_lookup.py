"""Transactions that are named: what an index lost or listed late is brought in, once."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.payments import answers, lookup, scan
from actors.payments.bot.claim_desk import ClaimDesk
from actors.payments.chains.money import Method, Network
from actors.payments.chains.verdict import Reason
from actors.payments.claims import HOUR_MS, OF_ALL, OF_ONE, BuyerClaims
from actors.payments.errors import PaymentsOff, TooManyClaims, UntrustedHistory
from actors.payments.ledger.orders import OrderState
from actors.payments.ledger.sightings import RETRY_MS
from actors.payments.lookup import Outcome, transaction_in
from actors.payments.sandbox.faults import Fault, FaultPlan
from actors.payments.sandbox.kinds import Payment, PaymentKind
from actors.payments.scan import OVERLAP_MS
from actors.payments.shop import Shop
from actors.runtime.errors import InvalidInput
from tests.unit.payments import ledgers, sandboxed
from tests.unit.payments.shop import tx_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from actors.payments.lookup import LookedUp
    from tests.unit.payments.sandboxed import Stall

ID = tx_id("t")
CENTER = "/ton/api/v2"


@pytest.fixture(params=["/ton", CENTER])
def stall(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stall]:
    with sandboxed.stall(tmp_path, dialect=request.param) as opened:
        yield opened


async def look_up(stall: Stall, network: Network, text: str) -> LookedUp:
    async with stall.api(network) as api:
        return await lookup.look_up(
            stall.chain(network), stall.ledger, api, text, clock=stall.stage.chains.clock.now_ms
        )


@pytest.mark.parametrize(
    "text",
    [
        ID,
        f"  0x{ID.upper()}\n",
        f"https://tronscan.org/#/transaction/{ID}",
        f"https://tonviewer.com/transaction/{ID}?section=overview",
        f"paid, see https://example.org/?tx={ID} and {ID}",
        base64.b64encode(bytes.fromhex(ID)).decode(),
        base64.urlsafe_b64encode(bytes.fromhex(ID)).decode().rstrip("="),
    ],
)
def test_a_transaction_is_found_in_what_people_send(text: str) -> None:
    """Its id, a link of an explorer, TON's base64, a sentence with one of them."""
    assert transaction_in(text) == ID


@pytest.mark.parametrize(
    "text", ["", "paid!", ID[:-1], f"{ID}0", f"{ID} {tx_id('other')}", "x" * 9999]
)
def test_what_names_no_transaction_is_refused(text: str) -> None:
    """Or more than one: which is meant is not guessed."""
    with pytest.raises(InvalidInput, match="transaction"):
        transaction_in(text)


async def test_what_the_index_never_lists_is_brought_in(stall: Stall) -> None:
    """By its id; a second time it is known, and a scan changes nothing."""
    one = stall.order(Method.TRON)
    (paid,) = stall.pay(one, PaymentKind.UNLISTED)
    assert (await stall.scan(Network.TRON)).settled == 0
    found = await look_up(stall, Network.TRON, f"0x{paid}")
    assert (found.outcome, found.tx_id) == (Outcome.RECORDED, paid)
    assert [(t.order_id, t.amount, t.settles) for t in found.transfers] == [
        (one.id, one.amount, True)
    ]
    assert answers.looked_up(found).transfers[0].amount == "9.9" + str(one.amount)[2:].rstrip("0")
    before = ledgers.snapshot(stall.ledger)
    assert (await look_up(stall, Network.TRON, paid)).outcome is Outcome.KNOWN
    await stall.scan(Network.TRON)
    assert ledgers.snapshot(stall.ledger) == before
    assert stall.ledger.orders.get(one.id).state is OrderState.CONFIRMED


async def test_the_receipt_decides_about_what_is_named(stall: Stall) -> None:
    """A failed call, a worthless token, a transfer to another, a number that nobody knows."""
    one = stall.order(Method.TRON)
    tron = stall.stage.chains.tron
    other = tron.transfer("buyer", tron.account("another"), one.amount).tx_id
    for named, outcome, reason in (
        (stall.pay(one, PaymentKind.REVERTED)[0], Outcome.NOTHING, Reason.REVERTED),
        (stall.pay(one, PaymentKind.FAKE_TOKEN)[0], Outcome.NOTHING, Reason.NO_SUCH_LOG),
        (stall.pay(one, PaymentKind.APPROVAL)[0], Outcome.NOTHING, Reason.NO_SUCH_LOG),
        (other, Outcome.NOTHING, Reason.NO_SUCH_LOG),
        (ID, Outcome.NOT_FOUND, None),
    ):
        found = await look_up(stall, Network.TRON, named)
        assert (found.outcome, found.reason, found.transfers) == (outcome, reason, ())
    assert stall.ledger.orders.get(one.id).state is OrderState.NEW
    assert stall.ledger.reviews.count() == 0


async def test_what_is_not_solid_yet_is_followed(stall: Stall) -> None:
    """Its order is seen at once, and the scan after it is solid settles it."""
    one = stall.order(Method.TRON)
    (paid,) = stall.pay(one, PaymentKind.UNCONFIRMED)
    assert (await look_up(stall, Network.TRON, paid)).outcome is Outcome.WAITING
    assert stall.ledger.orders.get(one.id).state is OrderState.SEEN
    stall.client.confirm()
    stall.forward(RETRY_MS)
    await stall.scan(Network.TRON)
    assert stall.ledger.orders.get(one.id).state is OrderState.CONFIRMED


@pytest.mark.parametrize("method", [Method.TON, Method.TON_USDT])
async def test_any_transaction_of_a_payment_on_ton_leads_to_it(
    stall: Stall, method: Method
) -> None:
    """With tonapi; toncenter finds the shop's own. The cells decide, once."""
    one = stall.order(method)
    made = stall.pay(one)
    await look_up(stall, Network.TON, ID)
    mine = {record.tx_id for record in stall.stage.chains.ton.payment(made[0])}
    outcomes = [(await look_up(stall, Network.TON, named)).outcome for named in made]
    if stall.dialect != CENTER:  # so does what the buyer's wallet shows
        buyers = mine - set(made)
        assert buyers
        for named in buyers:
            assert (await look_up(stall, Network.TON, named)).outcome is Outcome.KNOWN
    if stall.dialect == CENTER and method is Method.TON_USDT:
        assert sorted(outcomes) == [Outcome.NOTHING, Outcome.RECORDED]
    else:
        assert outcomes == [Outcome.RECORDED, *[Outcome.KNOWN] * (len(made) - 1)]
    assert set(made) <= mine
    assert stall.ledger.orders.get(one.id).state is OrderState.CONFIRMED
    before = ledgers.snapshot(stall.ledger)
    assert (await stall.scan(Network.TON)).settled == 0
    assert ledgers.snapshot(stall.ledger) == before


async def test_forgeries_on_ton_bring_nothing(stall: Stall) -> None:
    """A notice of a forger's contract, a deposit that went back, a number that nobody knows."""
    one = stall.order(Method.TON)
    for kind, reason in (
        (PaymentKind.FAKE_JETTON, Reason.FAKE_JETTON),
        (PaymentKind.BOUNCED, Reason.BOUNCED),
    ):
        found = await look_up(stall, Network.TON, stall.pay(one, kind)[0])
        if kind is PaymentKind.BOUNCED and stall.dialect == CENTER:
            # Storage has used up the wallet's one nanoton, and toncenter forgets who is not there.
            assert found.outcome is Outcome.NOT_FOUND
        else:
            assert (found.outcome, found.reason) == (Outcome.NOTHING, reason)
    assert (await look_up(stall, Network.TON, ID)).outcome is Outcome.NOT_FOUND
    assert stall.ledger.orders.get(one.id).state is OrderState.NEW


async def test_what_was_before_the_start_is_not_brought_in(stall: Stall) -> None:
    """By naming it neither."""
    for method in (Method.TRON, Method.TON):
        (paid,) = stall.pay(stall.order(method, method))
        later = replace(stall.chain(method.network), since_ms=2**42)
        async with stall.api(method.network) as api:
            found = await lookup.look_up(later, stall.ledger, api, paid)
        assert (found.outcome, found.reason) == (Outcome.NOTHING, Reason.BEFORE_START)


@pytest.mark.parametrize("method", [Method.TRON, Method.TON, Method.TON_USDT])
async def test_a_history_is_read_again_from_a_time(stall: Stall, method: Method) -> None:
    """What was listed six minutes behind a later one is found, and all else stays as it is."""
    chains = stall.stage.chains
    early, late = stall.order(method, "early"), stall.order(method, "late")
    begun = chains.clock.now_ms() - 1000
    hidden = None
    if method is Method.TRON:
        (hidden,) = stall.pay(early, PaymentKind.UNLISTED)
    else:
        stall.pay(early)
    stall.forward(OVERLAP_MS + 60_000)
    stall.pay(late)
    await stall.scan(method.network)
    if hidden is not None:
        chains.tron.list_after_all(hidden)
        await stall.scan(method.network)
        assert stall.ledger.orders.get(early.id).state is OrderState.NEW
    before = ledgers.snapshot(stall.ledger)
    async with stall.api(method.network) as api:
        for _ in range(2):
            found = await scan.scan(
                stall.chain(method.network),
                stall.ledger,
                api,
                from_ms=begun,
                clock=chains.clock.now_ms,
            )
    assert found.settled == 0
    assert stall.ledger.orders.get(early.id).state is OrderState.CONFIRMED
    if hidden is None:
        assert ledgers.snapshot(stall.ledger) == before


async def test_the_sandbox_can_be_odd_and_loses_nothing(stall: Stall) -> None:
    """Odd rows, pages that do not say that they go on, a list of the newest alone."""
    bought = [stall.order(Method.TRON, number) for number in range(12)]
    for one in bought:
        stall.pay(one)
    stall.client.spoil(Network.TRON, FaultPlan({Fault.ODD: 1.0}))
    for _ in range(2):
        await stall.scan(Network.TRON)
    assert {stall.ledger.orders.get(one.id).state for one in bought} == {OrderState.CONFIRMED}
    if stall.dialect == CENTER:
        return
    paid = stall.order(Method.TON)
    for _ in range(300):
        stall.stage.chains.ton.deposit("buyer", paid.wallet, 5, "")
    stall.client.spoil(Network.TON, FaultPlan({Fault.NEWEST: 1.0}))
    with pytest.raises(UntrustedHistory, match="missing"):
        await stall.scan(Network.TON)


async def test_a_full_unmarked_page_of_the_sandbox_is_not_the_last(stall: Stall) -> None:
    """201 rows, the last of which pays."""
    tron = stall.stage.chains.tron
    one = stall.order(Method.TRON)
    for number in range(200):
        tron.transfer("buyer", tron.wallet, 1 + number)
    stall.forward(1000)
    stall.pay(one)
    stall.client.spoil(Network.TRON, FaultPlan({Fault.UNMARKED: 1.0}))
    assert (await stall.scan(Network.TRON)).settled == 1


def shop_of(stall: Stall, *networks: Network) -> Shop:
    return Shop(
        {network: stall.chain(network) for network in networks},
        SecretStr(""),
        catalogue=None,  # type: ignore[arg-type]  # not asked for
        public_url="",
        state_dir=None,  # type: ignore[arg-type]  # the same
    )


def claims(stall: Stall, *networks: Network) -> BuyerClaims:
    return BuyerClaims(shop_of(stall, *networks), stall.ledger, stall.stage.chains.clock.now_ms)


async def test_buyers_claim_their_transactions(stall: Stall) -> None:
    """On whichever chain it is; a text without one is refused and not counted."""
    taken = claims(stall, Network.TRON, Network.TON)
    for method in (Method.TRON, Method.TON):
        one = stall.order(method, method)
        (paid,) = stall.pay(one)
        found = await taken.claim("buyer", paid)
        assert (found.network, found.outcome) == (method.network, Outcome.RECORDED)
        assert [t.order_id for t in found.transfers] == [one.id]
    for _ in range(9):
        with pytest.raises(InvalidInput):
            await taken.claim("buyer", "I have paid!")
    assert (await taken.claim("buyer", ID, network=Network.TRON)).outcome is Outcome.NOT_FOUND


async def test_what_was_counted_as_dust_is_told_as_that(stall: Stall) -> None:
    """Nobody is promised a person who never hears of it."""
    chain = replace(stall.chain(Network.TON), dust={Method.TON: 1000})
    small = Payment(Method.TON, PaymentKind.EXACT, chain.wallet, 999, "", "buyer", 0)
    ((paid,),) = stall.client.pay([small])
    async with stall.api(Network.TON) as api:
        read = await scan.scan(chain, stall.ledger, api, clock=stall.stage.chains.clock.now_ms)
    assert (read.transfers, read.review) == (1, 0)
    found = await look_up(stall, Network.TON, paid)
    assert [(one.settles, one.is_dust) for one in found.transfers] == [(False, True)]
    desk = ClaimDesk(shop_of(stall, Network.TON), stall.ledger)
    assert "less than the shop looks at" in (await desk.answer(paid, 1, "en")).text.plain()


async def test_claims_are_limited(stall: Stall) -> None:
    """A few an hour of each buyer, and not too many of all."""
    taken = claims(stall, Network.TRON)
    for _ in range(OF_ONE):
        await taken.claim("one", ID)
    with pytest.raises(TooManyClaims) as caught:
        await taken.claim("one", ID)
    assert 0 < caught.value.retry_after_s <= HOUR_MS / 1000
    for number in range(OF_ALL - OF_ONE):
        await taken.claim(f"buyer {number}", ID)
    with pytest.raises(TooManyClaims):
        await taken.claim("another", ID)
    stall.forward(HOUR_MS)
    assert (await taken.claim("one", ID)).outcome is Outcome.NOT_FOUND
    with pytest.raises(PaymentsOff):
        await claims(stall).claim("one", ID)
