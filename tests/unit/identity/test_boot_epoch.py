"""Boot epochs: higher each time, with and without their file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.identity.boot_epoch import begin_epoch, is_void, next_epoch
from actors.identity.replay_window import Freshness, ReplayWindow

if TYPE_CHECKING:
    from pathlib import Path

NOW, SKEW = 1_700_000_000.0, 5.0
YEARS = 17 * 365 * 86400.0


@given(
    pauses=st.lists(st.tuples(st.floats(0.001, 1e6), st.booleans()), min_size=1, max_size=30),
)
def test_each_epoch_is_above_all_before_whichever_files_are_lost(
    pauses: list[tuple[float, bool]],
) -> None:
    """With a clock that goes forward, at least a millisecond from start to start."""
    now, last, begun = NOW, None, []
    for pause, lost in pauses:
        now += pause + 0.001
        last = next_epoch(None if lost else last, now, SKEW)
        begun.append(last)
    assert begun == sorted(set(begun))


def test_with_its_file_a_sender_survives_a_clock_that_is_set_back_a_little() -> None:
    """Within the tolerated skew the file decides, not the clock."""
    first = next_epoch(None, NOW, SKEW)
    assert next_epoch(first, NOW - 4.0, SKEW) == first + 1


def test_an_epoch_of_a_clock_that_was_wrong_binds_nobody() -> None:
    """17 years ahead: refused while it is so, begun below once the clock is right again."""
    wrong = next_epoch(None, NOW + YEARS, SKEW)
    assert is_void(wrong, NOW, SKEW)
    assert next_epoch(wrong, NOW, SKEW) == int(NOW * 1000)
    assert not is_void(next_epoch(wrong, NOW, SKEW), NOW, SKEW)


def test_an_epoch_is_on_disk_before_it_is_used(tmp_path: Path) -> None:
    """The file holds it when the call returns, and a file that cannot be written gives none."""
    path = tmp_path / "epoch"
    first = begin_epoch(path, NOW, SKEW)
    assert path.read_text().strip() == str(first)
    assert begin_epoch(path, NOW, SKEW) == first + 1
    with pytest.raises(OSError):
        begin_epoch(tmp_path / "nowhere" / "epoch", NOW, SKEW)


@pytest.mark.parametrize("content", [b"", b"rubbish", b"-5", b"9" * 40, b"\xff\x00"])
def test_a_file_without_a_number_counts_as_lost(tmp_path: Path, content: bytes) -> None:
    """The present time is above what it held."""
    path = tmp_path / "epoch"
    path.write_bytes(content)
    assert begin_epoch(path, NOW, SKEW) == int(NOW * 1000)


def test_windows_hold_over_a_reboot_that_loses_the_epoch(tmp_path: Path) -> None:
    """What was heard before stays refused, and the rebooted sender is heard."""
    path, window = tmp_path / "epoch", ReplayWindow()
    before = begin_epoch(path, NOW, SKEW)
    for sequence in range(100):
        window.admit(before, sequence)
    path.unlink()

    after = begin_epoch(path, NOW + 1.0, SKEW)

    assert window.admit(after, 0) is Freshness.NEW
    assert {window.check(before, sequence) for sequence in range(200)} == {Freshness.OLD_EPOCH}
