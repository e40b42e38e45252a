"""Times as people write them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.history.errors import InvalidMoment
from actors.history.moments import coming, moment
from actors.runtime.clock import iso

NOW = datetime(2026, 11, 29, 10, 30, tzinfo=UTC).timestamp()
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo | timezone = UTC) -> str:  # type: ignore[assignment]
    return iso(moment(text, NOW, zone))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-29T10:30:00.000Z"),
        ("2h", "2026-11-29T08:30:00.000Z"),
        ("1d12h", "2026-11-27T22:30:00.000Z"),
        (" 90S ", "2026-11-29T10:28:30.000Z"),
        ("22:00", "2026-11-28T22:00:00.000Z"),
        ("06:00", "2026-11-29T06:00:00.000Z"),
        ("today", "2026-11-29T00:00:00.000Z"),
        ("yesterday", "2026-11-28T00:00:00.000Z"),
        ("Yesterday 22:00", "2026-11-28T22:00:00.000Z"),
        ("yesterday  22:00:30", "2026-11-28T22:00:30.000Z"),
        ("2026-11-28", "2026-11-28T00:00:00.000Z"),
        ("2026-11-28T22:00", "2026-11-28T22:00:00.000Z"),
        ("2026-11-28 22:00", "2026-11-28T22:00:00.000Z"),
        ("2026-11-28T22:00+01:00", "2026-11-28T21:00:00.000Z"),
        ("2026-11-28T22:00:00Z", "2026-11-28T22:00:00.000Z"),
    ],
)
def test_moments_are_read(text: str, expected: str) -> None:
    """Durations, clock times, days and ISO 8601."""
    assert at(text) == expected


def test_times_without_a_zone_are_those_of_whoever_asks() -> None:
    """By the rules of that day: in July it is summer in Berlin, whatever the season is now."""
    assert at("2026-07-01T12:00", BERLIN) == "2026-07-01T10:00:00.000Z"
    assert at("2026-11-28T12:00", BERLIN) == "2026-11-28T11:00:00.000Z"
    assert at("11:00", BERLIN) == "2026-11-29T10:00:00.000Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "2x",
        "h",
        "25:00",
        "1:00",
        "tomorrow",
        "yesterday 9",
        "2026-13-01",
        "20261128",
        "2026-11-28T",
        "9999999w",
        "0001-01-01T00:00+23:59",
        "2027-01-01",
        "today 23:00",
        "-2h",
    ],
)
def test_what_is_no_moment_of_the_past_is_refused(text: str) -> None:
    """The error repeats it and says what may be written."""
    with pytest.raises(InvalidMoment, match="yesterday 22:00"):
        moment(text, NOW, UTC)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing else comes of what strangers write."""
    with contextlib.suppress(InvalidMoment):
        assert moment(text, NOW, UTC) <= NOW


@given(st.datetimes(datetime(1971, 1, 1), datetime(2026, 11, 29)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_iso_times_are_exact(naive: datetime, minutes: int) -> None:
    """With any offset, to the microsecond."""
    zoned = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    if zoned.timestamp() <= NOW:
        assert moment(zoned.isoformat(), NOW, UTC) == zoned.timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", "2026-11-29T10:30:00.000Z"),
        ("2h", "2026-11-29T12:30:00.000Z"),
        ("22:00", "2026-11-29T22:00:00.000Z"),
        ("06:00", "2026-11-30T06:00:00.000Z"),
        ("tomorrow 06:00", "2026-11-30T06:00:00.000Z"),
        ("today 23:00", "2026-11-29T23:00:00.000Z"),
        ("2026-12-24T18:00+01:00", "2026-12-24T17:00:00.000Z"),
    ],
)
def test_times_to_come_are_read(text: str, expected: str) -> None:
    assert iso(coming(text, NOW, UTC)) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("today 06:00", "it is past"),
        ("2026-11-28T22:00", "it is past"),
        ("yesterday 22:00", "no time"),
        ("tomorrow", "no time"),
        ("soon", "no time"),
        ("9999999999999999h", "no duration"),
        ("999999999w", "too far"),
    ],
)
def test_no_time_to_come_is_guessed(text: str, why: str) -> None:
    with pytest.raises(InvalidMoment, match=why):
        coming(text, NOW, UTC)
