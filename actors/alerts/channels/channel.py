"""What each way of telling people has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.alerts.notice import Notice


class Channel(Protocol):
    """One way of telling people. Its methods may hang or raise anything: who calls sets deadlines.

    Attributes:
        name: `alertmanager`, `telegram`, `pagerduty`, `email` or `webhook`; a metric label.
        most: most notices of one call of `deliver`. More than 1 only where one request carries
            them all, so that all arrive or none.
        pause_s: least time between two deliveries, s, as the service demands.
        deadline_s: longest time that a delivery takes, s.
    """

    name: str
    most: int
    pause_s: float
    deadline_s: float

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        """Tell `notices`, in their order; returns when the service has taken them.

        Returns:
            A receipt for each; later notices of a thread carry that of its first
            (`Notice.receipt`), so that they can answer it. "" where a service gives none.

        Raises:
            ChannelUnavailable: nothing has arrived; to be tried again.
            FateUnknown: it is not known whether they have arrived; to be tried again.
            ChannelRefused: the service does not take them as they are; not to be tried again.
        """
        ...

    async def check(self) -> None:
        """Ask whether the service could take a notice now, without telling anybody anything.

        A channel that cannot ask returns at once: its deliveries alone then say how it is.

        Raises:
            ChannelUnavailable: it could not.
            ChannelRefused: it will not, such as for a wrong token.
        """
        ...

    async def close(self) -> None:
        """Close connections. Called once, after the last delivery."""
        ...
