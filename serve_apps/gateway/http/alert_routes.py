"""Alerts: what is wrong, who was told, and what is not to be told for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse

from actors.alerts import client, documents
from actors.alerts.contract import MOST_LISTED
from serve_apps.gateway.http import alert_documents
from serve_apps.gateway.http.events import Since, moment_of
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import documents as problem_documents

if TYPE_CHECKING:
    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

Limit = Annotated[int, Query(ge=1, le=MOST_LISTED, description="most alerts")]


def add(app: FastAPI, _gateway: Gateway) -> None:
    """Add the routes."""

    @app.get(
        f"{V1}/alerts",
        tags=["alerts"],
        response_model=alert_documents.AlertList,
        responses=problem_documents.READS,
    )
    async def list_alerts(since: Since = None, limit: Limit = MOST_LISTED) -> Any:  # noqa: ANN401 - documented by the model
        """What is wrong now, the worst first; with `since`, all raised since then, newest first."""
        if since is None:
            found = (await client.active())[:limit]
        else:
            found = await client.recent(moment_of(since, "since"), limit)
        return JSONResponse(
            {
                "alerts": [documents.alert(one) for one in found],
                "channels": [documents.channel(one) for one in await client.channels()],
            }
        )

    @app.get(
        f"{V1}/alerts/silences",
        tags=["alerts"],
        response_model=alert_documents.SilenceList,
        responses=problem_documents.READS,
    )
    async def list_silences() -> Any:  # noqa: ANN401 - documented by the model
        """The silences that last or are to begin, by their start."""
        found = await client.silences()
        return JSONResponse({"silences": [documents.silence(one) for one in found]})
