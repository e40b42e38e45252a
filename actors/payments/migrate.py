"""Brings a database to the newest tables, by the Alembic migrations of this package.

Several processes may do so at once: one migrates and the others wait for it (a transaction that
writes on SQLite, an advisory lock on PostgreSQL).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_LOCK: Final = 0x78307061  # a number of our own among advisory locks


def upgrade(engine: Engine) -> None:
    """Apply the migrations that `engine`'s database lacks."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if _revision(connection) == head:
            return
    with engine.connect() as connection:
        marked = connection.execution_options(x0_writes=True)
        with marked.begin():
            if engine.dialect.name == "postgresql":
                marked.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config.attributes["connection"] = marked
            command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    with connection.begin():
        return MigrationContext.configure(connection).get_current_revision()
