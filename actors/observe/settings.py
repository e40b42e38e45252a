"""The settings of the observer."""

from __future__ import annotations

from pydantic import Field

from actors.observe.contract import ObserverRules
from actors.runtime.settings import RuntimeSettings

_RULES = ObserverRules()


class ObserveSettings(RuntimeSettings):
    """How often the sources of a real network are asked, and by which figures they are judged."""

    observe_poll_s: float = Field(
        60.0, ge=0.2, le=86_400, description="seconds between two polls of a source"
    )
    observe_silent_s: float = Field(
        _RULES.silent_s,
        ge=1,
        le=31_536_000,
        description="seconds after which a node is silent, if its source says only when it was"
        " heard",
    )
    observe_stale_s: float = Field(
        _RULES.stale_s, ge=1, le=31_536_000, description="seconds after which a map is stale"
    )
    observe_retire_s: float = Field(
        _RULES.retire_s,
        ge=0,
        le=315_360_000,
        description="seconds after which a silent or gone node is no member; 0: it stays one",
    )
    observe_lost_share: float = Field(
        _RULES.lost_share,
        ge=0,
        le=1,
        description="share of the nodes whose loss in one poll holds a map",
    )
    observe_lost_least: int = Field(
        _RULES.lost_least,
        ge=1,
        le=65_536,
        description="number of nodes whose loss may hold a map",
    )
    observe_accept_after: int = Field(
        _RULES.accept_after,
        ge=1,
        le=1000,
        description="equal answers in a row after which a map that lost much is taken over",
    )
    observe_odd_share: float = Field(
        _RULES.odd_share, ge=0, le=1, description="share of odd records that holds a map"
    )
    observe_degraded_share: float = Field(
        _RULES.degraded_share,
        ge=0,
        le=0.8,
        description="share of its usual quality below which a link is degraded",
    )

    def observer_rules(self) -> ObserverRules:
        """The rules that these settings give."""
        return ObserverRules(
            silent_s=self.observe_silent_s,
            stale_s=self.observe_stale_s,
            retire_s=self.observe_retire_s,
            lost_share=self.observe_lost_share,
            lost_least=self.observe_lost_least,
            accept_after=self.observe_accept_after,
            odd_share=self.observe_odd_share,
            degraded_share=self.observe_degraded_share,
        )
