"""The settings of signed beacons, which the flag PQC_BEACONS switches on."""

from __future__ import annotations

from pydantic import Field

from actors.runtime.settings import RuntimeSettings


class BeaconSettings(RuntimeSettings):
    """How long keys of beacons are used, and how far clocks may differ."""

    beacon_epoch_s: float = Field(
        3600.0, ge=10, le=604_800, description="seconds after which keys of beacons are replaced"
    )
    beacon_skew_s: float = Field(
        5.0, ge=0.5, le=300, description="seconds by which clocks of nodes may differ"
    )
