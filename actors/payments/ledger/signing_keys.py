"""The fingerprint of the key that a ledger's links and licences are signed with.

The key itself is a file of the state directory (see `tokens`). The ledger notes which one it was,
so that a lost file, or another one on a second host, is an error instead of other licences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from actors.payments.ledger import schema

if TYPE_CHECKING:
    from actors.runtime.database import Database


class SigningKeys:
    """What a ledger knows of the shop's key."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def fingerprint(self) -> str | None:
        """That of the key that was noted; None before the first."""
        with self._database.reading() as connection:
            found: str | None = connection.scalar(sa.select(schema.signing_keys.c.fingerprint))
        return found

    def has_delivered(self) -> bool:
        """Whether anything was delivered, so that somebody holds what a key has signed."""
        table = schema.outbox.c
        delivered = sa.exists().where(table.kind == "delivery", table.status == "done")
        with self._database.reading() as connection:
            return bool(connection.scalar(sa.select(delivered)))

    def note(self, fingerprint: str, now_ms: int) -> str:
        """Note the first key; the one that is noted, as another host may have been first."""
        noted = self.fingerprint()
        if noted is not None:
            return noted
        row = {"id": 1, "fingerprint": fingerprint, "noted_ms": now_ms}
        try:
            with self._database.writing() as connection:
                connection.execute(schema.signing_keys.insert(), row)
        except IntegrityError:
            return self.fingerprint() or fingerprint
        return fingerprint

    def replace(self, fingerprint: str, now_ms: int) -> None:
        """Note another key: whatever the one before has signed is void."""
        with self._database.writing() as connection:
            connection.execute(schema.signing_keys.delete())
            row = {"id": 1, "fingerprint": fingerprint, "noted_ms": now_ms}
            connection.execute(schema.signing_keys.insert(), row)
