"""Which nodes of a simulated mesh are in an anomalous condition, and when that can be known.

A node is anomalous while something is wrong with it or with what it receives over its links, be it
a root fault, a consequence or noise. It is not so because of what others suffer, or because its
telemetry does not arrive. In the first interval of a change, and in `TAIL` intervals after the last
one, nothing is said: Hello counts still mix what is and what was. Nor is anything said while less
is asked of the whole mesh, because of what lies beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from serve_apps.inference.simulation.simulated_faults import Effects

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serve_apps.inference.simulation.runs import Run

TAIL: Final = 8  # rows


def condition_labels(run: Run) -> NDArray[np.float64]:
    """1 where a node is anomalous, 0 where it is not, NaN where nothing is said: [n_times, n]."""
    faults = [one for each in run.plans for one in each.faults]
    topology = run.topology
    effects = [Effects.at(topology, faults, row) for row in range(len(run.telemetry.times))]
    wrong = np.stack([each.acts_on(topology) for each in effects])
    labels = wrong.astype(np.float64)
    labels[1:][wrong[1:] & ~wrong[:-1]] = np.nan
    for back in range(1, TAIL + 1):
        labels[back:][~wrong[back:] & wrong[:-back]] = np.nan
    labels[[bool((each.demand < 1.0).any()) for each in effects]] = np.nan
    return labels
