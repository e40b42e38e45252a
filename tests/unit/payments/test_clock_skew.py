"""How far a clock is off, told from a chain's newest block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.payments.chains.clock_skew import HEAD_LAG_MS, skew_ms
from actors.payments.chains.money import Network
from tests.unit.payments.shop import NOW


@pytest.mark.parametrize(
    ("head_ms", "now_ms", "expected"),
    [
        (0, NOW, 0),
        (NOW, NOW, 0),
        (NOW + 1, NOW, 1),
        (NOW - 60_000, NOW, 0),
        (NOW - 60_001, NOW, -1),
    ],
)
def test_the_least_that_a_clock_must_be_off(head_ms: int, now_ms: int, expected: int) -> None:
    """A block of the future is certain; an old one may only be late; an unknown one tells none."""
    assert skew_ms(Network.TRON, head_ms, now_ms) == expected


@given(network=st.sampled_from(Network), off=st.integers(-(10**9), 10**9), share=st.floats(0, 1))
def test_a_sound_api_never_makes_it_larger_than_it_is(
    network: Network, off: int, share: float
) -> None:
    """However old its newest block is, within what one may be; and it misses no more than that."""
    lag = round(share * HEAD_LAG_MS[network])
    told = skew_ms(network, NOW - lag, NOW + off)
    assert min(0, -off) <= told <= max(0, -off)
    assert abs(told + off) <= HEAD_LAG_MS[network]
