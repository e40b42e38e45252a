"""The longest time that the mesh may take to agree again after a change.

The bound of every flooding protocol: time to detect, then for each hop of the widest path time to
process the news and to flush it to the next (OSPF's is the same sum of RouterDeadInterval and LSA
propagation, RFC 2328, 13 and C.3; Babel's hold time is 3.5 Hello intervals, RFC 8966, appendix B).
After it no route is missing that the surviving links offer.
"""

from __future__ import annotations

from typing import Final

HOLD: Final = 3.5  # Hello intervals of silence after which a neighbour is lost
SCAN_S: Final = 0.25  # interval between a host's checks; detection waits for the next one
PROCESSING_S: Final = 0.02  # time for one advertisement on one host: merge, SPF, tables
FLUSH_S: Final = 0.03  # time of one advertisement over one hop, one repetition included


def convergence_bound_s(hello_s: float, diameter: int) -> float:
    """Upper bound of the time from the last change until all routes are whole again, s.

    detection + diameter x (processing + flush). Detection is `HOLD` Hello intervals, at whose end
    the host checks within one scan. A neighbour that comes back is noticed sooner: both ends
    need one Hello each and its answer, three intervals in all.

    Args:
        hello_s: interval between Hellos, s.
        diameter: hops of the longest shortest path among the nodes that survive.

    Raises:
        ValueError: `hello_s` is not positive, or `diameter` is negative.
    """
    if not hello_s > 0.0 or diameter < 0:
        raise ValueError(f"need hello_s > 0 and diameter >= 0, not {hello_s} and {diameter}")
    return detection_bound_s(hello_s) + flood_bound_s(diameter)


def detection_bound_s(hello_s: float) -> float:
    """Upper bound of the time until a neighbour that fell silent is given up, s."""
    return HOLD * hello_s + min(SCAN_S, hello_s / 4)


def mean_detection_s(hello_s: float) -> float:
    """Mean time until a neighbour that fell silent is given up, s; by missing Hellos alone.

    It may fall silent at any moment between two Hellos, and the check may come at any moment.
    """
    return (HOLD - 0.5) * hello_s + min(SCAN_S, hello_s / 4) / 2


def flood_bound_s(diameter: int) -> float:
    """Upper bound of the time that one advertisement takes to reach every table, s."""
    return (diameter + 1) * (PROCESSING_S + FLUSH_S)
