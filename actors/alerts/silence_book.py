"""Silences: what a person does not want to be told for a while, on disk."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import sqlalchemy as sa

from actors.alerts import records, schema
from actors.alerts.contract import LONGEST_SILENCE_S, MOST_SILENCES, Silence
from actors.alerts.errors import UnknownSilence
from actors.runtime import log
from actors.runtime.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from actors.alerts.contract import SilenceRequest
    from actors.runtime.database import Database

_log = log.get(__name__)


class SilenceBook:
    """The silences that last or are to begin.

    Args:
        database: a database with the tables of `schema`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, request: SilenceRequest, now: float) -> Silence:
        """Keep a silence.

        Raises:
            InvalidInput: it cannot be meant.
            Conflict: there are too many.
        """
        _check(request, now)
        silence = Silence(secrets.token_hex(4), request)
        with self._database.writing() as connection:
            if len(lasting(connection, now)) >= MOST_SILENCES:
                raise Conflict(
                    "no further silence is kept",
                    f"there are {MOST_SILENCES} already",
                    "End some of them, or silence more with one.",
                )
            connection.execute(
                schema.silences.insert().values(
                    id=silence.id,
                    ends_ms=schema.ms(request.ends),
                    body=records.silence_text(silence),
                )
            )
        return silence

    def end(self, id_: str, now: float) -> Silence:
        """End a silence; all open threads are decided about anew.

        Raises:
            UnknownSilence: there is none of this id.
        """
        with self._database.writing() as connection:
            for silence in lasting(connection, now):
                if silence.id == id_:
                    connection.execute(schema.silences.delete().where(schema.silences.c.id == id_))
                    threads = schema.threads
                    still_open = sa.not_(threads.c.closed)
                    due = threads.update().where(still_open).values(due_ms=schema.ms(now))
                    connection.execute(due)
                    return silence
        raise UnknownSilence(id_)

    def all(self, now: float) -> tuple[Silence, ...]:
        """Those that last or are to begin, by their start."""
        with self._database.reading() as connection:
            found = lasting(connection, now)
        return tuple(sorted(found, key=lambda each: each.request.starts))


def lasting(connection: Connection, now: float) -> list[Silence]:
    """The silences whose end is to come."""
    found: list[Silence] = []
    asked = sa.select(schema.silences).where(schema.silences.c.ends_ms > schema.ms(now))
    for row in connection.execute(asked).all():
        try:
            found.append(records.silence_of(row.body))
        except ValueError as error:
            _log.error("a damaged silence is left out", id=row.id, why=str(error)[:200])
    return found


def _check(request: SilenceRequest, now: float) -> None:
    """Refuse a silence that cannot be meant.

    Raises:
        InvalidInput: it ends before it starts or before now, lasts too long, or fits any alert.
    """
    wrong = ""
    if not request.starts < request.ends:
        wrong = "it ends before it starts"
    elif request.ends <= now:
        wrong = "its end has passed"
    elif request.ends - max(request.starts, now) > LONGEST_SILENCE_S:
        wrong = f"it lasts longer than {LONGEST_SILENCE_S / 86_400:.0f} days"
    elif not (request.fingerprint or request.names or request.labels or request.subjects):
        wrong = "it would fit any alert"
    if wrong:
        raise InvalidInput(
            "the silence is refused",
            wrong,
            "Say which alerts it is about, and give an end that is to come.",
            entry="silence",
        )
