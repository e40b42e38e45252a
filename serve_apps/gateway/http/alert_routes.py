"""Alerts: what is wrong, who was told, and what is not to be told for a while."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query
from fastapi.responses import JSONResponse

from actors.alerts import client, documents
from actors.alerts.contract import MOST_LISTED
from actors.runtime.errors import NotRunning
from serve_apps.gateway.errors import NoAlerts
from serve_apps.gateway.http import alert_documents
from serve_apps.gateway.http.events import Since, moment_of
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import documents as problem_documents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

_ANSWERS: Final = {**problem_documents.READS, **problem_documents.problems(409)}
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED, description="most alerts")]


@contextlib.contextmanager
def _asking() -> Iterator[None]:
    """Say of a session without alerts that it has none: waiting for them would not help."""
    try:
        yield
    except NotRunning:
        raise NoAlerts from None


def add(app: FastAPI, _gateway: Gateway) -> None:
    """Add the routes."""

    @app.get(
        f"{V1}/alerts",
        tags=["alerts"],
        response_model=alert_documents.AlertList,
        responses=_ANSWERS,
    )
    async def list_alerts(since: Since = None, limit: Limit = MOST_LISTED) -> Any:  # noqa: ANN401 - documented by the model
        """What is wrong now, the worst first; with `since`, all raised since then, newest first."""
        begin = None if since is None else moment_of(since, "since")
        with _asking():
            found = await (client.active() if begin is None else client.recent(begin, limit))
            channels = await client.channels()
        return JSONResponse(
            {
                "alerts": [documents.alert(one) for one in found[:limit]],
                "channels": [documents.channel(one) for one in channels],
            }
        )

    @app.get(
        f"{V1}/alerts/silences",
        tags=["alerts"],
        response_model=alert_documents.SilenceList,
        responses=_ANSWERS,
    )
    async def list_silences() -> Any:  # noqa: ANN401 - documented by the model
        """The silences that last or are to begin, by their start."""
        with _asking():
            found = await client.silences()
        return JSONResponse({"silences": [documents.silence(one) for one in found]})
