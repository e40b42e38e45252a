"""In which mode a program is attached: the best that the interface accepts, every attempt recorded.

The order is HW, DRV, SKB. An attempt is followed by the next only where its errno says that this
mode is not possible here (`FALLS_THROUGH`). What says that somebody is there already, or that it is
not allowed, ends it: another mode would then run beside a foreign program, or fail alike.

The features that a driver states (netdev generic netlink, Linux 6.3) are a hint: they tell where
HW is worth trying. A driver that states native XDP can still refuse it.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final

from actors.xdp.contract import Attempt, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

FALLS_THROUGH: Final = frozenset({errno.EOPNOTSUPP, errno.ERANGE, errno.ENOMEM, errno.EINVAL})
_NO_OFFLOAD: Final = "the driver states no XDP offload"
_ORDER: Final = (Mode.HW, Mode.DRV, Mode.SKB)


class Features(IntFlag):
    """What a driver states of XDP (include/uapi/linux/netdev.h)."""

    BASIC = 1
    REDIRECT = 2
    NDO_XMIT = 4
    XSK_ZEROCOPY = 8
    HW_OFFLOAD = 16
    RX_SG = 32
    NDO_XMIT_SG = 64


@dataclass(frozen=True, slots=True)
class Step:
    """What to try next."""

    mode: Mode
    frags: bool


def next_step(
    wanted: Mode, features: Features | None, attempts: Sequence[Attempt]
) -> Step | Attempt | None:
    """What comes after `attempts`.

    Args:
        wanted: the mode; `AUTO`: the best one.
        features: of the driver; None: it does not state any.
        attempts: what has been tried or passed over, in order.

    Returns:
        What to try, or an attempt that is recorded without being made, or None: it is over, by
        success or since nothing is left.
    """
    if not attempts:
        return _opened(_ORDER[0] if wanted is Mode.AUTO else wanted, wanted, features)
    last = attempts[-1]
    if last.errno == 0 or (last.errno is not None and last.errno not in FALLS_THROUGH):
        return None
    if last.mode is Mode.DRV and last.frags and last.errno == errno.EINVAL:
        return Step(Mode.DRV, frags=False)  # some drivers refuse what takes several buffers
    if wanted is not Mode.AUTO or last.mode is Mode.SKB:
        return None
    return _opened(_ORDER[_ORDER.index(last.mode) + 1], wanted, features)


def _opened(mode: Mode, wanted: Mode, features: Features | None) -> Step | Attempt:
    if mode is Mode.HW and wanted is Mode.AUTO and not (features or 0) & Features.HW_OFFLOAD:
        unknown = "the kernel does not tell whether the driver can offload"
        said = _NO_OFFLOAD if features is not None else unknown
        return Attempt(Mode.HW, frags=True, errno=None, reason=said)
    return Step(mode, frags=True)


def stated_limits(mode: Mode, features: Features | None) -> dict[str, str]:
    """Why modes better than `mode` are not possible, as far as the driver states it."""
    unknown = "the kernel does not tell what the driver can"
    said = {}
    if mode is not Mode.HW and (features is None or not features & Features.HW_OFFLOAD):
        said[str(Mode.HW)] = _NO_OFFLOAD if features is not None else unknown
    if mode is Mode.SKB and (features is None or not features & Features.BASIC):
        said[str(Mode.DRV)] = "the driver states no XDP" if features is not None else unknown
    return said


def refusal(attempts: Sequence[Attempt]) -> str:
    """Why nothing is attached, in one phrase."""
    return "; ".join(f"{attempt.mode}: {attempt.reason}" for attempt in attempts)
