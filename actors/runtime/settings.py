"""Every setting of the project, read from the environment once and handed on as a value.

Invariants: a setting is in range or nothing starts; a variable that starts with `X0TTA6BL4_` and
means nothing is an error, because a typing mistake would otherwise be a default in silence; a
`Settings` is immutable and pickles, so an actor works with what its job was started with and never
reads the environment of the host it happens to run on.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from actors.runtime import flags
from actors.runtime.errors import ConfigurationError, close_matches
from actors.runtime.ids import MAX_SHARDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$"  # without credentials and query
_WORDS: Final = {
    "log_level": "one of DEBUG, INFO, WARNING, ERROR, CRITICAL",
    "namespace": "1 to 63 of a-z 0-9 -, not starting with -",
    "gateway_host": "an IPv4 address, such as 127.0.0.1",
    **dict.fromkeys(
        ("public_url", "tron_api_url", "ton_api_url", "telegram_api_url"),
        "an http:// or https:// URL without credentials and query",
    ),
}
_SHOWN: Final = 60  # characters of a refused value that an error repeats


def default_state_dir() -> Path:
    """Where state lives unless told otherwise, by the XDG Base Directory Specification 0.8.

    A relative XDG_STATE_HOME is ignored, as the specification demands.
    """
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".local" / "state") / "x0tta6bl4"


def _absolute(path: Path) -> Path:
    # Actors run in another working directory than the job that reads the setting.
    return path.expanduser().absolute()


class Settings(BaseSettings):
    """The settings; each is the environment variable `X0TTA6BL4_` + its name in capitals.

    Use `Settings.load`, whose errors say which variable to correct; the constructor raises
    pydantic's own.
    """

    model_config = SettingsConfigDict(
        env_prefix=flags.PREFIX,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        allow_inf_nan=False,
    )

    state_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        default_factory=default_state_dir, description="directory of journals and records"
    )
    namespace: str = Field(
        "x0", pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="Ray namespace of the actors"
    )
    topology: str = Field(
        "radio:144", min_length=1, max_length=4096, description="path, http(s) URL or radio:N"
    )
    vpn: bool = Field(default=True, description="keep vpn links of the map")
    all_components: bool = Field(
        default=False, description="keep more than the largest component of the map"
    )
    refresh_s: float = Field(30.0, ge=1, le=86400, description="seconds between polls of a URL")
    shards: int = Field(2, ge=1, le=MAX_SHARDS, description="processes that host mesh nodes")
    hello_s: float = Field(1.0, ge=0.05, le=60, description="seconds between two Hellos")
    feedback: bool = Field(
        default=True, description="take unacknowledged frames as a sign of a dead neighbour"
    )
    mailbox_capacity: int = Field(65_536, ge=1, le=2**24, description="messages a node may hold")
    journal_max_bytes: int = Field(
        256 * 2**20, ge=64 * 2**10, le=16 * 2**30, description="journal size before a snapshot"
    )
    gateway_host: str = Field(
        "127.0.0.1",
        pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$",
        description="IPv4 address that the HTTP gateway listens on",
    )
    gateway_port: int = Field(
        0, ge=0, le=65535, description="port of the HTTP gateway; 0: a free one is picked"
    )
    gateway_names: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._, -]*$",
        description="host names that the gateway is known by, separated by commas",
    )
    gateway_cors_origins: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:/_, -]*$",
        description="origins of pages that may use the gateway, separated by commas",
    )
    database_url: SecretStr | None = Field(
        None, description="sqlite:///... or postgresql://... of the ledger of payments"
    )
    catalogue: Annotated[Path, AfterValidator(_absolute)] | None = Field(
        None, description="YAML file of the plans that can be bought"
    )
    payments_since: datetime | None = Field(
        None, description="time such as 2026-01-31; what came in before is not the shop's"
    )
    public_url: str | None = Field(
        None, pattern=_URL, description="http(s) URL under which buyers reach the gateway"
    )
    tron_api_url: str = Field(
        "https://api.trongrid.io", pattern=_URL, description="http(s) URL of a TronGrid API"
    )
    tron_api_key: SecretStr | None = Field(None, description="key of the TronGrid API")
    tron_wallet: str | None = Field(None, description="TRON address that buyers pay USDT to")
    tron_usdt_contract: str | None = Field(
        None, description="TRON address of the USDT contract, if not that of the network"
    )
    tron_rate: float | None = Field(
        None, ge=0.1, le=1000, description="requests per second to the TronGrid API, at most"
    )
    ton_api_url: str = Field(
        "https://tonapi.io", pattern=_URL, description="http(s) URL of a tonapi or toncenter API"
    )
    ton_api_key: SecretStr | None = Field(None, description="key of the TON API")
    ton_wallet: str | None = Field(None, description="TON address that buyers pay to")
    ton_usdt_master: str | None = Field(
        None, description="TON address of the USDT jetton master, if not that of the main net"
    )
    ton_rate: float | None = Field(
        None, ge=0.1, le=1000, description="requests per second to the TON API, at most"
    )
    telegram_token: SecretStr | None = Field(None, description="token of the Telegram bot")
    telegram_api_url: str = Field(
        "https://api.telegram.org", pattern=_URL, description="http(s) URL of a Telegram Bot API"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", description="least severe log line to write"
    )
    seed: int = Field(1, ge=0, lt=2**63, description="seed of everything emulated")

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the environment; `overrides` (such as command-line options) win over it.

        An override that is None counts as not given.

        Raises:
            ConfigurationError: a value is out of range, or a variable is unknown. It names the
                variable and what is allowed, and repeats no secret.
        """
        check_variables(os.environ)
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)  # type: ignore[arg-type]  # pydantic checks them
        except ValidationError as error:
            # `from None`: pydantic's text would repeat the values.
            raise _explained(cls, error.errors()[0], given) from None


def variable(name: str) -> str:
    """Environment variable of the setting `name`."""
    return flags.PREFIX + name.upper()


def check_variables(environ: Mapping[str, str]) -> None:
    """Refuse variables with the project's prefix that mean nothing.

    Raises:
        ConfigurationError: with the names that were probably meant.
    """
    known = flags.variables() | {variable(name) for name in Settings.model_fields}
    for name in sorted(environ):
        if name.upper().startswith(flags.PREFIX) and name not in known:
            remedy = close_matches(name.upper(), known) or f"Known are {', '.join(sorted(known))}."
            raise ConfigurationError(
                f"{name} is set",
                "no setting or flag has that name",
                remedy,
                variable=name,
            )


def _explained(
    cls: type[Settings], problem: ErrorDetails, given: Mapping[str, object]
) -> ConfigurationError:
    name = str(problem["loc"][0])
    field = cls.model_fields.get(name)
    where = variable(name)
    if field is None:
        remedy = close_matches(name, cls.model_fields) or "Leave it out."
        return ConfigurationError(
            f"setting {name} was given", "there is none of that name", remedy, variable=where
        )
    value = "a value that is not shown" if _is_secret(field) else _shown(problem["input"])
    return ConfigurationError(
        f"{where} is {value}" if name not in given else f"setting {name} ({where}) is {value}",
        f"{field.description}: {_lowered(problem['msg'])}",
        f"Allowed is {allowed(name)}.",
        variable=where,
    )


def allowed(name: str) -> str:
    """What the setting `name` accepts, in words: `a number from 0.05 to 60`."""
    field = Settings.model_fields[name]
    bounds = {
        key: getattr(rule, key)
        for rule in field.metadata
        for key in ("ge", "gt", "le", "lt", "pattern")
        if getattr(rule, key, None) is not None
    }
    if field.annotation is bool:
        return "true or false (yes/no, on/off, 1/0)"
    if "ge" in bounds:
        kind = "a whole number" if field.annotation is int else "a number"
        top = f"to {bounds['le']}" if "le" in bounds else f"to below {bounds['lt']}"
        return f"{kind} from {bounds['ge']} {top}"
    return _WORDS.get(name) or str(field.description)


def _is_secret(field: FieldInfo) -> bool:
    return "Secret" in str(field.annotation) or field.annotation is SecretStr


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
