"""The result of a drill."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

ATTRACTION: Final = 0.02  # share of routes by which a liar's may rise: costs change by themselves
LISTED: Final = 5  # most changes of the map that a sentence names


@dataclass(frozen=True, slots=True)
class DrillReport:
    """What was broken, what was predicted and what happened. Times in s after the fault.

    Pairs are unordered pairs of surviving nodes; in a mesh too large for traffic between all of
    them, `pairs` of them were chosen at random and all figures are about those.
    """

    nodes: int
    links: int
    diameter: int  # hops, before the fault
    scenario: str
    failed: list[str]
    hello_s: float
    feedback: bool
    failover: bool
    shards: int
    seed: int
    pairs: int
    all_pairs: bool
    rate_per_s: float
    detected_s: float | None  # first notice by any node (or of the shard's death); None: none
    healed_s: float | None  # all routes agree with the truth again, and stay so; None: never
    restored_s: float | None  # after the fault was mended, s from then; None: nothing to mend
    detection_bound_s: float  # by missing Hellos; with traffic, feedback is faster
    convergence_bound_s: float
    sent: int
    accepted: int
    delivered: int
    returned: int  # messages accepted and answered "unreachable"
    refused: int
    lost_accepted: int
    duplicates: int
    corrupt: int
    loops: int
    blackholed_pairs_after_bound: int
    unreachable_pairs_reported: int
    unreachable_pairs_truth: int
    predicted_pairs_separated: int  # pairs, of all, predicted from the topology before the fault
    retries: int  # retries of a datagram over each hop
    loss_before: float | None  # share of datagrams between survivors lost, before the fault
    loss_after: float | None  # the same when routes have changed; None: no pair survives
    hops_mean: float
    attracted_before: float | None  # share of routes through the node that lies; None: nobody does
    attracted_after: float | None  # the same while it lies
    map_changes: list[str]  # what changed in the map of the mesh during the drill, in words

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @property
    def healing(self) -> tuple[float | None, float] | None:
        """After how long all routes were whole, and the bound of that, s.

        None if this drill is no measure of it: the map has changed, or a process was killed, which
        takes the time of its start as well.
        """
        if self.map_changes or self.scenario == "shard-kill":
            return None
        return self.healed_s, self.convergence_bound_s

    @property
    def shortcomings(self) -> list[str]:
        """What did not go as it must, in words; empty if the mesh healed as promised."""
        if self.map_changes:  # what was true before is no measure of what happened
            changes = "; ".join(self.map_changes[:LISTED])
            more = len(self.map_changes) - LISTED
            return [
                f"the map changed during the drill: {changes}"
                + (f"; and {more} changes more" if more > 0 else "")
            ]
        bad = []
        counts = {
            "accepted messages lost": self.lost_accepted,
            "duplicates": self.duplicates,
            "corrupt messages": self.corrupt,
            "forwarding loops": self.loops,
            "black-holed pairs after the bound": self.blackholed_pairs_after_bound,
        }
        bad += [f"{count} {what}" for what, count in counts.items() if count]
        if self.unreachable_pairs_reported != self.unreachable_pairs_truth:
            bad.append(
                f"{self.unreachable_pairs_reported} pairs reported unreachable,"
                f" {self.unreachable_pairs_truth} are"
            )
        if self.attracted_after is not None and self.attracted_before is not None:
            rise = self.attracted_after - self.attracted_before
            if rise > ATTRACTION:
                bad.append(
                    f"the liar attracts {rise:.1%} of all routes that did not lead through it"
                )
        if self.scenario == "equivocator" and self.detected_s is None:
            bad.append("nobody was found to tell two stories")
        if self.healed_s is None:
            bad.append("routes did not become whole again")
        elif self.healing is not None and self.healed_s > self.convergence_bound_s:
            bad.append(f"healed after the bound of {self.convergence_bound_s:.2f} s")
        return bad
