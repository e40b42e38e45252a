"""Routes that take no query parameter they do not know, and whose operations have names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.routing import APIRoute

from actors.runtime.errors import InvalidInput, close_matches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine
    from typing import Any

    from fastapi import Request, Response


class StrictRoute(APIRoute):
    """A route that refuses unknown query parameters: a typing mistake is no default in silence."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, behind the check."""
        handler = super().get_route_handler()
        known = frozenset(parameter.alias for parameter in self.dependant.query_params)

        async def strict(request: Request) -> Response:
            if request.scope["query_string"]:
                check_query(request.query_params, known)
            return await handler(request)

        return strict


def check_query(given: Collection[str], known: Collection[str]) -> None:
    """Refuse query parameters that mean nothing.

    Raises:
        InvalidInput: it names the first of them, and the known ones that it may stand for.
    """
    for name in given:
        if name not in known:
            shown = name[:64]
            allowed = f"Known are {', '.join(sorted(known))}." if known else "This path takes none."
            raise InvalidInput(
                f"query parameter {shown} is refused",
                "there is none of that name here",
                close_matches(shown, known) or allowed,
                source="query",
                entry=shown,
            )


def operation_id(route: APIRoute) -> str:
    """The name of a route's operation: that of its function, in camelCase."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)
