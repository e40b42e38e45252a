"""Makes the channels that are configured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.alerts.channels.channel import Channel
    from actors.alerts.channels.options import ChannelOptions


@dataclass(frozen=True, slots=True)
class Configured:
    """The channels that are configured.

    Attributes:
        alertmanager: the normal path; None: it is not configured.
        direct: the others, which are used when Alertmanager is not configured or not reached.
    """

    alertmanager: Channel | None
    direct: tuple[Channel, ...]


def configured(_options: ChannelOptions) -> Configured:
    """Make the channels. Nothing is asked or opened yet; called in a running loop."""
    return Configured(None, ())
