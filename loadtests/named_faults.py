"""Faults that were made, and the root causes that were found of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from loadtests.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jobs.launch.drill_root_cause import FoundCause

COLUMNS = ("", "faults", "named", "by its exact link or node", "after, s")


class Fault(NamedTuple):
    """A fault.

    Attributes:
        kind: what kind.
        failed: ids of the node that fails, or of the ends of the link.
        percent: loss of the link; 0: it is a node.
        one_way: only what the first end sends is lost.
        flaps: it comes and goes.
    """

    kind: str
    failed: tuple[str, ...]
    percent: int = 0
    one_way: bool = False
    flaps: bool = False


class Named(NamedTuple):
    """What was found of a fault."""

    fault: Fault
    cause: FoundCause

    @property
    def first(self) -> bool:
        """Whether what failed is in the first place."""
        return self.cause.rank == 1

    @property
    def is_exact(self) -> bool:
        """Whether the node, or both ends of the link, are said."""
        root = self.cause.root
        if root is None:
            return False
        says: Iterable[str] = root.link or (one.node for one in root.nodes[:1])
        return {*says} == {*self.fault.failed}

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        told = {"kind": self.fault.kind, "failed": list(self.fault.failed)}
        return told | self.cause.as_dict()


def rows(named: Sequence[Named]) -> list[list[str]]:
    """Cells of `COLUMNS` for each kind."""
    return [_row(kind, named) for kind in dict.fromkeys(each.fault.kind for each in named)]


def _row(kind: str, named: Sequence[Named]) -> list[str]:
    mine = [each for each in named if each.fault.kind == kind]
    first = [each for each in mine if each.first]
    times = [each.cause.after_s for each in first if each.cause.after_s is not None]
    return [
        kind,
        str(len(mine)),
        str(len(first)),
        str(sum(each.is_exact for each in mine)),
        str(Spread.of(times)) if times else "never",
    ]
