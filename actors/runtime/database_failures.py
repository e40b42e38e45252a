"""What a database's error means for whoever has to mend it.

A server that does not answer, or a file that another process holds, passes by itself. A file that
is damaged, that belongs to somebody else, or that has other tables than ours does not: a person has
to act, and repeating it would only hide it. Errors are told apart by their codes: result codes of
SQLite (sqlite.org/rescode.html), SQLSTATE of PostgreSQL (its documentation, appendix A).
"""

from __future__ import annotations

import sqlite3
from enum import Enum
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import OperationalError

if TYPE_CHECKING:
    from sqlalchemy.exc import DBAPIError


class DatabaseFailure(Enum):
    """What is wrong, and what a person may do about it; `{name}` is the variable of the URL."""

    AWAY = "Nothing is lost: what was not committed is read again."
    DAMAGED = "Restore it from a copy, or set {name} to another database."
    FORBIDDEN = "Give it to the user that runs this, or set {name} to another database."
    FOREIGN = "Set {name} to a database of its own, or restore this one from a copy."
    UNREACHABLE = "Correct {name}."


_SQLITE: Final = {
    "SQLITE_BUSY": DatabaseFailure.AWAY,
    "SQLITE_LOCKED": DatabaseFailure.AWAY,
    "SQLITE_PROTOCOL": DatabaseFailure.AWAY,
    "SQLITE_SCHEMA": DatabaseFailure.AWAY,
    "SQLITE_INTERRUPT": DatabaseFailure.AWAY,
    "SQLITE_NOMEM": DatabaseFailure.AWAY,
    "SQLITE_FULL": DatabaseFailure.AWAY,
    "SQLITE_IOERR": DatabaseFailure.AWAY,
    "SQLITE_CORRUPT": DatabaseFailure.DAMAGED,
    "SQLITE_NOTADB": DatabaseFailure.DAMAGED,
    "SQLITE_FORMAT": DatabaseFailure.DAMAGED,
    "SQLITE_READONLY": DatabaseFailure.FORBIDDEN,
    "SQLITE_PERM": DatabaseFailure.FORBIDDEN,
    "SQLITE_AUTH": DatabaseFailure.FORBIDDEN,
    "SQLITE_CANTOPEN": DatabaseFailure.FORBIDDEN,
    # What is wrong with a statement. Ours are right, so the tables are not those they speak of.
    "SQLITE_ERROR": DatabaseFailure.FOREIGN,
}
_POSTGRESQL: Final = {
    "XX001": DatabaseFailure.DAMAGED,
    "XX002": DatabaseFailure.DAMAGED,
    "42501": DatabaseFailure.FORBIDDEN,
    "42P01": DatabaseFailure.FOREIGN,  # no such table
    "42P07": DatabaseFailure.FOREIGN,  # there is such a table
    "42703": DatabaseFailure.FOREIGN,  # no such column
    "42701": DatabaseFailure.FOREIGN,  # there is such a column
    "42704": DatabaseFailure.FOREIGN,  # no such type, index or constraint
    "42710": DatabaseFailure.FOREIGN,  # there is such an index or constraint
}
_POSTGRESQL_CLASSES: Final = {
    "28": DatabaseFailure.UNREACHABLE,  # who we say we are is refused
    "3D": DatabaseFailure.UNREACHABLE,  # no such database
    "3F": DatabaseFailure.UNREACHABLE,  # no such schema
}
_REFUSED: Final = ("authentication", "does not exist")  # of a connection, which has no SQLSTATE


def failure(error: DBAPIError) -> DatabaseFailure | None:
    """What `error` says of the database; None if it speaks of the statement alone."""
    if isinstance(error.orig, sqlite3.Error):
        return _of_sqlite(error.orig, is_operational=_is_operational(error))
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        found = _POSTGRESQL.get(state) or _POSTGRESQL_CLASSES.get(state[:2])
        return found or (DatabaseFailure.AWAY if _is_operational(error) else None)
    if any(words in str(error.orig) for words in _REFUSED):
        return DatabaseFailure.UNREACHABLE
    return DatabaseFailure.AWAY if _is_operational(error) else None


def _of_sqlite(error: sqlite3.Error, *, is_operational: bool) -> DatabaseFailure | None:
    name = getattr(error, "sqlite_errorname", "")
    for code, meaning in _SQLITE.items():
        if name == code or name.startswith(f"{code}_"):  # an extended code
            return meaning
    # Text that is no UTF-8 has no code: Python finds it, when a row is read.
    return DatabaseFailure.DAMAGED if is_operational else None


def _is_operational(error: DBAPIError) -> bool:
    return isinstance(error, OperationalError) or error.connection_invalidated
