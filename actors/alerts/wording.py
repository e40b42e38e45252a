"""What people are told: a notice in words, for each channel within what it takes.

Rules: what is told passes unchanged, but for characters that cannot be shown or that services
drop, which are shown by their code (`visible`); a list that is too long ends with "and 187 more";
the shorter form of a message says how much it leaves out. All is pure.
"""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from actors.alerts.catalogue import CATALOGUE, severity_of
from actors.alerts.notice import Change
from actors.runtime.rich_text import Part, RichText, bold, units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo

    from actors.alerts.notice import Notice
    from actors.runtime.alerting import Alert

MAX_TITLE: Final = 1024  # characters of a summary that PagerDuty takes
MAX_TELEGRAM: Final = 4096  # UTF-16 units of a message, without its marks
MAX_EMAIL: Final = 200_000  # UTF-16 units
MAX_LISTED: Final = 10_000  # entries of one list, in the longest form
_SUMMARY: Final = 1_000  # UTF-16 units of a summary that are told
_SENTENCE: Final = 600  # UTF-16 units of any other sentence or name that are told
_AGAIN: Final = "Sent again: "
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
# Control characters, line and paragraph separators, bidi embeddings and isolates (Unicode TR 36,
# section 2.5: they make a line read as another), halves of surrogate pairs, and the three combining
# lines that Telegram drops (td/telegram/misc.cpp).
_UNSHOWN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u030a\u0333\u033f\u2028-\u202e\u2066-\u2069\ufffe\uffff\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads it.

    Attributes:
        zone: time zone of the reader; None for that of this machine.
        links: URL that links to evidence begin with, without a slash at its end; "": none.
    """

    zone: tzinfo | None = None
    links: str = ""

    def moment(self, at: float) -> str:
        """A Unix time, s, as the reader's clock shows it: "29 Nov 2026 14:03:21 CET (+01:00)"."""
        try:
            then = datetime.fromtimestamp(at, UTC).astimezone(self.zone)
        except (OverflowError, OSError, ValueError):
            return f"Unix time {at:g}"
        day = f"{_DAYS[then.weekday()]} {then.day} {_MONTHS[then.month - 1]} {then.year}"
        name, offset = then.strftime("%Z"), then.isoformat()[-6:]
        shown = f"{name} ({offset})" if name.isalpha() else f"UTC{offset}"
        return f"{day} {then:%H:%M:%S} {'UTC' if name == 'UTC' else shown}"

    def link(self, link: str) -> str:
        """The URL of evidence, if a path or URL leads there from where the reader is; else ""."""
        link = visible(link)
        if link.startswith("/"):
            return f"{self.links.rstrip('/')}{link}" if self.links else ""
        return link if link.startswith(("https://", "http://")) else ""


def visible(text: str) -> str:
    r"""`text` in one line, with what cannot be shown shown by its code, such as `\u001b`."""
    return _UNSHOWN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def lasting(seconds: float) -> str:
    """A length of time in the two largest units that it has, such as "2 h 5 min"."""
    if not math.isfinite(seconds):
        return "an unknown time"
    left = max(0, round(seconds))
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "less than a second"


def title(notice: Notice, most: int = MAX_TITLE, *, again: bool = False) -> str:
    """What a notice says in one line of at most `most` UTF-16 units.

    Args:
        notice: the notice.
        most: UTF-16 units, at least 200.
        again: say that it has been sent before.
    """
    worst = notice.alerts[0]
    more = len(notice.alerts) - 1
    tail = f" (and {more} more)" if more else ""
    head = _AGAIN if again else ""
    told = RichText((Part(f"{head}{_tag(notice)}: {summary(worst)}"),)).cut(most - units(tail))
    return told.plain() + tail


def summary(alert: Alert) -> str:
    """What an alert says in one line."""
    return _sentence(alert.summary, _SUMMARY)


def message(
    notice: Notice, reader: Reader, most: int = MAX_TELEGRAM, *, again: bool = False
) -> RichText:
    """All that a notice says: title, since when, what has changed, cause, whom, what to do, link.

    Args:
        notice: the notice.
        reader: who reads it.
        most: UTF-16 units of its text, at least 1,000.
        again: say that it has been sent before.
    """
    lines = _lines(notice, reader)
    head = RichText((bold(title(notice, again=again)),))

    def shown(entries: int) -> RichText:
        return _joined(head, (line.shown(entries) for line in lines))

    return _longest(shown, max((len(line.entries) for line in lines), default=0), most).cut(most)


def escaped_message(notice: Notice, reader: Reader, most: int) -> str:
    """The text of `message`, of at most `most` characters also once a template has escaped it.

    Alertmanager cuts what its template has made at 4,096 characters, also within an entity.
    """
    limit = most
    while True:
        text = message(notice, reader, limit).plain()
        if len(html.escape(text)) <= most or limit <= most // 6:
            return text
        limit -= most // 6


# -- the lines of a message ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """A line, or a list of entries after a lead.

    Attributes:
        lead: stands out.
        text: follows it.
        entries: follow that, between `between`.
        beyond: how many more entries there are.
    """

    lead: str
    text: str = ""
    entries: tuple[str, ...] = ()
    between: str = ", "
    beyond: int = 0

    def shown(self, most: int) -> RichText:
        """The line with at most `most` entries."""
        kept = self.entries if len(self.entries) <= most else self.entries[:most]
        left = len(self.entries) - len(kept) + self.beyond
        more = f"{' ' if self.between == ', ' else self.between}and {left:,} more" if left else ""
        lead = bold(self.lead)
        return RichText((lead, Part(self.text + self.between.join(kept) + more)))


def _lines(notice: Notice, reader: Reader) -> list[_Line]:
    worst, *others = notice.alerts
    over = notice.change is Change.RESOLVED
    return [
        _when(notice, reader),
        *_changes(notice),
        *_about(worst, reader, over=over),
        *_others(others),
    ]


def _when(notice: Notice, reader: Reader) -> _Line:
    started = min(one.started for one in notice.alerts)
    if notice.change is Change.RESOLVED:
        ended = _ended(notice)
        span = f"{reader.moment(started)} to {reader.moment(ended)}"
        return _Line("Lasted: ", f"{span}, {lasting(ended - started)}")
    if notice.alerts[0].momentary:
        return _Line("At ", reader.moment(notice.alerts[0].started))
    return _Line("Since ", f"{reader.moment(started)}, for {lasting(notice.at - started)} so far")


def _about(alert: Alert, reader: Reader, *, over: bool) -> Iterator[_Line]:
    """What is known of an alert beside its summary; empty lines are left out."""
    entry = CATALOGUE[alert.name]
    yield _Line("What it means: ", entry.meaning)
    if alert.probable_cause:
        yield _Line("Probable cause: ", _sentence(alert.probable_cause))
    if alert.subjects:
        count = len(alert.subjects)
        lead = f"Concerned ({count:,}): " if count > 1 else "Concerned: "
        yield _listed(lead, alert.subjects)
    if alert.details:
        yield _listed("", alert.details, "\n")
    if not over:
        yield _Line("What to do: ", entry.remedy)
    link = reader.link(alert.link)
    if link:
        yield _Line("Evidence: ", link)
    elif alert.link:
        yield _Line("Evidence: ", _sentence(alert.link))


def _others(alerts: Sequence[Alert]) -> Iterator[_Line]:
    if alerts:
        told = tuple(
            f"- {severity_of(one.name, one.severity).capitalize()}: {_sentence(one.summary)}"
            + (" (over)" if one.ended is not None else "")
            for one in alerts[:MAX_LISTED]
        )
        yield _Line("Of the same incident:\n", entries=told, between="\n")


def _changes(notice: Notice) -> Iterator[_Line]:
    """What has changed since the thread was told last, where that is known."""
    if notice.change is not Change.CHANGED or not notice.before:
        return
    before = {(one.name, one.key): one for one in notice.before}
    told = [
        words for one in notice.alerts for words in _changed(before.get((one.name, one.key)), one)
    ]
    if told:
        yield _Line("What changed:\n", entries=tuple(told[:MAX_LISTED]), between="\n")


def _changed(before: Alert | None, now: Alert) -> Iterator[str]:
    """What is new of an alert, in sentences."""
    summary = _sentence(now.summary)
    if before is None:
        yield f"- New: {summary}"
        return
    if now.ended is not None and before.ended is None:
        yield f"- Over after {lasting(now.ended - now.started)}: {summary}"
        return
    was, is_now = (severity_of(one.name, one.severity) for one in (before, now))
    if was != is_now:
        yield f"- Now {is_now}, was {was}: {summary}"
    if before.summary != now.summary:
        yield f"- Now: {summary}\n  Before: {_sentence(before.summary)}"
    if before.probable_cause != now.probable_cause and now.probable_cause:
        yield f"- Probable cause found: {_sentence(now.probable_cause)}"
    yield from _subjects_changed(before.subjects, now.subjects)


def _subjects_changed(before: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    for lead, some, others in (
        ("Concerned too", now, before),
        ("No longer concerned", before, now),
    ):
        known = set(others)
        names = tuple(one for one in some if one not in known)
        if names:
            yield _listed(f"- {lead}: ", names).shown(10).plain()


# -- words ---------------------------------------------------------------------------------------


def _tag(notice: Notice) -> str:
    """How a title begins."""
    if notice.change is Change.RESOLVED:
        started = min(one.started for one in notice.alerts)
        return f"Over after {lasting(_ended(notice) - started)}"
    severity = notice.severity.capitalize()
    return f"{severity}, changed" if notice.change is Change.CHANGED else severity


def _ended(notice: Notice) -> float:
    return max((one.ended for one in notice.alerts if one.ended is not None), default=notice.at)


def _sentence(text: str, most: int = _SENTENCE) -> str:
    return RichText((Part(visible(text)),)).cut(most).plain()


def _listed(lead: str, entries: Sequence[str], between: str = ", ") -> _Line:
    shown = tuple(_sentence(one) for one in entries[:MAX_LISTED])
    return _Line(lead, "", shown, between, max(0, len(entries) - MAX_LISTED))


def _joined(head: RichText, lines: Iterator[RichText]) -> RichText:
    found = head
    for line in lines:
        found = found + RichText((Part("\n"),)) + line
    return found


def _longest(shown: Callable[[int], RichText], entries: int, most: int) -> RichText:
    """The form with the most entries that has at most `most` UTF-16 units; else that with one."""
    low, high = 1, max(1, entries)
    while low < high:
        middle = (low + high + 1) // 2
        if units(shown(middle).plain()) <= most:
            low = middle
        else:
            high = middle - 1
    return shown(low)
