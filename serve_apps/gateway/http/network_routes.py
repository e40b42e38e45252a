"""The observed network: what is known of it, its sources, and what is sent to the observer."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from actors.observe import condition
from actors.observe.contract import ObservedNode
from actors.topology.naming import Naming
from actors.topology.provenance import Network
from serve_apps.gateway import network_reports
from serve_apps.gateway.errors import Replaced
from serve_apps.gateway.http import network_documents
from serve_apps.gateway.http.parameters import V1, NodeId
from serve_apps.web import bodies
from serve_apps.web import documents as problem_documents
from serve_apps.web.representations import Representations, answer
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway
    from serve_apps.gateway.observed_view import Observed

REPORTS: Final = f"{V1}/network/reports"
PAGE: Final = 1000  # left-out records of a page
_HIGHEST: Final = 10**9
_LARGE: Final = 500  # rows of an answer that a thread builds
_CACHED: Final[dict[int | str, dict[str, Any]]] = {
    304: {"description": "Nothing has changed since the answer that `If-None-Match` names"},
    **problem_documents.problems(409, 422, 429, 503),
}
_READS: Final = problem_documents.problems(409, 422, 429, 503)
_CHANGES: Final = {**problem_documents.CHANGES, **problem_documents.problems(409)}
_OBSERVED: Final = str(Network.OBSERVED)
Sender = Annotated[
    str,
    Query(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$",
        description="name of the sender, under which its reports are one source",
    ),
]
Key = Annotated[
    str | None,
    Query(max_length=128, description="see /v1/network/reports/key; instead of the token"),
]


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""
    _add_answers(app, gateway)
    _add_changes(app, gateway)


def _add_answers(app: FastAPI, gateway: Gateway) -> None:
    whole = Representations()

    async def listed(
        request: Request, name: str, rows: Callable[[Observed], list[dict[str, Any]]]
    ) -> Response:
        """All nodes or links, which many ask for again and again."""
        found = await gateway.observed.now()

        def made() -> bytes:
            return json.dumps({"network": _OBSERVED, name: rows(found)}).encode()

        large = len(found.network.nodes) + len(found.network.links) > _LARGE
        return answer(request.headers, await whole.get(name, found.version, made, large=large))

    @app.get(
        f"{V1}/network",
        tags=["network"],
        response_model=network_documents.NetworkSummary,
        responses=_READS,
    )
    async def get_network() -> Any:  # noqa: ANN401 - documented by the model
        """The observed network in numbers, its sources, and what is wrong with what is known."""
        found = await gateway.observed.now()
        told = await asyncio.to_thread(condition.document, found.network, found.sources)
        return JSONResponse(told)

    @app.get(
        f"{V1}/network/nodes",
        tags=["network"],
        response_model=network_documents.ObservedNodeList,
        responses=_CACHED,
    )
    async def list_observed_nodes(request: Request) -> Response:
        """All members, also those that are silent, cut off or gone, with the time of their state.

        The answer has an ETag and is compressed for whoever accepts gzip.
        """
        return await listed(request, "nodes", lambda found: list(map(asdict, found.network.nodes)))

    @app.get(
        f"{V1}/network/nodes/{{id}}",
        tags=["network"],
        response_model=ObservedNode,
        responses={**_READS, **problem_documents.problems(404)},
    )
    async def get_observed_node(id: NodeId) -> Any:  # noqa: A002, ANN401 - the name in the path
        """A member, by its id or its name."""
        found = await gateway.observed.now()
        return JSONResponse(asdict(_member(found, id)))

    @app.get(
        f"{V1}/network/links",
        tags=["network"],
        response_model=network_documents.ObservedLinkList,
        responses=_CACHED,
    )
    async def list_observed_links(request: Request) -> Response:
        """All links, also those that are down, as of nodes."""
        return await listed(request, "links", lambda found: list(map(asdict, found.network.links)))

    @app.get(
        f"{V1}/network/sources",
        tags=["network"],
        response_model=network_documents.SourceList,
        responses=_READS,
    )
    async def list_sources() -> Any:  # noqa: ANN401 - documented by the model
        """How each source is: its state and age, what was left out of it and why."""
        found = await gateway.observed.now()
        told = [condition.source_document(source) for source in found.sources]
        return JSONResponse({"network": _OBSERVED, "sources": told})

    @app.get(
        f"{V1}/network/left-out",
        tags=["network"],
        response_model=network_documents.LeftOutList,
        responses=_READS,
    )
    async def list_left_out(
        source: Annotated[
            str, Query(min_length=1, max_length=4096, description="its name in /v1/network/sources")
        ],
        after: Annotated[int, Query(ge=0, le=_HIGHEST, description="`next` of the page")] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000, description="records of a page")] = PAGE,
    ) -> Any:  # noqa: ANN401 - the same
        """Every record of a source's last answer that was not used, or not as it stands, and why.

        The first 10,000 of each kind; `total` counts all. The source answers anew at each poll, so
        a walk over pages is of one answer only between two polls.
        """
        page = await gateway.observed.asked().left_out(source, after, limit)
        records = [
            {**asdict(one), "used": used} for one, used in zip(page.records, page.used, strict=True)
        ]
        return JSONResponse(
            {
                "network": _OBSERVED,
                "source": source,
                "total": page.total,
                "records": records,
                "next": after + len(records) if page.more else None,
            }
        )


def _add_changes(app: FastAPI, gateway: Gateway) -> None:
    @app.post(
        REPORTS,
        tags=["network"],
        response_model=network_documents.ReportTaken,
        responses=_CHANGES,
        openapi_extra={"requestBody": network_documents.REPORT_BODY},
    )
    async def report_network(request: Request, source: Sender = "http", key: Key = None) -> Any:  # noqa: ANN401 - the same
        """Send what a part of the network looks like, or what one node measured.

        A network is all that its sender knows: what it listed before and does not list now is gone
        for it. Each sender is a source of the observer, with a state and an age of its own. One
        that can set no header, such as OpenWISP, gives `key` instead of the token.
        """
        gateway.access.check(request.headers, has_key=gateway.report_key.matches(key))
        observer = gateway.observed.asked()
        members = await gateway.observed.now()
        kind = bodies.media_type(request.headers)
        if kind not in {JSON, "text/plain"}:
            raise bodies.unsupported(kind, JSON, "text/plain")
        body = await bodies.read(request.headers, request.receive, gateway.limits.report_bytes)
        with gateway.reading.one():
            reading, is_all = await asyncio.to_thread(
                network_reports.parse, body, source, lambda text: _member(members, text).id
            )
        await observer.take(reading, whole=is_all)
        gateway.counts.reports += 1
        left_out = Counter(each.reason for each in reading.left_out)
        return JSONResponse(
            {
                "source": source,
                "format": reading.format,
                "nodes": len(reading.nodes),
                "links": len(reading.links),
                "left_out": dict(left_out),
            }
        )

    @app.get(
        f"{REPORTS}/key",
        tags=["network"],
        response_model=network_documents.ReportKeyDocument,
        responses=_CHANGES,
    )
    async def get_report_key(request: Request) -> Any:  # noqa: ANN401 - the same
        """The key for senders that can set no header: it lets them report, and nothing else.

        It changes with the token.
        """
        gateway.access.check(request.headers)
        key = gateway.report_key.text
        return JSONResponse({"key": key, "path": f"{REPORTS}?key={key}"})

    @app.post(
        f"{V1}/network/nodes/{{id}}/retire",
        tags=["network"],
        response_model=network_documents.Retired,
        responses={**_CHANGES, **problem_documents.problems(404)},
    )
    async def retire_node(request: Request, id: NodeId) -> Any:  # noqa: A002, ANN401 - the same
        """End the membership of a node that is silent or gone: by its id, or its name.

        It joins anew when a source hears it again. Nothing is sent to the node.
        """
        gateway.access.check(request.headers)
        found = await gateway.observed.now(0.0)
        node = _member(found, id).id
        await gateway.observed.asked().retire(node)
        await gateway.observed.now(0.0)
        return JSONResponse({"id": node, "retired": True})

    @app.post(f"{V1}/mesh/telemetry", include_in_schema=False)
    async def report_telemetry() -> None:
        """Say what has taken over."""
        raise Replaced(
            f"POST {V1}/mesh/telemetry",
            f"POST {REPORTS}",
            "nodes of an emulated mesh measure nothing; reports are a source of the observer",
        )


def _member(found: Observed, text: str) -> ObservedNode:
    """The member with this id or whole name.

    Raises:
        UnknownNode: there is none.
        AmbiguousNode: several are called so.
    """
    nodes = found.network.nodes
    index = {node.id: at for at, node in enumerate(nodes)}
    return nodes[Naming(index, [node.name for node in nodes]).exact(text)]
