"""Names and time."""

from __future__ import annotations

import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import ids
from actors.runtime.clock import SystemClock, VirtualClock
from actors.runtime.errors import InvalidInput

ALLOWED = string.ascii_letters + string.digits + "._:-"


@given(st.text(ALLOWED, min_size=1, max_size=128))
def test_every_id_of_the_accepted_form_comes_back_unchanged(text: str) -> None:
    """1 to 128 of the allowed characters are a node id."""
    assert ids.node_id(text) == text


@given(st.text(min_size=1, max_size=140).filter(lambda t: not set(t) <= set(ALLOWED)))
def test_any_other_character_is_refused(text: str) -> None:
    """An id with a character outside the set is refused, a trailing newline included."""
    assert not ids.is_node_id(text)
    with pytest.raises(InvalidInput):
        ids.node_id(text)


@pytest.mark.parametrize("value", ["", "a" * 129, "a\n", "ä", None, 7, True, b"a", ["a"]])
def test_what_is_no_id_is_refused_with_its_place(value: object) -> None:
    """The error names the source and the entry and repeats at most a part of the value."""
    with pytest.raises(InvalidInput) as caught:
        ids.node_id(value, source="map.json", entry="nodes[3].id")
    assert caught.value.source == "map.json"
    assert caught.value.entry == "nodes[3].id"
    assert len(str(caught.value)) < 300


def test_client_ids_fit_an_int64_and_differ() -> None:
    """A thousand client ids are a thousand numbers in [1, 2**63)."""
    drawn = {ids.random_id() for _ in range(1000)}
    assert len(drawn) == 1000
    assert all(1 <= number < 2**63 for number in drawn)


def test_the_system_clock_never_falls() -> None:
    """Times taken one after the other do not decrease."""
    clock = SystemClock()
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(times)


@given(st.lists(st.floats(0, 1e6)))
def test_a_virtual_clock_is_where_it_was_advanced_to(steps: list[float]) -> None:
    """Steps add up, and nothing else moves the clock."""
    clock = VirtualClock(5.0)
    expected = 5.0
    for step in steps:
        expected += step
        assert clock.advance(step) == expected == clock.now()


@pytest.mark.parametrize("step", [-1e-9, math.nan, math.inf, -math.inf])
def test_a_virtual_clock_refuses_to_go_back(step: float) -> None:
    """A step that is negative or not finite is refused and moves nothing."""
    clock = VirtualClock(1.0)
    with pytest.raises(ValueError, match="only moves forward"):
        clock.advance(step)
    assert clock.now() == 1.0
