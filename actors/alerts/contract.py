"""What others may know of the alerts' actor: its name, its options, its answers, its methods."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

from actors.alerts.channels.options import ChannelOptions
from actors.alerts.settings import LINKS_SHARE
from actors.runtime.actor_health import ActorContract
from actors.runtime.alert_spool import TAKER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from actors.runtime.alert_spool import SpooledAlert
    from actors.runtime.alerting import Alert, AlertName
    from actors.topology.events import RecordedEvents

ALERTS: Final = TAKER
TIMEOUT_S: Final = 5.0  # for an answer
TEST_TIMEOUT_S: Final = 60.0  # for that of `test`, which waits for each channel
MOST_LISTED: Final = 1_000  # most alerts of one answer
MOST_SILENCES: Final = 1_000  # most silences that last or are to begin
LONGEST_SILENCE_S: Final = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class AlertsOptions:
    """What the actor is started with.

    Attributes:
        directory: where it keeps its database, and where processes spool what they raise.
        channels: whom it tells.
        quiet_hours: hours in which only errors are told, "22:00-07:00 Europe/Berlin"; "": none.
        log_level: least severe line to log.
        namespace: whose spools it adopts.
        events: what happens in networks; None: nobody tells.
        links_share: share of a network's links that is told when it is down at once.
        change_s: least time between two notices about one thread, s, unless it gets worse or ends.
        repost_s: time after which Alertmanager is told again of what lasts, s; it forgets what it
            has not been told of for five minutes.
        keep_s: how long alerts that are over are kept, s.
    """

    directory: Path
    channels: ChannelOptions = field(default_factory=ChannelOptions)
    quiet_hours: str = ""
    log_level: str = "INFO"
    namespace: str = "x0"
    events: RecordedEvents | None = None
    links_share: float = LINKS_SHARE
    change_s: float = 60.0
    repost_s: float = 60.0
    keep_s: float = 30 * 86_400.0


class AlertState(StrEnum):
    """What has become of an alert."""

    ACTIVE = "active"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class AlertStatus:
    """An alert, and who has been told of it.

    Attributes:
        fingerprint: tells it from all others, while it lasts: of its name and its key.
        thread: the incident that it belongs to.
        alert: as it was raised last; it has a severity.
        state: whether it lasts. One that is momentary lasts for a quarter of an hour.
        path: by which way people are told: "alertmanager", "direct", "log", or "" so far by none.
        raised: how often it was raised while it lasted.
        last_raised: Unix time, s.
        told: Unix time when a channel first told of its thread, s; None: nobody was told yet.
        waiting: channels that have not taken all there is to tell of its thread.
        silenced_by: ids of the silences that keep it from being told now.
        acknowledged: Unix time when somebody said that they look after its thread, s; None: nobody.
        acknowledged_by: who; "": nobody.
    """

    fingerprint: str
    thread: str
    alert: Alert
    state: AlertState
    path: str
    raised: int
    last_raised: float
    told: float | None
    waiting: tuple[str, ...] = ()
    silenced_by: tuple[str, ...] = ()
    acknowledged: float | None = None
    acknowledged_by: str = ""


@dataclass(frozen=True, slots=True)
class SilenceRequest:
    """Alerts that are not to be told for a while. One must fit all that is given here.

    Attributes:
        starts, ends: Unix time, s.
        comment: why, for those who read it later.
        by: who wants it.
        fingerprint: this alert; "": any.
        names: kinds of alert; empty: any.
        labels: labels that it has, with these values.
        subjects: what it concerns must all be among these; empty: anything.
    """

    starts: float
    ends: float
    comment: str
    by: str
    fingerprint: str = ""
    names: frozenset[AlertName] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    subjects: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence that lasts, or is to begin.

    Attributes:
        id: its id.
        request: what it silences, and until when.
    """

    id: str
    request: SilenceRequest


class ChannelState(StrEnum):
    """How a channel is, as far as its last use tells."""

    UNTRIED = "untried"  # it has not been used yet, and cannot be asked
    UP = "up"
    DOWN = "down"  # what it is given waits
    REFUSING = "refusing"  # it does not take what it is given: somebody must correct a setting


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """How a channel is.

    Attributes:
        name: of the channel.
        state: as its last use tells.
        why: the reason, unless it is up.
        pending: notices that wait for it.
        oldest: Unix time of the oldest of them, s; None without any.
        delivered: Unix time of its last delivery, s; None before the first one.
        refused: notices that its service did not take and that are given up.
    """

    name: str
    state: ChannelState
    why: str
    pending: int
    oldest: float | None
    delivered: float | None
    refused: int


@dataclass(frozen=True, slots=True)
class TestDelivery:
    """What became of a test on one channel.

    Attributes:
        channel: of the channel.
        delivered: whether its service has taken the notice.
        why: the reason and the remedy, if it has not.
    """

    channel: str
    delivered: bool
    why: str = ""


class AlertsContract(ActorContract, Protocol):
    """The methods of the actor."""

    async def take(self, batch: Sequence[SpooledAlert]) -> int:
        """Take alerts over from a process that raised them; how many are new.

        When it returns, they are on disk. One that is given twice is taken once.
        """
        ...

    async def active(self) -> tuple[AlertStatus, ...]:
        """The alerts that last, the worst first; `MOST_LISTED` at most."""
        ...

    async def recent(self, since: float, most: int = MOST_LISTED) -> tuple[AlertStatus, ...]:
        """The alerts that were raised since a Unix time, s; the newest first, those over included.

        Args:
            since: Unix time, s.
            most: how many at most, 1 to `MOST_LISTED`.

        Raises:
            InvalidInput: `most` is out of range.
        """
        ...

    async def resolve(self, fingerprint: str, by: str) -> AlertStatus:
        """End an alert by a person's word; people are told.

        Args:
            fingerprint: of the alert, or the beginning of it.
            by: who says so.

        Raises:
            UnknownAlert: none that is kept has this fingerprint.
            AlertOver: it is over already.
            InvalidInput: several begin so.
        """
        ...

    async def acknowledge(self, fingerprint: str, by: str) -> AlertStatus:
        """Note that somebody looks after the thread of an alert; PagerDuty alone is told.

        It is told only of threads that it was paged about: not where Alertmanager tells.

        Args:
            fingerprint: of the alert, or the beginning of it.
            by: who looks after it.

        Raises:
            UnknownAlert: none that is kept has this fingerprint.
            AlertOver: it is over.
            AlreadyAcknowledged: somebody has said so before.
            InvalidInput: several begin so.
        """
        ...

    async def silence(self, request: SilenceRequest) -> Silence:
        """Keep alerts from being told for a while. What lasts after it is told then.

        Raises:
            InvalidInput: it ends before it starts or before now, lasts too long, or fits any alert.
            Conflict: there are `MOST_SILENCES`.
        """
        ...

    async def silences(self) -> tuple[Silence, ...]:
        """The silences that last or are to begin, by their start."""
        ...

    async def unsilence(self, silence: str) -> Silence:
        """End a silence.

        Args:
            silence: its id.

        Raises:
            UnknownSilence: there is none of this id.
        """
        ...

    async def test(self, by: str) -> tuple[TestDelivery, ...]:
        """Tell all channels that this is a test, and wait what they say; empty without channels.

        Alertmanager is told as well, although the others are used only when it cannot be reached.
        """
        ...

    async def channels(self) -> tuple[ChannelHealth, ...]:
        """How each channel is; empty if none is configured (alerts are then only logged)."""
        ...
