"""Whether inference runs beside a session, and with which models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pydantic import Field

from actors.runtime.settings import AbsolutePath, RuntimeSettings
from serve_apps.gateway.settings import GatewayOptions

if TYPE_CHECKING:
    from serve_apps.settings import Settings

SHIPPED: Final = Path(__file__).parent / "models"


class InferenceSettings(RuntimeSettings):
    """The settings of inference."""

    inference: bool = Field(
        default=True, description="whether nodes are scored, and root causes of incidents found"
    )
    inference_models: AbsolutePath | None = Field(
        None, description="directory of the models to use; without it, those that are shipped"
    )


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """What an inference process works with, beside its limits.

    Attributes:
        models: directory of its models.
        names: host names that it is known by, beside those of loopback.
        origins: origins of other sites whose pages may use it.
    """

    models: Path = SHIPPED
    names: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The options that settings ask for; names and origins are those of the gateway."""
        gateway = GatewayOptions.of(settings)
        return cls(settings.inference_models or SHIPPED, gateway.names, gateway.cors_origins)
