"""Flags: clear words only, and nothing that does nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.errors import ConfigurationError
from actors.runtime.flags import Flags, variables

YES = ["true", "1", "yes", "on"]
NO = ["false", "0", "no", "off"]


@given(word=st.sampled_from(YES + NO), upper=st.lists(st.booleans(), min_size=5, max_size=5))
def test_the_eight_words_are_read_in_any_case(word: str, upper: list[bool]) -> None:
    """Yes-words switch on and no-words off, whatever their case."""
    mixed = "".join(c.upper() if up else c for c, up in zip(word, upper, strict=False))
    assert Flags.from_env({"X0TTA6BL4_FAILOVER": mixed}).failover is (word in YES)


@given(st.text().filter(lambda text: text.strip().lower() not in YES + NO))
def test_anything_else_is_an_error_that_names_the_variable(text: str) -> None:
    """A value that is no clear word starts nothing."""
    with pytest.raises(ConfigurationError) as caught:
        Flags.from_env({"X0TTA6BL4_MINIMAL": text})
    assert caught.value.variable == "X0TTA6BL4_MINIMAL"
    assert len(str(caught.value)) < 300


def test_nothing_is_on_unless_asked_for() -> None:
    """An empty environment leaves every flag off."""
    assert Flags.from_env({}) == Flags(
        byzantine=False, failover=False, pqc_beacons=False, minimal=False
    )


@pytest.mark.parametrize("name", ["FAILOVER", "BYZANTINE", "PQC_BEACONS"])
def test_minimal_excludes_the_others_and_says_so(name: str) -> None:
    """MINIMAL with another flag on names both."""
    with pytest.raises(ConfigurationError) as caught:
        Flags.from_env({"X0TTA6BL4_MINIMAL": "1", f"X0TTA6BL4_{name}": "1"})
    assert "X0TTA6BL4_MINIMAL" in str(caught.value)
    assert f"X0TTA6BL4_{name}" in str(caught.value)
    assert Flags.from_env({"X0TTA6BL4_MINIMAL": "1", f"X0TTA6BL4_{name}": "0"}).minimal


def test_the_report_has_a_row_a_flag() -> None:
    """`x0 status` shows every variable with its true state."""
    rows = Flags(failover=True).report()
    assert {row.variable for row in rows} == variables()
    assert {row.name: row.state for row in rows} == {
        "byzantine": "off",
        "failover": "on",
        "pqc_beacons": "off",
        "minimal": "off",
    }
    assert all(row.meaning for row in rows)
