"""How the channels are by which people are told of alerts, as the gateway tells anybody."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from actors.alerts import client
from actors.runtime.errors import NotRunning, X0Error

ANSWER_S: Final = 2.0  # a health check does not wait longer


async def alert_channels() -> dict[str, Any] | None:
    """State of each channel, as `mesh_documents.AlertChannels`; None: there is no such actor."""
    try:
        async with asyncio.timeout(ANSWER_S):
            found = await client.channels()
    except NotRunning:
        return None
    except (X0Error, TimeoutError):
        return {"state": "unavailable", "channels": []}
    channels = [
        {"name": each.name, "state": each.state.value, "pending": each.pending} for each in found
    ]
    return {"state": "ready" if channels else "log only", "channels": channels}
