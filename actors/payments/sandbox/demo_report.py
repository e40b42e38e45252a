"""The report of a demonstration: what was checked, and how each order ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actors.payments.ledger.orders import Cause, Order
    from actors.payments.sandbox.demo_cases import DemoCase


@dataclass(frozen=True, slots=True)
class Check:
    """Something that must be so.

    Attributes:
        what: the condition, in words.
        expected: the value that it must have.
        happened: the value that it has.
    """

    what: str
    expected: object
    happened: object

    @property
    def ok(self) -> bool:
        """Whether it is so."""
        return self.expected == self.happened


@dataclass(frozen=True, slots=True)
class Ending:
    """How it ended for a buyer.

    Attributes:
        case: the buyer, and how the order must end.
        order: its order at the end.
        causes: why its transfers were in the review queue.
    """

    case: DemoCase
    order: Order
    causes: tuple[Cause, ...]

    @property
    def ok(self) -> bool:
        """Whether it ended as it must."""
        return (self.order.state, self.causes) == (self.case.state, self.case.causes)


@dataclass(slots=True)
class DemoReport:
    """What happened.

    Attributes:
        checks: all conditions that were checked.
        endings: how each order ended.
        requests: number of requests to the APIs, by network.
    """

    checks: list[Check] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether everything ended as it must."""
        return bool(self.endings) and not self.wrong

    @property
    def wrong(self) -> int:
        """How many things did not end as they must."""
        return sum(not one.ok for one in self.checks) + sum(not one.ok for one in self.endings)


def values(report: DemoReport) -> dict[str, Any]:
    """The report, for JSON."""
    return {
        "ok": report.ok,
        "orders": [
            {
                "id": one.order.id,
                "method": str(one.case.method),
                "paid": None if one.case.kind is None else str(one.case.kind),
                "state": str(one.order.state),
                "expected_state": str(one.case.state),
                "review": [str(cause) for cause in one.causes],
                "expected_review": [str(cause) for cause in one.case.causes],
                "ok": one.ok,
            }
            for one in report.endings
        ],
        "checks": [
            {
                "what": one.what,
                "expected": _plain(one.expected),
                "happened": _plain(one.happened),
                "ok": one.ok,
            }
            for one in report.checks
        ],
        "requests": report.requests,
    }


def _plain(value: object) -> object:
    if isinstance(value, set | frozenset):
        return sorted(str(one) for one in value)
    return {str(key): count for key, count in value.items()} if isinstance(value, dict) else value
