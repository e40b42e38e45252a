"""Brings a database to the newest tables, by the Alembic migrations of this package.

Several processes may do so at once: one migrates and the others wait for it (a transaction that
writes on SQLite, an advisory lock on PostgreSQL). A database that a newer program has migrated is
left as it is: what this one would write there may break rules that it does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

_LOCK: Final = 0x78307061  # number of the project's advisory lock for migrations


def upgrade(engine: Engine) -> None:
    """Apply the migrations that `engine`'s database lacks.

    Raises:
        ConfigurationError: it was migrated by a newer program.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        found = _revision(connection)
    if found == scripts.get_current_head():
        return
    if found not in {None, *(script.revision for script in scripts.walk_revisions())}:
        raise ConfigurationError(
            "the ledger's database cannot be used",
            f"a newer program has changed its tables (revision {found})",
            f"Run that one, or set {variable('database_url')} to another database.",
            variable=variable("database_url"),
        )
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
