"""The mode is the best that the interface accepts; nobody's program is passed by."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.xdp.contract import Attempt, Mode
from actors.xdp.negotiation import (
    FALLS_THROUGH,
    Features,
    Step,
    next_step,
    refusal,
    stated_limits,
)

NATIVE = Features.BASIC | Features.REDIRECT
CARD = NATIVE | Features.HW_OFFLOAD


def negotiated(
    wanted: Mode, features: Features | None, answers: dict[tuple[Mode, bool], int]
) -> list[Attempt]:
    """All attempts against a driver that answers so; 0 where nothing is said."""
    attempts: list[Attempt] = []
    while (step := next_step(wanted, features, attempts)) is not None:
        if isinstance(step, Step):
            number = answers.get((step.mode, step.frags), 0)
            step = Attempt(step.mode, step.frags, number, os.strerror(number) if number else "")
        attempts.append(step)
    return attempts


def modes(attempts: list[Attempt]) -> list[tuple[str, bool, int | None]]:
    return [(str(one.mode), one.frags, one.errno) for one in attempts]


def test_a_card_that_offloads_is_asked_first() -> None:
    """If it refuses, the driver is asked, then the kernel."""
    assert modes(negotiated(Mode.AUTO, CARD, {})) == [("hw", True, 0)]
    refused = {(Mode.HW, True): errno.EOPNOTSUPP, (Mode.DRV, True): errno.ENOMEM}
    assert modes(negotiated(Mode.AUTO, CARD, refused)) == [
        ("hw", True, errno.EOPNOTSUPP),
        ("drv", True, errno.ENOMEM),
        ("skb", True, 0),
    ]


@pytest.mark.parametrize(
    ("features", "why"), [(NATIVE, "states no XDP offload"), (None, "does not tell")]
)
def test_offload_is_not_tried_where_it_is_not_stated(features: Features | None, why: str) -> None:
    """It is recorded as not tried, with the reason."""
    first, second = negotiated(Mode.AUTO, features, {})
    assert first.errno is None
    assert why in first.reason
    assert (second.mode, second.errno) == (Mode.DRV, 0)


def test_a_driver_that_takes_no_several_buffers_gets_the_linear_program() -> None:
    """EINVAL is answered by the same mode without them, then by generic mode."""
    answers = {(Mode.DRV, True): errno.EINVAL}
    assert modes(negotiated(Mode.AUTO, NATIVE, answers))[1:] == [
        ("drv", True, errno.EINVAL),
        ("drv", False, 0),
    ]
    answers[Mode.DRV, False] = errno.EINVAL
    assert modes(negotiated(Mode.AUTO, NATIVE, answers))[1:] == [
        ("drv", True, errno.EINVAL),
        ("drv", False, errno.EINVAL),
        ("skb", True, 0),
    ]


@given(
    mode=st.sampled_from([Mode.HW, Mode.DRV, Mode.SKB]),
    number=st.sampled_from([errno.EBUSY, errno.EEXIST, errno.EPERM, errno.ENODEV, errno.EIO]),
)
def test_what_is_not_about_the_mode_ends_it(mode: Mode, number: int) -> None:
    """Nothing is attached beside or in place of what is there."""
    before = {(one, True): errno.EOPNOTSUPP for one in (Mode.HW, Mode.DRV)}
    attempts = negotiated(Mode.AUTO, CARD, {**before, (mode, True): number})
    assert (attempts[-1].mode, attempts[-1].errno) == (mode, number)


@given(
    wanted=st.sampled_from(list(Mode)),
    features=st.sampled_from([None, Features(0), NATIVE, CARD]),
    answers=st.dictionaries(
        st.tuples(st.sampled_from([Mode.HW, Mode.DRV, Mode.SKB]), st.booleans()),
        st.sampled_from([0, errno.EBUSY, errno.EPERM, *sorted(FALLS_THROUGH)]),
    ),
)
def test_it_always_ends_and_tries_nothing_twice(
    wanted: Mode, features: Features | None, answers: dict[tuple[Mode, bool], int]
) -> None:
    """Only what was wanted is tried; only the last attempt can have succeeded."""
    attempts = negotiated(wanted, features, answers)
    assert 1 <= len(attempts) <= 4
    assert len({(one.mode, one.frags) for one in attempts}) == len(attempts)
    assert all(one.errno != 0 for one in attempts[:-1])
    if wanted is not Mode.AUTO:
        assert {one.mode for one in attempts} == {wanted}
    assert attempts[-1].errno is not None


def test_a_refusal_names_every_attempt() -> None:
    """Mode and reason."""
    attempts = negotiated(Mode.AUTO, Features(0), {(Mode.DRV, True): errno.EPERM})
    assert refusal(attempts) == (
        "hw: the driver states no XDP offload; drv: Operation not permitted"
    )


def test_what_is_stated_explains_why_a_mode_is_no_better() -> None:
    """Nothing is said of what is possible, or already the best."""
    assert stated_limits(Mode.HW, CARD) == {}
    assert stated_limits(Mode.DRV, CARD) == {}
    assert set(stated_limits(Mode.SKB, NATIVE)) == {"hw"}
    assert set(stated_limits(Mode.SKB, Features(0))) == {"hw", "drv"}
    assert "does not tell" in stated_limits(Mode.SKB, None)["drv"]
