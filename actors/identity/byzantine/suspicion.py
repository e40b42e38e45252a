"""Who is suspected by whom, and who by so many that one of them must be honest.

A node lists its suspects in its own signed advertisement. f + 1 neighbours of a node that list it
include an honest one, so the node is quarantined; f never suffice, and neither do reporters that
are no neighbours of it, who cannot know. A report holds for `SUSPICION_S` from the moment its
advertisement was believed here, and is renewed by the reporter's next that repeats it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SUSPICION_S: Final = 60.0


class Suspicions:
    """The reports that are in force.

    Args:
        faults: f, the number of liars that must not be able to quarantine anybody.
    """

    def __init__(self, faults: int) -> None:
        self._enough = faults + 1
        # Suspect → reporter → the stamp of the report, and when it expires.
        self._reports: dict[int, dict[int, tuple[int, float]]] = {}
        self._by: dict[int, tuple[int, ...]] = {}
        self.confirmed: frozenset[int] = frozenset()

    def report(self, reporter: int, stamp: int, suspects: Iterable[int], now: float) -> set[int]:
        """An advertisement of `reporter` lists `suspects`; those whose quarantine changes.

        The same advertisement again renews nothing.
        """
        suspects = tuple(suspects)
        for former in self._by.get(reporter, ()):
            if former not in suspects:
                self._reports.get(former, {}).pop(reporter, None)
        for suspect in suspects:
            reports = self._reports.setdefault(suspect, {})
            if reports.get(reporter, (-1, 0.0))[0] < stamp:
                reports[reporter] = stamp, now + SUSPICION_S
        if suspects:
            self._by[reporter] = suspects
        else:
            self._by.pop(reporter, None)
        return self.lapse(now)

    def lapse(self, now: float) -> set[int]:
        """Those whose quarantine has changed since the last call."""
        if not self._reports and not self.confirmed:
            return set()
        confirmed = frozenset(
            suspect
            for suspect, reports in self._reports.items()
            if sum(now < until for _, until in reports.values()) >= self._enough
        )
        changed = set(confirmed ^ self.confirmed)
        self.confirmed = confirmed
        return changed

    def until(self, suspect: int) -> float:
        """When the quarantine of a suspect ends unless it is renewed, s."""
        ends = sorted((until for _, until in self._reports[suspect].values()), reverse=True)
        return ends[self._enough - 1]

    def reporters(self, suspect: int, now: float) -> tuple[int, ...]:
        """Who suspects it."""
        reports = self._reports.get(suspect, {})
        return tuple(sorted(node for node, (_, until) in reports.items() if now < until))
