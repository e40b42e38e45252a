"""Prometheus Alertmanager, API v2 (v1 answers 410 since 0.27): the normal path.

An alert of Alertmanager is its set of labels: posting it again changes it, and tells nobody twice.
Each alert of a thread becomes one, with the labels `thread`, by which they are grouped, and
`source`, by which rules know what the actor tells itself. One whose labels have changed, such as
its severity, is ended under the old ones. After one that has ended, one with the label
`hush="true"` stays for a while: nobody is told of it, and it inhibits the rule of the same name.

One bad alert makes the answer 400 though the valid ones of the request are kept: the bad one is
then found by halves, and told with its bare labels.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final

from actors.alerts.catalogue import severity_of
from actors.alerts.channels.posting import Answered, Poster, encoded, rfc3339, unless_success
from actors.alerts.errors import ChannelRefused, ChannelUnavailable
from actors.alerts.notice import Change, Notice
from actors.alerts.wording import Reader, escaped_message, summary, visible
from actors.runtime import log
from actors.runtime.rich_text import head

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping, Sequence

    from actors.runtime.alerting import Alert

NAME: Final = "alertmanager"
SOURCE: Final = "x0tta6bl4"
MOST: Final = 32  # notices of a request
MOST_ALERTS: Final = 2_048  # alerts of a request: a thread has no more
_DESCRIBED: Final = 10  # alerts of a notice, the worst, that are told with more than their summary
# How long an alert lasts that has no end, and how long rules of the same name are hushed after one
# that has ended: those look back by 5 minutes, and are looked at every minute at most.
HUSH_S: Final = 600.0
# Characters of the escaped words of one alert: Alertmanager cuts what its template has made of a
# whole group at 4,096, also within an entity.
MAX_DESCRIPTION: Final = 2_500
_MAX_LABEL: Final = 1_024  # UTF-16 units of a label's value
_MAX_LABELS: Final = 32
_OWN: Final = frozenset({"alertname", "severity", "source", "thread", "key", "momentary", "hush"})
_FOREIGN: Final = re.compile(r"[^a-zA-Z0-9_]")
_REMEDY: Final = "See the log of Alertmanager; the alert is told without its own labels meanwhile."

_log = log.get(__name__)


class AlertmanagerChannel:
    """Tells Alertmanager.

    Args:
        url: of Alertmanager, as people reach its pages.
        reader: who reads it.
        tls: whom to trust.
    """

    name = NAME
    most = MOST
    pause_s = 0.0
    deadline_s = 2.5  # others tell within 5 s if it does not answer

    def __init__(self, url: str, reader: Reader, tls: ssl.SSLContext) -> None:
        self._url = url.rstrip("/")
        self._reader = reader
        # Shorter than elsewhere: where it does not answer, people are told in another way.
        self._poster = Poster(NAME, tls, connect_s=2.0, answer_s=3.0)

    def __repr__(self) -> str:
        return f"AlertmanagerChannel({self._url!r})"

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        """Tell notices; raises as `Channel.deliver`."""
        now = time.time()
        documents = [one for notice in notices for one in postable(notice, self._reader, now)]
        for start in range(0, len(documents), MOST_ALERTS):
            part = documents[start : start + MOST_ALERTS]
            refused = await self.post(part)
            if refused:
                await self._post_bare([part[at] for at in refused])
        return [""] * len(notices)

    async def post(self, documents: Sequence[Mapping[str, Any]]) -> list[int]:
        """Post alerts of the API; which of them are refused, as positions. The others are kept.

        Raises:
            ChannelUnavailable: Alertmanager cannot be reached, or is not ready.
            ChannelRefused: it takes no alerts at all.
        """
        answered = await self._posted(documents)
        if answered.status not in {400, 422}:
            unless_success(NAME, answered, "Check that it is an Alertmanager of 0.16 or later.")
            return []
        if len(documents) == 1:
            _log.warning("Alertmanager refuses an alert", says=answered.says)
            return [0]
        half = len(documents) // 2
        first = await self.post(documents[:half])
        return first + [half + at for at in await self.post(documents[half:])]

    async def check(self) -> None:
        """Ask whether it is ready; raises as `Channel.check`."""
        answered = await self._poster.ask("GET", f"{self._url}/-/ready")
        if not answered.is_success:
            raise ChannelUnavailable(NAME, f"it is not ready: {answered.says}")

    async def close(self) -> None:
        """Close connections."""
        await self._poster.close()

    async def _posted(self, documents: Sequence[Mapping[str, Any]]) -> Answered:
        return await self._poster.ask(
            "POST",
            f"{self._url}/api/v2/alerts",
            json.dumps(documents, ensure_ascii=False).encode(),
            {"Content-Type": "application/json"},
        )

    async def _post_bare(self, documents: Sequence[Mapping[str, Any]]) -> None:
        for document in documents:
            labels = {name: text for name, text in document["labels"].items() if name in _OWN}
            bare = {**document, "labels": labels}
            bare.pop("generatorURL", None)
            if await self.post([bare]):
                raise ChannelRefused(NAME, f"it refuses the alert {labels}", _REMEDY)


def postable(notice: Notice, reader: Reader, now: float) -> Iterator[dict[str, Any]]:
    """The alerts of the API that a notice becomes at `now` (OpenAPI: `postableAlerts`)."""
    told = [
        _document(notice, alert, reader, now) | _annotations(notice, alert, reader, at)
        for at, alert in enumerate(notice.alerts)
    ]
    yield from told
    yield from _hushes(notice, now)
    kept = [one["labels"] for one in told]
    for alert in notice.before:
        labels = labels_of(notice, alert)
        if alert.ended is None and not alert.momentary and labels not in kept:
            told_anew = f"{summary(alert)} (told anew, with other labels)"
            yield {
                **_times(alert, notice.at),
                "labels": labels,
                "annotations": {"summary": told_anew},
            }


def labels_of(notice: Notice, alert: Alert) -> dict[str, str]:
    """The labels of an alert: its own with the names that Prometheus takes, and those of all."""
    found = {
        "alertname": str(alert.name),
        "severity": str(severity_of(alert.name, alert.severity)),
        "source": SOURCE,
        "thread": _value(notice.thread),
        "key": _value(alert.key),
        "momentary": "true" if alert.momentary else "",
    }
    for name, text in sorted(alert.labels.items())[:_MAX_LABELS]:
        found.setdefault(label_name(name), _value(text))
    return {name: text for name, text in found.items() if text}


def label_name(name: str) -> str:
    """The nearest name of a label: `[a-zA-Z_][a-zA-Z0-9_]*`, of at most 100 characters."""
    found = _FOREIGN.sub("_", name[:100])
    return found if found and not found[0].isdigit() else f"_{found}"[:100]


def _document(notice: Notice, alert: Alert, reader: Reader, now: float) -> dict[str, Any]:
    ended = alert.ended
    if ended is None and notice.change is Change.RESOLVED:
        ended = notice.at
    if ended is None and alert.momentary:
        ended = now + HUSH_S  # what has ended before it is posted, is told nobody
    link = encoded(reader.link(alert.link))
    return {
        **_times(alert, ended),
        "labels": labels_of(notice, alert),
        **({"generatorURL": link} if link else {}),
    }


def _annotations(notice: Notice, alert: Alert, reader: Reader, place: int) -> dict[str, Any]:
    """The words of the alert at a place of a notice."""
    words = {"summary": summary(alert)}
    if place < _DESCRIBED:
        alone = Notice(
            notice.id,
            notice.thread,
            Change.FIRED if alert.ended is None else Change.RESOLVED,
            severity_of(alert.name, alert.severity),
            (alert,),
            notice.at,
        )
        # The first line is the title, which is an annotation of its own.
        told = escaped_message(alone, reader, MAX_DESCRIPTION)
        words["description"] = told.partition("\n")[2]
    return {"annotations": words}


def _hushes(notice: Notice, now: float) -> Iterator[dict[str, Any]]:
    """What keeps quiet the rules that see a fault for some minutes after it has ended."""
    hushed = set()
    over = notice.change is Change.RESOLVED
    for alert in notice.alerts:
        network = _value(alert.labels.get("network", ""))
        if (over or alert.ended is not None) and (alert.name, network) not in hushed:
            hushed.add((alert.name, network))
            labels = {"alertname": str(alert.name), "source": SOURCE, "hush": "true"}
            yield {
                "startsAt": rfc3339(now),
                "endsAt": rfc3339(now + HUSH_S),
                "labels": labels | ({"network": network} if network else {}),
                "annotations": {"summary": "This has ended; rules see it for some minutes yet"},
            }


def _times(alert: Alert, ended: float | None) -> dict[str, Any]:
    """Start and end; the end is never before the start, which Alertmanager refuses."""
    times = {"startsAt": rfc3339(alert.started)}
    return times if ended is None else times | {"endsAt": rfc3339(max(ended, alert.started))}


def _value(text: str) -> str:
    return head(visible(text), _MAX_LABEL)
