"""Every error as a problem document (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from actors.runtime import log
from actors.runtime.errors import InvalidInput, X0Error
from serve_apps.gateway import problems

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

    from serve_apps.gateway.problems import Problem

_log = log.get(__name__)


def answer(problem: Problem) -> Response:
    """A problem document."""
    headers = dict(problem.headers)
    return Response(problem.body(), problem.status, headers, media_type=problems.MEDIA_TYPE)


def answer_to(error: problems.Refused | X0Error) -> Response:
    """The problem document of a refusal or of an error of the project."""
    if isinstance(error, problems.Refused):
        return answer(error.problem)
    if error.http_status == 500:
        _log.error("a request failed", error=str(error))
    return answer(problems.of_error(error))


def handle(app: FastAPI) -> None:
    """Answer whatever a route raises."""

    @app.exception_handler(problems.Refused)
    async def refused(_request: Request, error: problems.Refused) -> Response:
        return answer_to(error)

    @app.exception_handler(X0Error)
    async def typed(_request: Request, error: X0Error) -> Response:
        return answer_to(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        return answer_to(
            InvalidInput(f"{name} is refused", str(first["msg"]), "See /docs.", entry=name)
        )

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        found = problems.refused(
            error.status_code,
            f"{request.method} {request.url.path[:128]} is refused",
            str(error.detail),
            "GET /docs lists paths and methods.",
        ).problem
        headers = {**found.headers, **(error.headers or {})}
        return Response(found.body(), found.status, headers, media_type=problems.MEDIA_TYPE)

    @app.exception_handler(ClientDisconnect)
    async def gone(_request: Request, _error: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, error: Exception) -> Response:
        _log.error("a request failed", error=f"{type(error).__name__}: {error}", exc_info=error)
        return answer(problems.internal())
