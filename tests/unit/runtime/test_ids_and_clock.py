"""Names and time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime import ids
from actors.runtime.clock import SystemClock, VirtualClock
from actors.runtime.errors import InvalidInput

# Letters, marks, digits, punctuation and symbols of all scripts: what one can see.
SEEN = st.characters(categories=("L", "M", "N", "P", "S"))
UNSEEN = st.characters(categories=("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))


@given(st.text(SEEN, min_size=1, max_size=128))
def test_every_printable_text_is_an_id_and_comes_back_unchanged(text: str) -> None:
    """1 to 128 characters that can be seen are a node id."""
    assert ids.node_id(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "!a1b2c3d4",
        "q/4+Zw0uE1bd7cJ3A=",
        "Kirchturm Süd",
        "fe80::1%eth0",
        "a,b",
        "--help",
        "\N{BUG}",
    ],
)
def test_ids_that_networks_have_are_ids(text: str) -> None:
    """Meshtastic's, WireGuard's, host names, addresses with a zone, and what looks like options."""
    assert ids.is_node_id(text)


def test_an_id_is_compared_as_it_is_given() -> None:
    """A composed and a decomposed umlaut are two ids: they may be two nodes of a router's map."""
    composed, decomposed = "S\u00fcd", "Su\u0308d"
    assert ids.node_id(composed) == composed != ids.node_id(decomposed) == decomposed


@given(st.text(SEEN, max_size=60), UNSEEN, st.text(SEEN, max_size=60))
def test_what_cannot_be_seen_is_refused_wherever_it_stands(
    before: str, unseen: str, after: str
) -> None:
    """Control, formatting and lone-surrogate characters would alter a log, a table or a page."""
    text = before + unseen + after
    assert not ids.is_node_id(text)
    with pytest.raises(InvalidInput) as caught:
        ids.node_id(text)
    assert unseen not in str(caught.value)


@pytest.mark.parametrize("value", ["", " a", "a ", "a" * 129, "a\n", None, 7, True, b"a", ["a"]])
def test_what_is_no_id_is_refused_with_its_place(value: object) -> None:
    """The error names the source and the entry and repeats at most a part of the value."""
    with pytest.raises(InvalidInput) as caught:
        ids.node_id(value, source="map.json", entry="nodes[3].id")
    assert caught.value.source == "map.json"
    assert caught.value.entry == "nodes[3].id"
    assert len(str(caught.value)) < 300


@given(st.text(max_size=300))
def test_a_name_to_show_is_an_id_or_empty(text: str) -> None:
    """Whatever a map calls a node can be shown, and what is fit to be shown is not altered."""
    shown = ids.display_name(text)
    assert shown == "" or ids.is_node_id(shown)
    assert ids.display_name(shown) == shown
    if ids.is_node_id(text):
        assert shown == text


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
