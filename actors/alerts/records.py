"""Threads, notices and silences as JSON, checked when they are read."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, TypeVar

from actors.alerts.alert_thread import Acknowledgement, AlertThread, RaisedAlert, Told
from actors.alerts.contract import Silence, SilenceRequest
from actors.alerts.notice import Change, Notice
from actors.runtime import alert_record
from actors.runtime.alerting import AlertName, AlertSeverity

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def thread_text(thread: AlertThread) -> str:
    """A thread as JSON."""
    told, acknowledged = thread.told, thread.acknowledged
    return json.dumps(
        {
            "name": thread.name,
            "episode": thread.episode,
            "opened": thread.opened,
            "faults": [
                {
                    "alert": alert_record.as_dict(each.alert),
                    "raised": each.raised,
                    "last": each.last,
                }
                for each in thread.faults.values()
            ],
            "told": told
            and {"at": told.at, "severity": told.severity.value, "faults": dict(told.faults)},
            "notices": thread.notices,
            "more": thread.more,
            "closed": thread.closed,
            "acknowledged": acknowledged and {"by": acknowledged.by, "at": acknowledged.at},
        }
    )


def thread_of(text: str) -> AlertThread:
    """The thread of a record.

    Raises:
        ValueError: it is damaged.
    """
    return _checked(text, _thread)


def _thread(record: dict[str, Any]) -> AlertThread:
    faults = [
        RaisedAlert(alert_record.of_dict(each["alert"]), int(each["raised"]), _time(each["last"]))
        for each in record["faults"]
    ]
    told = record["told"]
    acknowledged = record.get("acknowledged")  # earlier versions did not write it
    return AlertThread(
        str(record["name"]),
        str(record["episode"]),
        _time(record["opened"]),
        {fault.fingerprint: fault for fault in faults},
        told
        and Told(
            _time(told["at"]),
            AlertSeverity(told["severity"]),
            {key: (str(text), over is True) for key, (text, over) in told["faults"].items()},
        ),
        int(record["notices"]),
        int(record["more"]),
        record["closed"] is True,
        acknowledged and Acknowledgement(str(acknowledged["by"]), _time(acknowledged["at"])),
    )


def notice_text(notice: Notice) -> str:
    """A notice as JSON."""
    return json.dumps(
        {
            "id": notice.id,
            "thread": notice.thread,
            "change": notice.change.value,
            "severity": notice.severity.value,
            "alerts": [alert_record.as_dict(each) for each in notice.alerts],
            "at": notice.at,
        }
    )


def notice_of(text: str, *, repeated: bool) -> Notice:
    """The notice of a record.

    Raises:
        ValueError: it is damaged.
    """

    def made(record: dict[str, Any]) -> Notice:
        return Notice(
            str(record["id"]),
            str(record["thread"]),
            Change(record["change"]),
            AlertSeverity(record["severity"]),
            tuple(alert_record.of_dict(each) for each in record["alerts"]),
            _time(record["at"]),
            repeated,
        )

    return _checked(text, made)


def silence_text(silence: Silence) -> str:
    """A silence as JSON."""
    request = silence.request
    return json.dumps(
        {
            "id": silence.id,
            "starts": request.starts,
            "ends": request.ends,
            "comment": request.comment,
            "by": request.by,
            "fingerprint": request.fingerprint,
            "names": sorted(request.names),
            "labels": dict(request.labels),
            "subjects": sorted(request.subjects),
        }
    )


def silence_of(text: str) -> Silence:
    """The silence of a record.

    Raises:
        ValueError: it is damaged.
    """

    def made(record: dict[str, Any]) -> Silence:
        request = SilenceRequest(
            _time(record["starts"]),
            _time(record["ends"]),
            str(record["comment"]),
            str(record["by"]),
            str(record["fingerprint"]),
            frozenset(map(AlertName, record["names"])),
            {str(name): str(value) for name, value in record["labels"].items()},
            frozenset(map(str, record["subjects"])),
        )
        return Silence(str(record["id"]), request)

    return _checked(text, made)


def _checked(text: str, make: Callable[[dict[str, Any]], T]) -> T:
    try:
        return make(json.loads(text))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"a damaged record: {error!r}") from error


def _time(value: object) -> float:
    at = float(value)  # type: ignore[arg-type]  # whatever is no number raises
    if not math.isfinite(at):
        raise ValueError("a time is no number")
    return at
