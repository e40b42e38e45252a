"""wrk and Locust: what their output says, that wrk sends what it should, and how both are run."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from actors.runtime.errors import Unavailable
from loadtests import load_program, locust_run, wrk
from loadtests.http_connection import TOKEN, Server
from loadtests.wrk import Ceiling
from tests.unit.loadtests.http_server import response, serving

WRK = """\
Running 2s test @ http://127.0.0.1:8000/healthz
  2 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.00ms    0.10ms   2.00ms   90.00%
  600 requests in 2.00s, 100.00KB read
Requests/sec:    300.00
{"requests":600,"duration_us":2000000,"p95_us":1500,"status":3,"socket":2}
"""
LOCUST = [
    {
        "name": "route",
        "safe_name": "route",
        "method": "GET",
        "last_request_timestamp": 1004.0,
        "start_time": 1000.0,
        "num_requests": 100,
        "num_none_requests": 0,
        "num_failures": 2,
        "total_response_time": 1990.0,
        "response_times": {"10": 94, "20": 1, "200": 5},
    }
]


def test_what_wrk_says() -> None:
    """The rate is of all answers in the measured time; bad ones of any kind are told."""
    assert wrk.parse(WRK) == Ceiling(300.0, 1.5, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unable to connect to 127.0.0.1:1 Connection refused",
        '{"requests":1}',
        '{"requests":1,"duration_us":0,"p95_us":1,"status":0,"socket":0}',
        "[]",
    ],
)
def test_wrk_without_figures_is_an_error(text: str) -> None:
    """Output without figures is refused, and repeated in the error."""
    with pytest.raises(ValueError, match="wrk printed no figures"):
        wrk.parse(text)


@pytest.mark.skipif(not wrk.installed(), reason="needs Debian's wrk")
async def test_wrk_sends_distinct_messages_with_the_token() -> None:
    """Each message of the real wrk is another one, between the given pairs, with the token."""
    bodies: list[bytes] = []
    heads: list[bytes] = []

    def keep(head: bytes, body: bytes) -> bytes:
        heads.append(head)
        bodies.append(body)
        return response(200 if len(bodies) % 10 else 429)

    pairs = [("a", "b"), ("c", "d")]
    async with serving(keep) as server:
        found = await asyncio.to_thread(wrk.send, server, "/x", pairs, 2, 1)
    messages = [json.loads(body) for body in bodies]
    assert {(m["source"], m["destination"]) for m in messages} == set(pairs)
    assert len({m["payload"] for m in messages}) == len(messages) > 10
    assert {(len(m["payload"]), m["port"]) for m in messages} == {(100, wrk.PORT)}
    assert all(head.startswith(b"POST /x/v1/mesh/messages ") for head in heads)
    assert all(b"\r\nauthorization: Bearer secret\r\n" in head for head in heads)
    assert 0 < found.failed <= len(messages) / 10
    assert 0 < found.per_s <= len(messages)


def test_what_locust_says() -> None:
    """Rates run over the time between first and last request, percentiles over all of them."""
    found = locust_run.parse(json.dumps(LOCUST))["route"]
    assert (found.requests, found.failures, found.per_s) == (100, 2, 25.0)
    assert found.p95_ms == pytest.approx(20.0)


@pytest.mark.parametrize("text", ["", "{}x", '[{"name": "route"}]', "[1]"])
def test_locust_without_figures_is_an_error(text: str) -> None:
    """Output without figures is refused, and repeated in the error."""
    with pytest.raises(ValueError, match="Locust printed no figures"):
        locust_run.parse(text)


SERVER = Server("127.0.0.1", 1, "secret")


def ran(script: str, timeout_s: float = 30, codes: tuple[int, ...] = (0,)) -> str:
    command = [sys.executable, "-c", script]

    def parse(text: str) -> str:
        if not text:
            raise ValueError("it printed no figures")
        return text.strip()

    return load_program.run(command, SERVER, timeout_s, parse, codes)


def test_a_load_program_gets_the_token_and_its_figures_are_read() -> None:
    """The token is in its environment, where other users do not see it."""
    assert ran(f"import os; print(os.environ[{TOKEN!r}])") == "secret"
    assert ran("print(7); raise SystemExit(1)", codes=(0, 1)) == "7"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("import sys; sys.stderr.write('no memory')", "no figures; no memory"),
        ("print(7); raise SystemExit(3)", "code 3"),
        ("import time; time.sleep(60)", "timed out after"),
    ],
    ids=["no-figures", "failed", "endless"],
)
def test_a_load_program_that_does_not_work_is_told(script: str, why: str) -> None:
    """With what it said itself, and what to do."""
    with pytest.raises(Unavailable, match=why) as caught:
        ran(script, timeout_s=1 if "sleep" in script else 30)
    assert caught.value.remedy


def test_a_load_program_that_is_not_there_is_told() -> None:
    """As one that does not work."""
    with pytest.raises(Unavailable, match="No such file"):
        load_program.run(["no-such-program-of-the-tests"], SERVER, 5, str)
