"""Who hears whom, and how well: Hello, IHU and ETX for all hosted nodes at once.

Each node sends each neighbour a Hello every `hello_s`: a burst of small copies, of which the
neighbour counts those that arrive. The share that arrives, smoothed, is the link's delivery
quality in that direction; the burst carries back, as IHU ("I heard you"), the quality measured the
other way. So each end knows both, and the link's cost is ETX = 1 / (d_f * d_r) (De Couto et al.,
MobiCom 2003).

Invariants:
- A link is up only while heard both ways, each within 3.5 Hello intervals (RFC 8966, appendix B).
- A neighbour that is not up yet is answered at once instead of at the next interval (an unscheduled
  Hello, RFC 8966, section 3.4.1), so that links come up within a few round trips.
- Hysteresis delays a change of cost, never a withdrawal.
- A burst has so many copies that the loss of all is rarer than `BURST_LOSS`: three lost bursts in
  a row, which count as a lost neighbour, are then not chance on a poor link.
- Feedback: `unacknowledged` transmissions in a row, so many that a living neighbour would answer
  none of them less often than once in 1e9 frames, betray a dead neighbour before its Hellos do.

Periodic work is array arithmetic over rows; a row is one directed link out of a hosted node.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from actors.topology.bound import HOLD
from actors.topology.etx import etx

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from actors.topology.model import Topology

MIN_COPIES, MAX_COPIES = 8, 256
BURST_LOSS = 1e-3
EAGER_S = 0.1  # least time between Hellos of a node that is getting to know a neighbour
WINDOW = 32  # Hello intervals over which the quality is averaged
HYSTERESIS = 0.25  # relative change of cost below which nothing is advertised

FALSE_ALARM = 1e-9  # share of frames that a living neighbour may fail by chance
MIN_UNACKNOWLEDGED = 12  # transmissions; below it a single lost burst could decide
ROUNDS = 6  # frames sent in vain that suffice to detect a dead neighbour on any link
MIN_ATTEMPTS, MAX_ATTEMPTS = 8, 255  # transmissions of a frame in a row; limit of IEEE 802.11
PESSIMISM = 3.0  # standard deviations by which feedback distrusts an estimated quality


class Hellos(NamedTuple):
    """Hello bursts of one instant, a column each."""

    links: NDArray[np.int32]  # directed, from sender to receiver
    copies: NDArray[np.int64]
    heard: NDArray[np.float64]  # IHU: quality the sender measures from the receiver; 0 if unheard


@dataclass(frozen=True, slots=True)
class Change:
    """Rows that a step changed: links that came up, went down, or have a new cost to advertise."""

    up: NDArray[np.intp]
    down: NDArray[np.intp]
    cost: NDArray[np.intp]


_NONE = np.empty(0, np.intp)


class NeighbourTable:
    """All neighbours of the hosted nodes.

    Args:
        topology: the map; its directed links are the radio links that exist.
        hosted: bool [n_nodes], the nodes of this host.
        hello_s: interval between Hellos, s.
        seed: spreads the nodes' first Hellos over an interval.
        now: present time, s.
    """

    def __init__(
        self, topology: Topology, hosted: NDArray[np.bool_], hello_s: float, seed: int, now: float
    ) -> None:
        self._hello_s = hello_s
        self._hold_s = HOLD * hello_s
        self._last_step = now
        links = np.flatnonzero(hosted[topology.link_source]).astype(np.int32)
        self.link: NDArray[np.int32] = links[np.argsort(topology.link_source[links], kind="stable")]
        self.node: NDArray[np.int32] = topology.link_source[self.link]
        self.neighbour: NDArray[np.int32] = topology.link_target[self.link]
        self.row_of_link: NDArray[np.int32] = np.full(2 * topology.n_links, -1, np.int32)
        self.row_of_link[self.link] = np.arange(len(self.link), dtype=np.int32)
        rows = len(self.link)
        self.up: NDArray[np.bool_] = np.zeros(rows, bool)
        self.cost: NDArray[np.int32] = np.zeros(rows, np.int32)  # last advertised cost; 0 if down
        self.suspect: NDArray[np.bool_] = np.zeros(rows, bool)
        self.unacknowledged: NDArray[np.int64] = np.zeros(rows, np.int64)
        # Transmissions of a frame in one go, and how many may stay unacknowledged in a row.
        self.attempts: NDArray[np.int64] = np.full(rows, MIN_ATTEMPTS)
        self._limit: NDArray[np.int64] = np.full(rows, MIN_UNACKNOWLEDGED)
        self._heard_at = np.full(rows, -np.inf)
        self._reported = np.zeros(rows)  # quality towards the neighbour, by its last IHU
        # Beta posterior counts of the quality from the neighbour, exponentially forgotten.
        self._arrived = np.zeros(rows)
        self._sent = np.zeros(rows)
        self._spacing_s = min(EAGER_S, hello_s / 4)
        phase = np.random.default_rng(seed).random(topology.n_nodes)
        self._next_hello = now + phase * min(hello_s, 1.0)
        self._last_hello = np.full(topology.n_nodes, -np.inf)

    def keep(self, old: NeighbourTable) -> None:
        """Take over what `old` knew of links that have the same ends (after a renumbering)."""
        known = {
            pair: row
            for row, pair in enumerate(
                zip(old.node.tolist(), old.neighbour.tolist(), strict=True),
            )
        }
        pairs = zip(self.node.tolist(), self.neighbour.tolist(), strict=True)
        both = [(row, known[pair]) for row, pair in enumerate(pairs) if pair in known]
        if both:
            here, there = (np.array(rows) for rows in zip(*both, strict=True))
            for column in ("up", "cost", "suspect", "unacknowledged", "attempts", "_limit"):
                getattr(self, column)[here] = getattr(old, column)[there]
            for column in ("_heard_at", "_reported", "_arrived", "_sent"):
                getattr(self, column)[here] = getattr(old, column)[there]
        self._last_hello[: len(old._last_hello)] = old._last_hello
        self._next_hello[: len(old._next_hello)] = old._next_hello

    @property
    def measured(self) -> NDArray[np.float64]:
        """Delivery quality from each neighbour, in [0, 1]; 0 while it is not heard."""
        return np.divide(self._arrived, self._sent, np.zeros(len(self._sent)), where=self._sent > 0)

    def rows_of(self, node: int) -> NDArray[np.intp]:
        """The rows of one hosted node."""
        start, stop = np.searchsorted(self.node, (node, node + 1))
        return np.arange(start, stop)

    @property
    def next_hello(self) -> float:
        """When the next Hello of a hosted node is due, s; infinity if there is none."""
        return float(self._next_hello[self.node].min()) if len(self.node) else np.inf

    def hellos(self, now: float, silent: NDArray[np.bool_]) -> Hellos:
        """The Hellos that are due, of nodes that are not `silent` (bool [n_nodes])."""
        due = self._next_hello <= now
        if not due.any():
            none = np.empty(0)
            return Hellos(np.empty(0, np.int32), np.empty(0, np.int64), none)
        late = np.maximum(now - self._next_hello[due], 0.0)
        # Skip the intervals that a stalled host missed, keeping the phase.
        self._next_hello[due] += self._hello_s * (1.0 + np.floor(late / self._hello_s))
        self._last_hello[due] = now
        rows = np.flatnonzero((due & ~silent)[self.node])
        with np.errstate(divide="ignore"):
            needed = np.log(BURST_LOSS) / np.log1p(-np.clip(self._reported[rows], 0.0, 0.9999))
        copies = np.clip(np.nan_to_num(needed, posinf=MAX_COPIES), MIN_COPIES, MAX_COPIES)
        fresh = now - self._heard_at[rows] <= self._hold_s
        heard = np.where(fresh, self.measured[rows], 0.0)
        return Hellos(self.link[rows], np.ceil(copies).astype(np.int64), heard)

    def hear(self, hellos: Hellos, arrived: NDArray[np.int64], now: float) -> Change:
        """Take in bursts addressed to hosted nodes, of which `arrived` copies got through.

        Several bursts over one link, oldest first, have piled up while a host was stopped.
        """
        rows = self.row_of_link[hellos.links ^ 1]
        known = (rows >= 0) & (arrived > 0)
        rows, burst = np.unique(rows[known], return_inverse=True)
        bursts = np.bincount(burst, minlength=len(rows))
        latest = np.zeros(len(rows), np.intp)
        np.maximum.at(latest, burst, np.arange(len(burst)))
        copies, heard = hellos.copies[known], hellos.heard[known][latest]
        sent = np.bincount(burst, copies, len(rows))
        came = np.bincount(burst, arrived[known], len(rows))
        copies = copies[latest]
        # Bursts missed entirely since the last one also say how bad the link is.
        with np.errstate(invalid="ignore"):
            missed = np.floor((now - self._heard_at[rows]) / self._hello_s - 0.5)
        missed = np.clip(np.nan_to_num(missed, posinf=0.0) - (bursts - 1), 0.0, WINDOW)
        forget = (1.0 - 1.0 / WINDOW) ** bursts
        self._arrived[rows] = self._arrived[rows] * forget + came
        self._sent[rows] = self._sent[rows] * forget + sent + copies * missed
        self._heard_at[rows] = now
        self._reported[rows] = heard
        self.unacknowledged[rows] = 0
        self.suspect[rows] = False
        self._limit[rows] = self.threshold(rows)
        self.attempts[rows] = np.clip(self._limit[rows] // ROUNDS, MIN_ATTEMPTS, MAX_ATTEMPTS)
        both_ways = heard > 0.0
        down = rows[self.up[rows] & ~both_ways]
        up = rows[~self.up[rows] & both_ways]
        self.up[up], self.up[down] = True, False
        self._answer_soon(np.concatenate([up, rows[~both_ways]]), now)
        live = rows[self.up[rows]]
        cost = self._etx(live)
        changed = np.abs(cost - self.cost[live]) > HYSTERESIS * self.cost[live]
        return Change(up, down, live[changed])

    def _answer_soon(self, rows: NDArray[np.int32], now: float) -> None:
        nodes = self.node[rows]
        soon = np.maximum(now, self._last_hello[nodes] + self._spacing_s)
        np.minimum.at(self._next_hello, nodes, soon)

    def _etx(self, rows: NDArray[np.intp] | NDArray[np.int32]) -> NDArray[np.float64]:
        return etx(self._reported[rows], self.measured[rows])

    def settle_costs(self, rows: NDArray[np.intp]) -> None:
        """Make the present estimate of `rows` the advertised cost (0 for those that are down)."""
        cost = np.where(self.up[rows], np.ceil(self._etx(rows)), 0)
        self.cost[rows] = cost.astype(np.int32)

    def expire(self, now: float) -> Change:
        """Declare lost every neighbour unheard for 3.5 Hello intervals.

        Time in which this host itself was stopped does not count as silence of its neighbours
        (Lifeguard's local health, Dadgar et al., 2017).
        """
        stalled = now - self._last_step - 0.5 * self._hello_s
        if stalled > 0.0:
            self._heard_at = np.minimum(self._heard_at + stalled, now)
        self._last_step = now
        down = np.flatnonzero(self.up & (now - self._heard_at > self._hold_s))
        return self._lose(down)

    def acknowledge(self, links: NDArray[np.int32], acknowledged: NDArray[np.bool_]) -> Change:
        """Account for unicast frames of `attempts` transmissions, one per link.

        Returns:
            The neighbours that have now been unresponsive beyond doubt.
        """
        rows = self.row_of_link[links]
        answered, mute = rows[acknowledged], rows[~acknowledged]
        self.unacknowledged[answered] = 0
        self.suspect[answered] = False
        self.unacknowledged[mute] += self.attempts[mute]
        self.suspect[mute] = True
        over = self.unacknowledged[mute] >= self._limit[mute]
        return self._lose(mute[over & self.up[mute]])

    def attempts_over(self, links: NDArray[np.int32]) -> NDArray[np.int64]:
        """How often a frame over each link is transmitted in one go."""
        return self.attempts[self.row_of_link[links]]

    def threshold(self, rows: NDArray[np.int32] | NDArray[np.intp]) -> NDArray[np.int64]:
        """Transmissions in a row that must stay unacknowledged before a neighbour is given up.

        With p the chance that one transmission stays unacknowledged, k of them do with p**k; k is
        the least with p**k <= 1e-9, p taken pessimistically for the uncertainty of the estimate.
        """
        counts = np.maximum(self._sent[rows], 1.0)

        def low(quality: NDArray[np.float64]) -> NDArray[np.float64]:
            # Agresti-Coull interval: also sensible when every copy arrived.
            total = counts + PESSIMISM**2
            centre = (quality * counts + PESSIMISM**2 / 2) / total
            low: NDArray[np.float64] = centre - PESSIMISM * np.sqrt(centre * (1 - centre) / total)
            return np.clip(low, 1e-3, 1.0)

        lost = 1.0 - low(self._reported[rows]) * low(self.measured[rows])
        needed = np.log(FALSE_ALARM) / np.log(np.clip(lost, 1e-9, 1 - 1e-9))
        least: NDArray[np.int64] = np.maximum(np.ceil(needed), MIN_UNACKNOWLEDGED).astype(np.int64)
        return least

    def doubt(self, neighbours: NDArray[np.int32]) -> None:
        """Mark the links to `neighbours`, which another node gave up, for probing."""
        self.suspect |= self.up & np.isin(self.neighbour, neighbours)

    def _lose(self, rows: NDArray[np.intp] | NDArray[np.int32]) -> Change:
        rows = rows.astype(np.intp)
        self.up[rows] = False
        self.suspect[rows] = False
        self.unacknowledged[rows] = 0
        self._reported[rows] = 0.0
        self._arrived[rows] = self._sent[rows] = 0.0
        self._heard_at[rows] = -np.inf
        return Change(_NONE, rows, _NONE)
