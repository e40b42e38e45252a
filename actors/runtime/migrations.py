"""Brings a database to the newest tables, by Alembic migrations.

Each kind of actor has tables, migrations and a table of versions of its own, so that several kinds
use one database and know nothing of each other. Several processes may migrate at once: one does,
and the others wait for it (a transaction that writes on SQLite, an advisory lock on PostgreSQL). A
database that a newer program has migrated is left as it is: what this one would write there may
break rules that it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from alembic import command, context, op
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import variable

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.engine import Connection, Engine

# Every constraint has a name, by which a later migration can change it.
_NAMES: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
_LOCK: Final = 0x78307061  # number of the project's advisory lock for migrations


def no_tables() -> sa.MetaData:
    """Where a kind of actor declares its tables."""
    return sa.MetaData(naming_convention=_NAMES)


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of one kind of actor.

    Attributes:
        of: whose they are, as errors say it: "ledger".
        metadata: the tables.
        migrations: directory of the Alembic migrations that make them.
        version_table: name of the table that says which migrations have been applied.
    """

    of: str
    metadata: sa.MetaData
    migrations: Path
    version_table: str


def upgrade(engine: Engine, tables: Tables) -> None:
    """Apply the migrations of `tables` that `engine`'s database lacks.

    Raises:
        ConfigurationError: it was migrated by a newer program.
    """
    config = Config()
    config.set_main_option("script_location", str(tables.migrations))
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        found = _revision(connection, tables.version_table)
    if found == scripts.get_current_head():
        return
    if found not in {None, *(script.revision for script in scripts.walk_revisions())}:
        raise ConfigurationError(
            f"the {tables.of}'s database cannot be used",
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
            config.attributes["tables"] = tables
            command.upgrade(config, "head")


def run() -> None:
    """Run migrations in the transaction of `upgrade`: what `env.py` of each kind does."""
    given = context.config.attributes
    tables: Tables = given["tables"]
    context.configure(
        connection=given["connection"],
        target_metadata=tables.metadata,
        version_table=tables.version_table,
        transactional_ddl=False,  # the transaction is the caller's
    )
    context.run_migrations()


def replace_check(table: str, name: str, condition: str) -> None:
    """In a migration: have a CHECK constraint of a table demand something else.

    SQLite has no statement for it. The text of the table is corrected where it is kept, as its
    documentation advises for changes of constraints (lang_altertable.html, section 7): rows stay
    where they are, and other tables go on referring to this one.

    Raises:
        ValueError: the table has no such constraint.
    """
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f(name), table, type_="check")
        op.create_check_constraint(op.f(name), table, condition)
        return
    connection = op.get_bind()
    kept = "FROM sqlite_master WHERE type = 'table' AND name = :table"
    written = connection.scalar(sa.text(f"SELECT sql {kept}"), {"table": table})
    before, found, rest = (written or "").partition(f"CONSTRAINT {name} CHECK ")
    if not found:
        raise ValueError(f"table {table} has no CHECK {name}")
    after = rest[_closed(rest) :]
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.execute(
        sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = :table"),
        {"sql": f"{before}{found}({condition}){after}", "table": table},
    )
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA schema_version = {version + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")


def _closed(text: str) -> int:
    """Length of the parenthesis that `text` begins with."""
    depth = 0
    for position, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return position + 1
    raise ValueError("a parenthesis is not closed")


def _revision(connection: Connection, version_table: str) -> str | None:
    options = {"version_table": version_table}
    with connection.begin():
        return MigrationContext.configure(connection, opts=options).get_current_revision()
