"""The settings of history."""

from __future__ import annotations

from pydantic import Field

from actors.runtime.database_settings import DatabaseSettings


class HistorySettings(DatabaseSettings):
    """How long history is kept, and how much of it."""

    history_event_days: int = Field(
        365, ge=1, le=36_500, description="days for which events are kept"
    )
    history_metric_days: int = Field(
        30, ge=1, le=36_500, description="days for which metrics are kept, minute by minute"
    )
    history_metric_bytes: int = Field(
        2 * 2**30,
        ge=16 * 2**20,
        le=2**50,
        description="bytes of metrics that are kept at most; the oldest go first",
    )
