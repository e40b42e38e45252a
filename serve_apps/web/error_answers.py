"""Every error as a problem document (RFC 9457); those that are our own fault also to the log."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from actors.runtime.errors import InvalidInput, X0Error
from serve_apps.web import path_segments, problems

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from starlette.requests import Request

    from actors.runtime.error_handler import ErrorHandler
    from serve_apps.web.problems import Problem


class ErrorAnswers:
    """Answers errors.

    Args:
        errors: logs and counts those with status 500, which nobody expected.
        cause: what an error really comes from, if the application knows more; else the error.
    """

    def __init__(
        self, errors: ErrorHandler, cause: Callable[[X0Error], X0Error] = lambda error: error
    ) -> None:
        self._errors = errors
        self._cause = cause

    def of(self, error: Exception) -> Response:
        """The answer to an error that a route raised."""
        if not isinstance(error, X0Error):
            self._errors.handle(error)
            return document(problems.internal())
        error = self._cause(error)
        if error.http_status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self._errors.handle(error)
        return document(problems.of_error(error))

    def install(self, app: FastAPI) -> None:
        """Answer whatever a route raises."""

        @app.exception_handler(X0Error)
        @app.exception_handler(Exception)
        async def typed(_request: Request, error: Exception) -> Response:
            return self.of(error)

        @app.exception_handler(RequestValidationError)
        async def invalid(_request: Request, error: RequestValidationError) -> Response:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            return self.of(
                InvalidInput(f"{name} is refused", str(first["msg"]), "See /docs.", entry=name)
            )

        @app.exception_handler(HTTPException)
        async def unknown(request: Request, error: HTTPException) -> Response:
            path = path_segments.shown(request.scope["path"])
            what = f"{request.method} {path[:128]} is refused"
            headers = dict(error.headers or {})
            if "GET" in headers.get("Allow", ""):
                headers["Allow"] += ", HEAD"  # see `HeadAsGet`
            return document(problems.of_status(error.status_code, what, str(error.detail), headers))

        @app.exception_handler(ClientDisconnect)
        async def gone(_request: Request, _error: ClientDisconnect) -> Response:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it


def document(problem: Problem) -> Response:
    """The answer that carries a problem document."""
    return Response(
        problem.body(), problem.status, dict(problem.headers), media_type=problems.MEDIA_TYPE
    )
