"""What was measured of nodes and links, and what is not as it was, from the history."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query
from fastapi.responses import JSONResponse

from actors.history.archive import LEAST_QUALITY
from actors.history.errors import NoHistory
from actors.runtime.errors import InvalidInput
from actors.runtime.ids import MAX_NODE_ID_LENGTH
from serve_apps.gateway.http import history_documents
from serve_apps.gateway.http.events import TIME, OfNetwork, Since, Until, moment_of
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import documents as problem_documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from actors.history.archive import Archive
    from actors.topology.provenance import Network
    from serve_apps.gateway.gateway_state import Gateway

SINCE = "24h"
DIFFERENCES = 1000  # of nodes, and of links, in an answer
NodeName = Annotated[
    str, Query(min_length=1, max_length=MAX_NODE_ID_LENGTH, description="id or whole name")
]
Step = Annotated[
    int | None, Query(ge=60, le=86_400, multiple_of=60, description="means over so many seconds")
]


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""

    async def told(
        ends: Mapping[str, str],
        since: str | None,
        until: str | None,
        step_s: int | None,
        network: Network | None,
    ) -> JSONResponse:
        begin = moment_of(since or SINCE, "since")
        end = moment_of(until, "until") if until is not None else time.time()
        _check(begin, end, step_s, gateway.limits.history_steps)
        with gateway.lookups.one():
            return JSONResponse(
                await gateway.history.within(
                    lambda archive: _series(archive, ends, (begin, end), step_s, network)
                )
            )

    @app.get(
        f"{V1}/history/node",
        tags=["history"],
        response_model=history_documents.SeriesList,
        responses={**problem_documents.READS, **problem_documents.problems(404, 409)},
    )
    async def get_node_history(
        id: NodeName,  # noqa: A002 - the name in the query
        since: Since = None,
        until: Until = None,
        step_s: Step = None,
        network: OfNetwork = None,
    ) -> Any:  # noqa: ANN401 - documented by the model
        """A node over time: of the last day unless `since` is given, in at most 2,000 steps."""
        return await told({"id": id}, since, until, step_s, network)

    @app.get(
        f"{V1}/history/link",
        tags=["history"],
        response_model=history_documents.SeriesList,
        responses={**problem_documents.READS, **problem_documents.problems(404, 409)},
    )
    async def get_link_history(
        a: NodeName,
        b: NodeName,
        since: Since = None,
        until: Until = None,
        step_s: Step = None,
        network: OfNetwork = None,
    ) -> Any:  # noqa: ANN401 - the same
        """The links of a pair over time, one of a kind, with the figures of both directions."""
        return await told({"a": a, "b": b}, since, until, step_s, network)

    @app.get(
        f"{V1}/history/diff",
        tags=["history"],
        response_model=history_documents.DifferenceList,
        responses={**problem_documents.READS, **problem_documents.problems(404)},
    )
    async def get_differences(
        since: Annotated[str, Query(max_length=64, description=f"the time before: {TIME}")],
        until: Annotated[
            str | None, Query(max_length=64, description=f"compared with it: {TIME}")
        ] = None,
        quality: Annotated[
            float, Query(ge=0.001, le=1, description="smallest change of a quality that counts")
        ] = LEAST_QUALITY,
        network: OfNetwork = None,
        limit: Annotated[
            int, Query(ge=1, le=10_000, description="differences of nodes, and of links")
        ] = DIFFERENCES,
    ) -> Any:  # noqa: ANN401 - the same
        """What is not as it was: members, states, links and qualities; compared with now.

        Each moment is answered by the newest sample of the 15 minutes before it; without `network`,
        of the network that was recorded last.
        """
        before = moment_of(since, "since")
        now = time.time() if until is None else moment_of(until, "until")

        def compared(archive: Archive) -> dict[str, Any]:
            which, _ = archive.network(network)
            found = archive.compared(which, before, now, least_quality=quality)
            return found.as_dict(limit)

        with gateway.lookups.one():
            return JSONResponse(await gateway.history.within(compared))


def _check(begin: float, end: float, step_s: int | None, most: int) -> None:
    if begin >= end:
        raise InvalidInput(
            "the span is refused",
            "`since` is not before `until`",
            "Give an earlier `since`.",
            source="query",
            entry="since",
        )
    if step_s is not None and (end - begin) / step_s > most:
        raise InvalidInput(
            "the step is refused",
            f"that makes more than {most} steps",
            "Give a wider `step_s`, or leave it out.",
            source="query",
            entry="step_s",
        )


def _series(
    archive: Archive,
    ends: Mapping[str, str],
    span: tuple[float, float],
    step_s: int | None,
    network: Network | None,
) -> dict[str, Any]:
    # These take time to import: pyarrow.
    from actors.history.metric_store import LINKS, NODES  # noqa: PLC0415
    from actors.history.series import series, step_for  # noqa: PLC0415

    which, _ = archive.network(network)
    begin, end = span
    known = archive.naming(begin, end, networks=[which])
    ids = [known.exact(text) for text in ends.values()]
    key = dict(zip(ends, sorted(ids), strict=True))
    what = NODES if "id" in key else LINKS
    rows = archive.metrics.read(which, what, since=begin, until=end, key=key)
    if not rows.table.num_rows:
        raise NoHistory(
            f"nothing is known of {'--'.join(ids)[:300]}",
            f"it was not in the {which.value} network then",
            "Give an earlier `since`.",
        )
    step = step_s or step_for(end - begin)
    found = series(rows.table, what, begin, end, step)
    return {
        "network": which.value,
        "series": [one.as_dict() for one in found],
        "unreadable": len(rows.unreadable),
    }
