"""A time of each day, in whatever zone and on whatever day."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.daily import DailyTime
from actors.runtime.errors import ConfigurationError

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from([None, UTC, BERLIN, ZoneInfo("Pacific/Apia"), ZoneInfo("Asia/Kathmandu")])


@given(ZONES, st.times(), st.floats(631_152_000, 2_840_140_800))
def test_the_newest_is_no_older_than_a_day_and_an_hour(
    zone: ZoneInfo | None, at: time, moment: float
) -> None:
    daily = DailyTime(at.replace(microsecond=0, fold=0), zone)
    day, newest = daily.newest(moment)
    assert newest <= moment
    # A zone that crosses the date line leaves out a day once.
    assert moment - newest <= timedelta(hours=50).total_seconds()
    assert daily.newest(newest) == (day, newest)


def test_it_is_that_of_the_clock_on_the_wall() -> None:
    """Half past seven in Berlin, before and after the clocks change."""
    daily = DailyTime.of("07:30 Europe/Berlin", "VARIABLE")
    for noon in (
        datetime(2026, 3, 28, 12, tzinfo=BERLIN),
        datetime(2026, 3, 29, 12, tzinfo=BERLIN),
    ):
        day, at = daily.newest(noon.timestamp())
        assert day == noon.date()
        assert datetime.fromtimestamp(at, BERLIN).time() == time(7, 30)


@pytest.mark.parametrize("text", ["7 o'clock", "25:00", "07:30 Europe/Atlantis", "07:30 ../etc"])
def test_what_is_no_time_is_refused_by_its_variable(text: str) -> None:
    with pytest.raises(ConfigurationError, match="VARIABLE"):
        DailyTime.of(text, "VARIABLE")
