"""Whom questions about alerts go to: the actor of the running session, by whatever way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from actors.alerts.contract import ALERTS
from jobs.launch import by_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from serve_apps.settings import Settings

T = TypeVar("T")


def asked(settings: Settings, question: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What the actor answers.

    Args:
        settings: where a session may be running.
        question: asks the actor.

    Raises:
        NotRunning: no session runs, or it has no alerts (X0TTA6BL4_ALERTS, X0TTA6BL4_MINIMAL).
        Unavailable: the actor does not answer.
        X0Error: what it raised.
    """
    return by_socket.asked_or_joined(settings, ALERTS, question)
