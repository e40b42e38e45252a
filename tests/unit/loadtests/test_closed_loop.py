"""Asking as fast as answers come, and what two servers in turns amount to."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from loadtests import closed_loop
from loadtests.closed_loop import ClosedLoopResult
from loadtests.paired_runs import PairedRuns
from tests.unit.loadtests.http_server import response, serving

if TYPE_CHECKING:
    from loadtests.http_connection import Connection, HttpAnswer


async def test_only_successes_count_for_the_rate() -> None:
    """Every answer is counted by its status, and the rate is that of the successes."""
    statuses = itertools.cycle([200, 200, 429])
    seen = 0

    def reply(_head: bytes, _body: bytes) -> bytes:
        nonlocal seen
        seen += 1
        return response(next(statuses))

    async with serving(reply) as server, server.connections(3) as connections:
        request = server.request("GET", "/")

        async def ask(connection: Connection) -> HttpAnswer:
            return await connection.ask(request)

        asked = await closed_loop.ask(connections, ask, 0.2)
    assert asked.statuses.total() == seen
    assert asked.failed == asked.statuses[429] > 0
    assert 0 <= asked.statuses[200] - len(asked.latency) <= 3  # the last came after the end
    assert asked.per_s == pytest.approx(len(asked.latency) / 0.2)
    assert 0 < asked.p95_ms < 200


async def test_a_connection_that_breaks_counts_and_ends_its_caller() -> None:
    """A server that hangs up on one caller is a failure, and the others go on."""
    hung_up = itertools.chain([None], itertools.repeat(response(200)))
    async with serving(lambda *_: next(hung_up)) as server, server.connections(2) as connections:
        request = server.request("GET", "/")

        async def ask(connection: Connection) -> HttpAnswer:
            return await connection.ask(request)

        asked = await closed_loop.ask(connections, ask, 0.2)
    assert asked.broken == asked.failed == 1
    assert asked.statuses[200] > 2


def turn(per_s: int, latency: float = 0.01) -> ClosedLoopResult:
    return ClosedLoopResult(1.0, [latency] * per_s)


def test_the_ratio_is_that_of_medians_and_its_spread_that_of_rounds() -> None:
    """One bad round moves neither median, and shows in the spread."""
    turns = PairedRuns(
        [turn(70), turn(10, 0.5), turn(80)],
        [turn(100), turn(100), turn(400)],
    )
    assert turns.ratio == pytest.approx(0.7)
    assert turns.ratios.values == pytest.approx((0.7, 0.1, 0.2))
    gateway, bare = turns.p95_ms()
    assert gateway.values == pytest.approx((10.0, 500.0, 10.0))
    assert bare.high == pytest.approx(10.0)


def test_a_round_that_lacks_a_side_has_no_ratio() -> None:
    """Rounds are pairs: one without its other half is an error."""
    with pytest.raises(ValueError, match="shorter"):
        _ = PairedRuns([turn(1), turn(1)], [turn(1)]).ratios
