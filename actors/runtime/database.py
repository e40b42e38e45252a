"""The project's database: SQLite in a file, or PostgreSQL. Each kind of actor has its own tables.

Synchronous on purpose, and called from threads: a transaction is then one straight function without
an `await` in it, so no cancellation can leave it half done, and actors, commands and tests run the
same code.

Invariants: a writing transaction is serial to all others that write on SQLite (BEGIN IMMEDIATE),
and on PostgreSQL takes the row locks of what it decides on (READ COMMITTED, SELECT FOR UPDATE); a
commit on SQLite survives a power cut (WAL, synchronous=FULL); no error repeats the URL's password.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DBAPIError

from actors.runtime.database_failures import DatabaseFailure, failure
from actors.runtime.database_settings import VARIABLE
from actors.runtime.errors import ConfigurationError, Conflict, Unavailable
from actors.runtime.migrations import Tables, upgrade
from actors.runtime.state_files import ensure_directory, exclusive_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr
    from sqlalchemy.engine import Connection, Engine

BUSY_S: Final = 30.0  # how long a writer waits for another one
_LOCKS: Final = 0x7830  # first number of the project's advisory locks
_POLL_S: Final = 0.1
_WRITES: Final = "x0_writes"  # execution option of a writing transaction
_VERBS: Final = {DatabaseFailure.DAMAGED: "read", DatabaseFailure.FOREIGN: "used"}


class Database:
    """An open database, in which the tables of one kind of actor are up to date.

    Args:
        url: URL for SQLAlchemy.
        tables: the tables that are used in it.
        pool_size: most connections to a server.

    Raises:
        ConfigurationError: it cannot be opened.
        Unavailable: the server does not answer.
    """

    def __init__(self, url: SecretStr, tables: Tables, *, pool_size: int = 5) -> None:
        self._of = tables.of
        parsed = _parsed(url)
        is_file = parsed.get_backend_name() == "sqlite"
        self._where = f"{parsed.database}: " if is_file else ""  # a URL holds secrets
        with self._explained():
            try:
                self._engine = _engine(parsed, pool_size)
                upgrade(self._engine, tables)
            except DBAPIError as error:
                if failure(error) is None:  # it refuses even to be asked what it holds
                    why = self._where + _reason(error)
                    raise self._refused(DatabaseFailure.FOREIGN, why) from None
                raise
            except OSError as error:
                raise self._forbidden(error) from None

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file, of which one writes at a time."""
        return self._engine.dialect.name == "sqlite"

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._explained(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block, or rolled back by an error."""
        with self._explained(), self._engine.connect() as connection:
            marked = connection.execution_options(**{_WRITES: True})
            with marked.begin():
                yield marked

    @contextlib.contextmanager
    def alone(self, name: str, *, timeout_s: float) -> Iterator[None]:
        """Be the only one of all processes on this database that does `name`, for the block.

        The lock dies with its holder (flock, or a session of PostgreSQL). It spares requests to
        others' servers; the data are right without it.

        Raises:
            Conflict: another does it, still after `timeout_s` seconds.
        """
        if self.is_sqlite:
            path = Path(f"{self._engine.url.database}.{name}.lock")
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(exclusive_lock(path, timeout_s=timeout_s))
                except OSError as error:
                    raise self._forbidden(error) from None
                yield
            return
        number = sa.cast(zlib.crc32(name.encode()) - 2**31, sa.Integer)
        deadline = time.monotonic() + timeout_s
        with self._explained(), self._engine.connect() as connection:
            session = connection.execution_options(isolation_level="AUTOCOMMIT")
            asked = sa.select(sa.func.pg_try_advisory_lock(_LOCKS, number))
            while not session.scalar(asked):
                if time.monotonic() >= deadline:
                    raise Conflict(
                        f"{name} is under way",
                        "another process on this database does it",
                        "Wait until it is done.",
                    )
                time.sleep(_POLL_S)
            try:
                yield
            finally:
                session.execute(sa.select(sa.func.pg_advisory_unlock(_LOCKS, number)))

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # Python's, of SQLite's words about a damaged file
            raise self._refused(DatabaseFailure.DAMAGED, f"{self._where}{error}") from None
        except DBAPIError as error:
            kind = failure(error)
            if kind is None:
                raise
            if kind is not DatabaseFailure.AWAY:
                raise self._refused(kind, self._where + _reason(error)) from None
            raise Unavailable(
                f"the {self._of}'s database does not answer",
                _reason(error),
                kind.value,
                retry_after_s=5.0,
            ) from None

    def _refused(self, kind: DatabaseFailure, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"the {self._of}'s database cannot be {_VERBS.get(kind, 'opened')}",
            why,
            kind.value.format(name=VARIABLE),
            variable=VARIABLE,
        )

    def _forbidden(self, error: OSError) -> ConfigurationError:
        return self._refused(DatabaseFailure.FORBIDDEN, f"{error.strerror}: {error.filename}")


def now_ms() -> int:
    """The time, ms since the Unix epoch."""
    return time.time_ns() // 1_000_000


def _engine(parsed: sa.URL, pool_size: int) -> Engine:
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(
            parsed,
            pool_size=pool_size,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": 10},
        )
    path = Path(parsed.database or "")
    ensure_directory(path.parent)
    path.touch(mode=0o600, exist_ok=True)  # payments name buyers: readable by its owner only
    engine = sa.create_engine(parsed, hide_parameters=True, connect_args={"timeout": BUSY_S})
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    # Switching a new file to WAL does not wait for other processes, so a lock makes it.
    with exclusive_lock(Path(f"{path}.open.lock"), timeout_s=BUSY_S), engine.connect():
        return engine


def _parsed(url: SecretStr) -> sa.URL:
    try:
        parsed = sa.make_url(url.get_secret_value())
    except (ArgumentError, ValueError):  # their texts may repeat the password
        parsed = None
    # An @ in a password makes its rest a part of the host, which errors would show.
    if parsed is None or "@" in (parsed.host or ""):
        raise ConfigurationError(
            f"{VARIABLE} is a value that is not shown",
            "it is no URL of a database",
            "Write @, : and / in a password as %40, %3A and %2F.",
            variable=VARIABLE,
        )
    return parsed


def _configure(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI's own
    # Without it, one text that is damaged would make all rows beside it unreadable.
    connection.text_factory = _text
    connection.isolation_level = None  # transactions begin as `_begin` says, not as sqlite3 guesses
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _reason(error: DBAPIError) -> str:
    return (str(error.orig).splitlines() or ["no reason given"])[0]
