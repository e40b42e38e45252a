"""Asking APIs: what is repeated, what is not, how evenly, and that nothing leaks."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from actors.payments.chains import api as apis
from actors.payments.chains import tron_source
from actors.payments.chains.api import Api
from actors.payments.chains.money import Network
from actors.payments.errors import AnswerTooLarge, ChainRefused, ChainUnavailable
from actors.runtime.errors import ConfigurationError
from tests.unit.payments.http_chain import Answer, Asked, Chains, serving
from tests.unit.payments.shop import tron_chain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "canary-0f6a1c9e-key"
SUSPENDED = {
    "Error": "The key exceeds the frequency limit(15), and the query server is suspended for 30s"
}


class Waits:
    """Notes waits instead of waiting."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    async def __call__(self, pause_s: float) -> None:
        self.waited.append(pause_s)


@pytest.fixture
def chains() -> Chains:
    return Chains()


@pytest.fixture
def url(chains: Chains) -> Iterator[str]:
    with serving(chains) as base:
        yield base


def first(count: int, answer: Answer) -> Callable[[Asked], Answer | None]:
    """The first `count` requests are answered so; then `{"fine": 1}`."""
    return lambda asked: answer if asked.number < count else Answer(body={"fine": 1})


async def get(url: str, *, sleep: Waits | None = None, rate: float = 1000) -> object:
    headers = {"TRON-PRO-API-KEY": KEY}
    async with Api(Network.TRON, url, headers, rate, sleep=sleep or Waits(), pause_s=0.001) as api:
        return await api.get("/x", {"a": 1})


PASSING = [
    Answer(429, {}),
    Answer(429, {}, headers={"Retry-After": "0"}),
    Answer(500, {}),
    Answer(503, {}),
    Answer(reset=True),
    Answer(body={"fine": 1}, cut=5),
    Answer(raw=b'{"fine": '),
    Answer(raw=b"[" * 100_000),
    Answer(raw=b"\xff"),
]


@pytest.mark.parametrize("trouble", PASSING)
async def test_what_may_pass_is_asked_again(chains: Chains, url: str, trouble: Answer) -> None:
    """429, 5xx, broken connections and broken bodies: twice bad, then good, is good."""
    chains.fault = first(2, trouble)
    assert await get(url) == {"fine": 1}
    assert len(chains.asked) == 3


@pytest.mark.parametrize("trouble", PASSING[2:])
async def test_what_does_not_pass_is_unavailable(chains: Chains, url: str, trouble: Answer) -> None:
    """After all attempts the error says that no order expires by it."""
    chains.fault = first(10**6, trouble)
    with pytest.raises(ChainUnavailable, match="no order expires"):
        await get(url)
    assert len(chains.asked) == apis.ATTEMPTS


async def test_silence_is_an_outage(
    chains: Chains, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that takes the connection and says nothing in time is asked again."""
    monkeypatch.setattr(apis, "TOTAL_S", 0.05)
    chains.fault = first(2, Answer(body={}, delay_s=0.5))
    assert await get(url) == {"fine": 1}


async def test_nobody_there_is_an_outage() -> None:
    """A refused connection too."""
    with pytest.raises(ChainUnavailable, match="ConnectError"):
        await get("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("status", "variable"),
    [
        (401, "X0TTA6BL4_TRON_API_KEY"),
        (403, "X0TTA6BL4_TRON_API_KEY"),
        (400, "X0TTA6BL4_TRON_API_URL"),
        (404, "X0TTA6BL4_TRON_API_URL"),
        (302, "X0TTA6BL4_TRON_API_URL"),
    ],
)
async def test_what_a_person_must_mend_is_not_repeated(
    chains: Chains, url: str, status: int, variable: str
) -> None:
    """A refused key or a wrong URL is told at once, with the variable and without the key."""
    chains.fault = first(9, Answer(status, {"key": KEY}, headers={"Location": f"{url}/y"}))
    with pytest.raises(ChainRefused) as caught:
        await get(url)
    assert caught.value.variable == variable
    assert KEY not in str(caught.value) + repr(caught.value)
    assert len(chains.asked) == 1


@pytest.mark.parametrize(
    ("body", "pause_s"),
    [
        (SUSPENDED, 30),
        (
            {
                "Error": "request rate exceeded the allowed_rps(10), "
                "and the query server is suspended for 5 s"
            },
            30,
        ),
        ({"Error": "suspended for 45 s"}, 45),
        ({"Error": "suspended for 9999 s"}, 60),
        ({"Error": "Exceed the user daily usage (100000)"}, 30),
    ],
)
async def test_a_suspension_stops_all_requests(
    chains: Chains, url: str, body: object, pause_s: int
) -> None:
    """For its length, at least 30 s, at most a minute; then it goes on."""
    chains.fault = first(1, Answer(403, body))
    waits = Waits()
    begun = time.monotonic()
    assert await get(url, sleep=waits) == {"fine": 1}
    assert len(waits.waited) == 1
    # What was left of it when the next request came.
    assert pause_s - (time.monotonic() - begun) <= waits.waited[0] <= pause_s + 0.1


async def test_an_endless_suspension_is_unavailable(chains: Chains, url: str) -> None:
    """It is an outage, not a wrong key."""
    chains.fault = first(10**6, Answer(403, SUSPENDED))
    with pytest.raises(ChainUnavailable, match="403"):
        await get(url)


async def test_retry_after_is_heeded(chains: Chains, url: str) -> None:
    """The server's own pause is kept."""
    chains.fault = first(1, Answer(429, {}, headers={"Retry-After": "1"}))
    await get(url)
    assert chains.asked[1].at - chains.asked[0].at >= 1.0


async def test_requests_leave_evenly(chains: Chains, url: str) -> None:
    """No burst, however many are asked for at once."""
    chains.fault = first(0, Answer())
    async with Api(Network.TRON, url, {}, 50) as api:
        for _ in range(60):
            await api.get("/x", {})
        assert api.requests == 60
    assert chains.busiest_second() <= 51


async def test_answers_are_bounded(chains: Chains, url: str) -> None:
    """One that is too large is not read on, and not asked for again: it would be the same."""
    chains.fault = first(10**6, Answer(raw=b" " * (apis.MAX_BYTES + 1)))
    with pytest.raises(AnswerTooLarge, match="longer than"):
        await get(url)
    assert len(chains.asked) == 1


async def test_answers_are_not_compressed(chains: Chains, url: str) -> None:
    """A small bomb cannot grow here; and the error says what is wrong with the answer."""
    chains.fault = first(10**6, Answer(raw=b"\x1f\x8b", headers={"Content-Encoding": "gzip"}))
    with pytest.raises(ChainUnavailable, match="encoded as 'gzip', which was not asked for"):
        await get(url)
    chains.fault = first(0, Answer())
    assert await get(url) == {"fine": 1}


async def test_an_answer_may_say_that_it_is_not_encoded(chains: Chains, url: str) -> None:
    """It is as it was asked for."""
    plain = Answer(body={"fine": 2}, headers={"Content-Encoding": "Identity"})
    chains.fault = first(10**6, plain)
    assert await get(url) == {"fine": 2}


async def test_the_proxy_of_the_environment_is_used(
    chains: Chains, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by other programs: not for what NO_PROXY names, and not for this machine."""
    chains.fault = first(0, Answer())
    monkeypatch.setenv("HTTP_PROXY", url)
    monkeypatch.setenv("http_proxy", url)
    monkeypatch.setenv("NO_PROXY", "elsewhere.test")
    monkeypatch.setenv("no_proxy", "elsewhere.test")
    assert await get("http://api.test") == {"fine": 1}
    assert chains.asked[0].headers["host"] == "api.test"
    assert apis.proxy_of("http://elsewhere.test") is None
    assert [apis.proxy_of(here) for here in (url, "http://localhost:1")] == [None, None]
    for wrong in ("socks5://user:canary@127.0.0.1:1", "gopher://canary"):
        monkeypatch.setenv("http_proxy", wrong)
        with pytest.raises(ConfigurationError, match="NO_PROXY") as caught:
            Api(Network.TRON, "http://api.test", {}, 1)
        assert "canary" not in str(caught.value)


async def test_a_missing_key_is_not_replaced(chains: Chains, url: str) -> None:
    """The TRON library has shared keys of its own; none of them is ever sent, nor ours twice."""
    chain = tron_chain(url)
    async with tron_source.connect(chain) as api:
        source = tron_source.TronSource(chain, api)
        source._tron.provider.endpoint_uri = f"{url}/trongrid/"
        chains.fault = lambda _: Answer(body={})
        assert await source.receipt("00" * 32) is None
    chain = tron_chain(url, key=SecretStr(KEY))
    async with tron_source.connect(chain) as api:
        await tron_source.TronSource(chain, api).receipt("00" * 32)
    keys = [asked.headers.get("tron-pro-api-key") for asked in chains.asked]
    assert keys == [None, KEY]
    assert KEY not in json.dumps([[asked.path, asked.query, asked.body] for asked in chains.asked])
