"""What a radio shows of a link: RSSI and SNR, from how well frames get through it.

Delivery follows SNR as a logistic curve, as measured links do (Aguayo et al., "Link-level
Measurements from an 802.11b Mesh Network", SIGCOMM 2004), so SNR is its inverse: p = 1 / (1 +
exp(-(SNR - 8) / 2.5)). A link that loses nothing lies some margin above the curve's end. RSSI is
SNR above the noise floor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIDDLE_DB: Final = 8.0
WIDTH_DB: Final = 2.5
BEST: Final = 0.995  # delivery from which SNR no longer tells
NOISE_FLOOR_DBM: Final = -95.0
JITTER_DB: Final = 0.8  # standard deviation of a mean over an interval


def snr_of(delivery: NDArray[np.float64]) -> NDArray[np.float64]:
    """SNR at which this share of transmissions arrives, dB."""
    share = np.clip(delivery, 1.0 - BEST, BEST)
    return MIDDLE_DB + WIDTH_DB * np.log(share / (1.0 - share))
