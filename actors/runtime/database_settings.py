"""Where the database is, as settings say it. Imports nothing that takes time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr

from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import RuntimeSettings, variable

VARIABLE: Final = variable("database_url")
_POSTGRESQL: Final = "postgresql+psycopg"


class DatabaseSettings(RuntimeSettings):
    """Where the database is."""

    database_url: SecretStr | None = Field(
        None,
        description="sqlite:///... or postgresql://... of payments and history, "
        "if not a file each in the state directory",
    )


def url_of(settings: DatabaseSettings, file: str) -> SecretStr:
    """URL of the database, for SQLAlchemy: the one that is set, or `file` in the state directory.

    Raises:
        ConfigurationError: what is set is neither SQLite nor PostgreSQL.
    """
    if settings.database_url is None:
        return SecretStr(f"sqlite:///{settings.state_dir / file}")
    scheme, found, rest = settings.database_url.get_secret_value().partition("://")
    if scheme in {"postgres", "postgresql", _POSTGRESQL} and found:
        return SecretStr(f"{_POSTGRESQL}://{rest}")
    if scheme == "sqlite" and rest.startswith("/") and rest not in {"/", "/:memory:"}:
        # Absolute, as actors have other working directories. A database in memory is refused:
        # each process would have its own.
        return SecretStr(f"sqlite:///{Path(rest[1:]).absolute()}")
    raise ConfigurationError(
        f"{VARIABLE} is a value that is not shown",
        "it is neither a PostgreSQL URL nor an SQLite file",
        "Use postgresql://user:password@host/database or sqlite:////absolute/path.",
        variable=VARIABLE,
    )
