"""ETX, the metric of routes: expected transmissions of a frame until it is acknowledged.

1 / (d_f * d_r) for the delivery probabilities of both directions (De Couto et al., "A
High-Throughput Path Metric for Multi-Hop Wireless Routing", MobiCom 2003). A cost is ETX times
`COST_UNIT`, rounded up, so that sums are whole numbers: as Babel's (RFC 8966, appendix A.2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from actors.topology.model import Topology

COST_UNIT: Final = 256  # cost of a link that needs one transmission a frame
MAX_COST: Final = 0xFFFF - 1  # RFC 8966 keeps 0xFFFF for infinity
_LEAST_PRODUCT: Final = 1e-9  # least product of two qualities; its cost is far above MAX_COST


def etx(forth: ArrayLike, back: ArrayLike) -> NDArray[np.float64]:
    """Cost for delivery probabilities of both directions, float64, not rounded."""
    product = np.maximum(np.multiply(forth, back, dtype=np.float64), _LEAST_PRODUCT)
    return np.minimum(COST_UNIT / product, MAX_COST)


def etx_costs(topology: Topology) -> NDArray[np.int32]:
    """Cost [2 * n_links] of each directed link when its quality is known exactly."""
    cost = np.ceil(etx(topology.quality[:, 0], topology.quality[:, 1]))
    return np.repeat(cost.astype(np.int32), 2)
