"""What the end of a call means, and how long the pause before the next one may be (rule 2)."""

from __future__ import annotations

from random import Random

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.identity.contract import IdentityFault
from actors.identity.reconnecting import (
    LEAST_S,
    LONGEST_DETAIL,
    MOST_S,
    MOST_UNAVAILABLE_S,
    ended,
    pause,
)

FAULTS = st.sampled_from(IdentityFault)


@given(st.integers(1, 10**9), FAULTS, st.floats(0.001, 1e6), st.integers())
def test_a_pause_never_lasts_past_the_end_of_the_svid(
    attempt: int, fault: IdentityFault, left: float, seed: int
) -> None:
    """However often it failed, somebody tries before the SVID ends."""
    assert LEAST_S <= pause(attempt, fault, left, Random(seed)) <= max(LEAST_S, min(left, MOST_S))


@given(st.integers(1, 10**9), st.one_of(st.none(), st.floats(-1e6, 0)), st.integers())
def test_after_any_outage_a_server_that_is_back_is_found_soon(
    attempt: int, left: float | None, seed: int
) -> None:
    """The pause is below 3 s however long nobody listened, so the return is noticed within them."""
    assert pause(attempt, IdentityFault.UNAVAILABLE, left, Random(seed)) <= MOST_UNAVAILABLE_S < 3


def test_pauses_grow_and_differ() -> None:
    """Full jitter: each pause is drawn anew, from a range that doubles up to the limit."""
    most = {
        attempt: max(
            pause(attempt, IdentityFault.PERMISSION_DENIED, None, Random(seed))
            for seed in range(200)
        )
        for attempt in (1, 3, 5, 9)
    }
    assert 0.1 < most[1] < 0.2 < most[3] < 0.8 < most[5] < 3.2 < most[9] < 5.0


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_each_status_is_a_fault_and_only_two_are_final(code: grpc.StatusCode) -> None:
    """Only a call that can never succeed is not tried again."""
    end = ended(code, "why")
    final = code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED}
    assert end.retries is not final
    assert isinstance(end.fault, IdentityFault)
    assert code is grpc.StatusCode.OK or code.name in end.why


def test_what_the_other_side_says_is_told_shortened_and_on_one_line() -> None:
    """A server cannot write lines of its own into a log."""
    why = ended(grpc.StatusCode.INTERNAL, "a\nb\x1b[31m" + "x" * 1000).why
    assert "a b [31m" in why
    assert len(why) < LONGEST_DETAIL + 60
    assert ended(grpc.StatusCode.INTERNAL, None).why.endswith("without a reason")
