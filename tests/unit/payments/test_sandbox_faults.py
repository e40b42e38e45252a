"""The sandbox's faults and limits, and what the product's sources make of them."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.payments.chains import ton_source
from actors.payments.chains.api import ATTEMPTS, Api
from actors.payments.chains.money import Method, Network
from actors.payments.chains.tron_source import TronSource
from actors.payments.errors import ChainRefused, ChainUnavailable
from actors.payments.ledger.orders import OrderState
from actors.payments.sandbox import app, faults
from actors.payments.sandbox.app import MAX_PAYMENTS, Sandbox
from actors.payments.sandbox.chain_clock import ChainClock
from actors.payments.sandbox.chain_tron import TronChain
from actors.payments.sandbox.client import SandboxClient
from actors.payments.sandbox.faults import SUSPENDED_S, ApiFaults, Fault, FaultPlan, Limit
from actors.payments.sandbox.kinds import Chains, Payment, PaymentKind
from actors.payments.sandbox.server import serving
from actors.payments.sandbox.trongrid import HistoryQuery, Index
from actors.runtime.errors import InvalidInput, Unavailable
from tests.unit.payments import sandboxed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.unit.payments.sandboxed import Stall

AGAIN = (Fault.RESET, Fault.CUT, Fault.TRUNCATED, Fault.LIMITED, Fault.BROKEN)
"""What asking again mends."""


@pytest.fixture
def stall(tmp_path: Path) -> Iterator[Stall]:
    """A shop on a sandbox."""
    with sandboxed.stall(tmp_path) as opened:
        yield opened


async def rows(stall: Stall, api: Api) -> list[str]:
    """Ids of the TRON history, as the product reads it."""
    source = TronSource(stall.chain(Network.TRON), api)
    return [row["transaction_id"] async for page, _ in source.history(0, 2**52) for row in page]


async def transactions(stall: Stall, api: Api) -> list[str]:
    """Ids of the TON history, as the product reads it."""
    source = ton_source.source(api)
    wallet = stall.chain(Network.TON).wallet
    return [one.tx_id async for page in source.history(wallet, 0, 0) for one in page]


@pytest.mark.parametrize("fault", AGAIN)
@pytest.mark.parametrize("method", [Method.TRON, Method.TON])
async def test_a_source_asks_again_and_reads_the_same(
    stall: Stall, method: Method, fault: Fault
) -> None:
    """One spoilt answer costs one more request and changes nothing."""
    ids = stall.pay(stall.order(method))
    read = rows if method is Method.TRON else transactions
    async with stall.api(method.network) as api:
        assert await read(stall, api) == ids
        sound = api.requests
        stall.client.spoil(method.network, FaultPlan(next=(fault,)))
        assert await read(stall, api) == ids
        assert api.requests == 2 * sound + 1


@pytest.mark.parametrize("fault", [one for one in AGAIN if one is not Fault.LIMITED])
async def test_an_outage_is_unavailable_and_not_a_setting(stall: Stall, fault: Fault) -> None:
    """After all attempts the source says so, and what was there is not lost."""
    stall.client.spoil(Network.TRON, FaultPlan({fault: 1.0}))
    async with stall.api(Network.TRON) as api:
        with pytest.raises(ChainUnavailable):
            await rows(stall, api)
        assert api.requests == ATTEMPTS


async def test_what_the_raw_client_sees(stall: Stall) -> None:
    """A reset is a reset, a cut body ends early, truncated JSON is whole HTTP."""
    wallet = stall.chain(Network.TRON).wallet
    url = f"{stall.url}/tron/v1/accounts/{wallet}/transactions/trc20"
    async with httpx.AsyncClient() as client:
        plan = FaultPlan(
            next=(Fault.RESET, Fault.CUT, Fault.TRUNCATED, Fault.LIMITED, Fault.SUSPENDED)
        )
        stall.client.spoil(Network.TRON, plan)
        with pytest.raises(httpx.ReadError):
            await client.get(url)
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            await client.get(url)
        truncated = await client.get(url)
        assert truncated.status_code == 200
        with pytest.raises(ValueError):
            truncated.json()
        limited = await client.get(url)
        assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
        suspended = await client.get(url)
        assert suspended.status_code == 403
        assert "suspended for 30s" in suspended.json()["Error"]
        sound = await client.get(url)
        assert sound.json()["success"] is True


async def test_a_limit_of_toncenter_looks_as_its_own(stall: Stall) -> None:
    """A 429 with the body that says so."""
    stall.client.spoil(Network.TON, FaultPlan(next=(Fault.LIMITED, Fault.SUSPENDED)))
    async with httpx.AsyncClient() as client:
        for _ in range(2):  # TON's APIs suspend nobody
            answer = await client.get(f"{stall.url}/ton/api/v2/getMasterchainInfo")
            assert answer.status_code == 429
            assert answer.json() == {"ok": False, "result": "Ratelimit exceed", "code": 429}


async def test_a_suspension_stops_the_source_for_its_length(stall: Stall) -> None:
    """At least 30 s, and then it goes on."""
    ids = stall.pay(stall.order(Method.TRON))
    slept: list[float] = []

    async def sleep(pause_s: float) -> None:
        slept.append(pause_s)

    stall.client.spoil(Network.TRON, FaultPlan(next=(Fault.SUSPENDED,)))
    chain = stall.chain(Network.TRON)
    async with Api(Network.TRON, chain.api_url, {}, 1000, sleep=sleep, pause_s=0.005) as api:
        assert await rows(stall, api) == ids
    assert [pause for pause in slept if pause > 29]
    assert max(slept) < 32


async def test_a_slow_answer_is_waited_for(stall: Stall) -> None:
    """And arrives whole."""
    ids = stall.pay(stall.order(Method.TRON))
    stall.client.spoil(Network.TRON, FaultPlan(next=(Fault.SLOW,), slow_s=0.3))
    began = time.monotonic()
    async with stall.api(Network.TRON) as api:
        assert await rows(stall, api) == ids
        assert api.requests == 1
    assert time.monotonic() - began > 0.29  # not less than the server took


async def test_reordered_pages_hold_each_row_once(stall: Stall) -> None:
    """In another order, over several pages."""
    order = stall.order(Method.TRON)
    payment = Payment(Method.TRON, PaymentKind.EXACT, order.wallet, 5)
    ids = [one for made in stall.client.pay([payment] * 451) for one in made]
    stall.client.spoil(Network.TRON, FaultPlan({Fault.REORDERED: 1.0}))
    async with stall.api(Network.TRON) as api:
        read = await rows(stall, api)
        assert api.requests == 3
    assert read != ids
    assert sorted(read) == sorted(ids)


async def test_an_unfiltered_index_lists_what_was_not_asked_for(stall: Stall) -> None:
    """A worthless token is listed only if the API ignores the contract; it pays nothing."""
    order = stall.order(Method.TRON)
    (fake,) = stall.pay(order, PaymentKind.FAKE_TOKEN)
    async with stall.api(Network.TRON) as api:
        assert await rows(stall, api) == []
        stall.client.spoil(Network.TRON, FaultPlan({Fault.UNFILTERED: 1.0}))
        assert await rows(stall, api) == [fake]
    result = await stall.scan(Network.TRON)
    assert result.rejected == {"wrong_token": 1}
    assert stall.ledger.orders.get(order.id).state is OrderState.NEW


async def test_pages_of_another_query_are_refused(stall: Stall) -> None:
    """A fingerprint is good for the parameters that it was made for alone."""
    order = stall.order(Method.TRON)
    stall.client.pay([Payment(Method.TRON, PaymentKind.EXACT, order.wallet, 5)] * 3)
    url = f"{stall.url}/tron/v1/accounts/{order.wallet}/transactions/trc20"
    async with httpx.AsyncClient() as client:
        first = (await client.get(url, params={"limit": 2})).json()
        token = first["meta"]["fingerprint"]
        other = await client.get(url, params={"limit": 1, "fingerprint": token})
        assert other.status_code == 400
        rest = (await client.get(url, params={"limit": 2, "fingerprint": token})).json()
        assert len(rest["data"]) == 1
        assert "fingerprint" not in rest["meta"]


async def test_a_wrong_path_is_a_matter_of_settings(stall: Stall) -> None:
    """As with the real APIs, nothing is repeated."""
    chain = stall.chain(Network.TRON)
    async with Api(Network.TRON, f"{chain.api_url}/typo", {}, 1000) as api:
        with pytest.raises(ChainRefused, match="X0TTA6BL4_TRON_API_URL"):
            await rows(stall, api)
        assert api.requests == 1


@given(
    times=st.lists(st.integers(0, 30), max_size=40),
    limit=st.integers(1, 12),
    ascending=st.booleans(),
    fault=st.sampled_from([None, Fault.REORDERED]),
    low=st.integers(0, 30),
)
def test_pages_together_are_the_history(
    *, times: list[int], limit: int, ascending: bool, fault: Fault | None, low: int
) -> None:
    """Whatever their size: each row once, in the order that was asked for unless it is spoilt."""
    now = [0]
    chain = TronChain("test", ChainClock(lambda: now[0]))
    for now[0] in sorted(times):
        chain.transfer("buyer", chain.wallet, 5)
    index = Index(chain, random.Random(1))
    order = "block_timestamp,asc" if ascending else "block_timestamp,desc"
    query = HistoryQuery(limit=limit, order_by=order, min_timestamp=low, only_to=True)
    found: list[int] = []
    token: str | None = None
    while True:
        page = index.page(chain.wallet, query.model_copy(update={"fingerprint": token}), fault)
        assert page is not None
        assert page["success"] is True
        assert len(page["data"]) <= limit
        found += [row["block_timestamp"] for row in page["data"]]
        token = page["meta"].get("fingerprint")
        if token is None:
            break
    expected = sorted((one for one in times if one >= low), reverse=not ascending)
    assert (found if fault is None else sorted(found, reverse=not ascending)) == expected


def test_over_its_limit_tron_suspends_and_ton_refuses() -> None:
    """For half a minute, and for the one request."""
    tron, ton = Limit(Network.TRON, 3), Limit(Network.TON, 3)
    for limit in (tron, ton):
        assert [limit.ask(now_s) for now_s in (0.0, 0.1, 0.2)] == [None, None, None]
    spoilt = tron.ask(0.3)
    assert spoilt is not None
    assert spoilt.status == 403
    assert tron.ask(SUSPENDED_S) is not None
    assert tron.ask(0.3 + SUSPENDED_S) is None
    refused = ton.ask(0.3)
    assert refused is not None
    assert refused.status == 429
    assert ton.ask(1.3) is None
    assert (tron.busiest, tron.exceeded, ton.exceeded) == (4, 1, 1)


@given(times=st.lists(st.floats(0, 20), max_size=60), per_second=st.integers(1, 10))
def test_a_limit_counts_the_busiest_second(times: list[float], per_second: int) -> None:
    """As a look at every second that ends with a request does."""
    limit = Limit(Network.TON, per_second)
    ordered = sorted(times)
    refused = sum(limit.ask(now_s) is not None for now_s in ordered)
    ends = [sum(end - one < 1.0 for one in ordered[: at + 1]) for at, end in enumerate(ordered)]
    assert limit.busiest == max(ends, default=0)
    assert refused == limit.exceeded == sum(count > per_second for count in ends)


def test_faults_come_in_their_shares_and_named_ones_first() -> None:
    """The next requests get what was named for them; all others by chance, with a seed."""
    plan = FaultPlan({Fault.SLOW: 0.25, Fault.RESET: 0.5}, (Fault.CUT, Fault.LIMITED))
    drawn = ApiFaults(plan, random.Random(1))
    assert drawn.coming == {Fault.CUT: 1, Fault.LIMITED: 1}
    assert [drawn.draw(), drawn.draw()] == [Fault.CUT, Fault.LIMITED]
    found = [drawn.draw() for _ in range(4000)]
    assert found.count(Fault.SLOW) == pytest.approx(1000, abs=150)
    assert found.count(Fault.RESET) == pytest.approx(2000, abs=150)
    assert found.count(None) == 4000 - found.count(Fault.SLOW) - found.count(Fault.RESET)
    again = ApiFaults(FaultPlan(plan.shares), random.Random(2))
    same = ApiFaults(FaultPlan(plan.shares), random.Random(2))
    assert [again.draw() for _ in range(50)] == [same.draw() for _ in range(50)]


def test_a_plan_is_read_as_people_write_it() -> None:
    """Shares, counts, or a refusal that says what there is."""
    plan = faults.parse(["429=0.1", "reset=x3", "5xx=0.5", "cut=x1"], slow_s=2)
    shares = {Fault.LIMITED: 0.1, Fault.BROKEN: 0.5}
    assert plan == FaultPlan(shares, (*(Fault.RESET,) * 3, Fault.CUT), 2)
    assert faults.parse(["5xx=1"]) == FaultPlan({Fault.BROKEN: 1.0})
    assert faults.parse([]) == FaultPlan()


@pytest.mark.parametrize(
    "texts",
    [
        *(["nonsense=1"], ["429"], ["429="], ["429=x"], ["429=-1"], ["429=nan"], ["429=0"]),
        *(["429=1.5"], ["429=0.6", "5xx=0.6"], ["reset=x999999999"]),
    ],
)
def test_a_plan_that_is_none_is_refused(texts: list[str]) -> None:
    """With a remedy, and before anything is asked."""
    with pytest.raises(InvalidInput) as caught:
        faults.parse(texts)
    assert caught.value.remedy


@pytest.mark.parametrize("slow_s", [0, -1, 61, float("nan")])
def test_slowness_is_bounded(slow_s: float) -> None:
    """An answer that never comes is no slow answer."""
    with pytest.raises(InvalidInput):
        faults.parse([], slow_s=slow_s)


def test_the_control_refuses_nonsense_whole(stall: Stall) -> None:
    """A bad address, a bad kind, too many at once: nothing is paid."""
    wallet = stall.chain(Network.TRON).wallet
    good = Payment(Method.TRON, PaymentKind.EXACT, wallet, 5)
    for bad in (
        [good, Payment(Method.TRON, PaymentKind.EXACT, "nobody", 5)],
        [good, Payment(Method.TON, PaymentKind.EXACT, wallet, 5)],
        [good, Payment(Method.TRON, PaymentKind.BOUNCED, wallet, 5)],
        [good, Payment(Method.TRON, PaymentKind.EXACT, wallet, -1)],
        [good, Payment(Method.TRON, PaymentKind.EXACT, wallet, 2**63)],
        [good, Payment(Method.TRON, PaymentKind.EXACT, wallet, 5, sender="")],
        [good] * (MAX_PAYMENTS + 1),
        [],
    ):
        with pytest.raises(InvalidInput):
            stall.client.pay(bad)
    assert stall.client.state()["tron"]["transactions"] == 0
    with pytest.raises(InvalidInput):
        stall.client.confirm("no id")


def test_a_full_sandbox_says_so(stall: Stall, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is bounded, and what it has stays."""
    monkeypatch.setattr(app, "MAX_TRANSACTIONS", 20)
    order = stall.order(Method.TON_USDT)
    stall.pay(order)
    stall.pay(order)
    with pytest.raises(InvalidInput, match="no more payments"):
        stall.client.pay(
            [Payment(order.method, PaymentKind.EXACT, order.wallet, 5, order.comment)] * 2
        )
    assert stall.client.state()["ton"]["transactions"] == 1 + 2 * 4  # a buyer's funds, and payments


def test_only_a_sandbox_on_this_machine_is_asked(stall: Stall) -> None:
    """Not the internet, not another server, and not nobody."""
    with pytest.raises(InvalidInput, match="on this machine"):
        SandboxClient("https://api.trongrid.io/tron")
    with serving(Sandbox.of(Chains.of("test"))) as gone:
        pass
    with pytest.raises(Unavailable, match="x0 pay sandbox"):
        SandboxClient(gone)
    with SandboxClient(f"{stall.url}/ton/api/v2") as client:
        assert client.state()["ton"]["limit"] == 1000


def test_a_taken_port_is_said_plainly(stall: Stall) -> None:
    """With the way out."""
    port = int(stall.url.rpartition(":")[2])
    with (
        pytest.raises(InvalidInput, match="--port"),
        serving(Sandbox.of(Chains.of("test")), port=port),
    ):
        pass
