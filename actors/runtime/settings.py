"""Settings, read from the environment once and handed on as values.

`RuntimeSettings` has those that every part needs. Each part adds its own in a class that is derived
from it, and one class that is derived from all of these is what a process loads.

Invariants: a setting is in range or nothing starts; a variable that starts with `X0TTA6BL4_` and
is unknown is an error, because a typing mistake would otherwise silently give the default;
settings are immutable and pickle, so an actor works with what its job was started with and never
reads the environment of the host it happens to run on.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, get_args, get_origin

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from actors.runtime import flags
from actors.runtime.errors import ConfigurationError, close_matches
from actors.runtime.state_files import default_state_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

URL: Final = r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$"  # no credentials and no query
IPV4: Final = r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$"
_NAMESPACE: Final = r"^[a-z0-9][a-z0-9-]{0,62}$"
_WORDS: Final = {
    URL: "an http:// or https:// URL without credentials and query",
    IPV4: "an IPv4 address, such as 127.0.0.1",
    _NAMESPACE: "1 to 63 of a-z 0-9 -, not starting with -",
}
_SHOWN: Final = 60  # characters of a refused value that an error repeats


def _absolute(path: Path) -> Path:
    # Actors run in another working directory than the job that reads the setting.
    return path.expanduser().absolute()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class RuntimeSettings(BaseSettings):
    """Settings of all parts; each is the environment variable `X0TTA6BL4_` + its name in capitals.

    Use `load`, whose errors say which variable to correct; the constructor raises
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

    state_dir: AbsolutePath = Field(
        default_factory=default_state_dir, description="directory of journals and records"
    )
    namespace: str = Field("x0", pattern=_NAMESPACE, description="Ray namespace of the actors")
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
        check_variables(cls, os.environ)
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            return cls(**given)  # type: ignore[arg-type]  # pydantic checks them
        except ValidationError as error:
            # `from None`: pydantic's text would repeat the values.
            raise _explained(cls, error.errors()[0], given) from None

    @classmethod
    def secret_variables(cls) -> frozenset[str]:
        """The environment variables of these settings whose values must stay secret."""
        return frozenset(variable(n) for n, field in cls.model_fields.items() if _is_secret(field))


def variable(name: str) -> str:
    """Environment variable of the setting `name`."""
    return flags.PREFIX + name.upper()


def check_variables(cls: type[RuntimeSettings], environ: Mapping[str, str]) -> None:
    """Refuse variables with the project's prefix that are neither flags nor settings of `cls`.

    Raises:
        ConfigurationError: such a variable exists; the error suggests names that exist.
    """
    known = flags.variables() | {variable(name) for name in cls.model_fields}
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
    cls: type[RuntimeSettings], problem: ErrorDetails, given: Mapping[str, object]
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
        f"Allowed is {allowed(field)}.",
        variable=where,
    )


def allowed(field: FieldInfo) -> str:
    """What a setting accepts, in words: `a number from 0.05 to 60`."""
    bounds = {
        key: getattr(rule, key)
        for rule in field.metadata
        for key in ("ge", "gt", "le", "lt", "pattern")
        if getattr(rule, key, None) is not None
    }
    if field.annotation is bool:
        return "true or false (yes/no, on/off, 1/0)"
    if get_origin(field.annotation) is Literal:
        return f"one of {', '.join(get_args(field.annotation))}"
    if "ge" in bounds:
        kind = "a whole number" if field.annotation is int else "a number"
        top = f"to {bounds['le']}" if "le" in bounds else f"to below {bounds['lt']}"
        return f"{kind} from {bounds['ge']} {top}"
    return _WORDS.get(bounds.get("pattern", "")) or str(field.description)


def _is_secret(field: FieldInfo) -> bool:
    return "Secret" in str(field.annotation)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
