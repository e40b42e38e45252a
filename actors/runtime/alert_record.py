"""Alerts as JSON: in spools, in databases, between programs.

What is written is bounded, so that one alert cannot fill a disk; what is read is checked, so that
one damaged record costs one record.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from actors.runtime.alerting import Alert, AlertName, AlertSeverity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MOST_KEY: Final = 255  # characters, as PagerDuty takes for a dedup_key
MOST_TEXT: Final = 1_000  # characters of a sentence
MOST_LINES: Final = 50  # details
MOST_SUBJECTS: Final = 500
MOST_NAME: Final = 255  # characters of a subject, or of the name or the value of a label
MOST_LABELS: Final = 32
_LATEST: Final = 253_402_300_799.0  # the end of the year 9999, as far as RFC 3339 can tell time
_SURROGATES: Final = re.compile("[\ud800-\udfff\0]")


def as_dict(alert: Alert) -> dict[str, Any]:
    """The alert, with what is too long cut."""
    return {
        "name": alert.name.value,
        "key": _text(alert.key, MOST_KEY),
        "summary": _text(alert.summary, MOST_TEXT),
        "started": _moment(alert.started),
        "ended": None if alert.ended is None else _moment(alert.ended),
        "severity": None if alert.severity is None else alert.severity.value,
        "labels": {
            _text(name, MOST_NAME): _text(value, MOST_NAME)
            for name, value in list(alert.labels.items())[:MOST_LABELS]
        },
        "thread": _text(alert.thread, MOST_KEY),
        "probable_cause": _text(alert.probable_cause, MOST_TEXT),
        "details": _texts(alert.details, MOST_LINES, MOST_TEXT),
        "subjects": _texts(alert.subjects, MOST_SUBJECTS, MOST_NAME),
        "link": _text(alert.link, MOST_TEXT),
        "momentary": bool(alert.momentary),
    }


def of_dict(record: object) -> Alert:
    """The alert of a record.

    Raises:
        ValueError: it is no record of an alert.
    """
    if not isinstance(record, dict):
        raise ValueError("no alert: it is no object")  # noqa: TRY004 - as the others
    try:
        ended, severity = record.get("ended"), record.get("severity")
        return Alert(
            AlertName(record["name"]),
            _is_text(record["key"]),
            _is_text(record["summary"]),
            _moment(record["started"]),
            ended=None if ended is None else _moment(ended),
            severity=None if severity is None else AlertSeverity(severity),
            labels=_are_labels(record.get("labels", {})),
            thread=_is_text(record.get("thread", "")),
            probable_cause=_is_text(record.get("probable_cause", "")),
            details=_are_texts(record.get("details", ())),
            subjects=_are_texts(record.get("subjects", ())),
            link=_is_text(record.get("link", "")),
            momentary=record.get("momentary") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no alert: {error!r}") from error


def _text(value: object, most: int) -> str:
    """Text that UTF-8, JSON and every database takes, of `most` characters."""
    text = _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", str(value))
    return text if len(text) <= most else text[: most - 1] + "…"


def _texts(values: Iterable[object], most: int, each: int) -> list[str]:
    return [_text(value, each) for value in list(values)[:most]]


def _moment(value: object) -> float:
    at = float(value)  # type: ignore[arg-type]  # whatever is no number raises
    if not math.isfinite(at):
        raise ValueError("a time is no number")
    return min(max(at, 0.0), _LATEST)


def _is_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text is none")
    return value


def _are_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError("a list is none")
    return tuple(map(_is_text, value))


def _are_labels(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict):
        raise TypeError("labels are no object")
    return {_is_text(name): _is_text(each) for name, each in value.items()}
