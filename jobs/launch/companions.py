"""The companions of a session, one row each. A new kind of companion adds its row here.

`x0 up` and `x0 watch` prepare and start them, `x0 status` shows their states, and they end with
their session.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobs.launch.alerts_companion import AlertsCompanion
from jobs.launch.gateway_companion import GatewayCompanion
from jobs.launch.history_companion import HistoryCompanion
from jobs.launch.identity_companion import IdentityCompanion
from jobs.launch.inference_companion import InferenceCompanion
from jobs.launch.observer_companion import ObserverCompanion
from jobs.launch.payment_watchers import PaymentWatchers
from jobs.launch.twin_companion import TwinCompanion
from jobs.launch.xdp_companion import XdpCompanion

if TYPE_CHECKING:
    from jobs.launch.companion import Companion, Plan, Seen, State

COMPANIONS: Final[tuple[Companion, ...]] = (
    AlertsCompanion(),
    GatewayCompanion(),
    HistoryCompanion(),
    IdentityCompanion(),
    InferenceCompanion(),
    ObserverCompanion(),
    PaymentWatchers(),
    TwinCompanion(),
    XdpCompanion(),
)


def wanted(plan: Plan, *, minimal: bool) -> tuple[Companion, ...]:
    """The companions that a session is to have."""
    return () if minimal else tuple(each for each in COMPANIONS if each.wanted(plan))


def prepared(plan: Plan, chosen: tuple[Companion, ...]) -> Plan:
    """The plan after every chosen companion has checked and completed it.

    Raises:
        ConfigurationError: a setting of one of them cannot be used.
    """
    for companion in chosen:
        plan = companion.prepare(plan)
    return plan


def states(seen: Seen) -> tuple[State, ...]:
    """How all companions are, those that are off included."""
    return tuple(state for companion in COMPANIONS for state in companion.states(seen))
