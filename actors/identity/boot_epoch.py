"""The epoch that a sender counts its beacons in: higher each time, and on disk before it is used.

The rule, which holds whether or not the file that keeps the last epoch is lost:

    An epoch is a time: Unix ms. The next one is the present time, or one more than the last, if
    the present time is not above that.

An epoch is thus never above the time at which it began by more than the number of epochs begun
since (one is begun in no less than a millisecond, so by nothing that matters), and a sender without
its file begins at the present time, above every epoch that it can have had. Replay windows of those
that heard it before hold.

What the rule rests on is the clock. An epoch that lies ahead of it by more than the tolerated skew
was begun by a clock that was wrong. Receivers refuse such an epoch, and forget a window in it; so a
sender may, and does, begin below it. While a clock is wrong its beacons are refused, and when it is
right again they are taken again, in both cases without anybody's help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.runtime.state_files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

EPOCH_LIMIT: Final = 2**63
_LONGEST: Final = 20  # digits of a file that can be right


def next_epoch(last: int | None, now: float, skew_s: float) -> int:
    """The epoch after `last` (None: it is lost) at Unix time `now`, s."""
    present = int(now * 1000)
    if last is None or is_void(last + 1, now, skew_s):
        return present
    return max(last + 1, present)


def is_void(epoch: int, now: float, skew_s: float) -> bool:
    """Whether `epoch` lies so far ahead of the clock that a wrong clock must have begun it."""
    return epoch > int((now + skew_s) * 1000)


def begin_epoch(path: Path, now: float, skew_s: float) -> int:
    """The next epoch, durable in the file `path` when this returns.

    A file that is missing or holds no number counts as lost.

    Raises:
        OSError: it cannot be written; the epoch must not be used.
    """
    epoch = next_epoch(_read(path), now, skew_s)
    write_atomic(path, f"{epoch}\n".encode())
    return epoch


def _read(path: Path) -> int | None:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1).strip()
    except FileNotFoundError:
        return None
    return int(text) if text.isdigit() and int(text) < EPOCH_LIMIT else None
