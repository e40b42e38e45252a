"""The digital twins of the live networks: what a failure would cost."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import Query, Request
from fastapi.responses import Response
from typing_extensions import TypeAliasType

from actors.runtime.errors import InvalidInput
from actors.runtime.ids import MAX_NODE_ID_LENGTH
from actors.topology import naming
from actors.topology.provenance import Network
from actors.twin import scenario as scenarios
from actors.twin.limits import MAX_PAIRS
from actors.twin.scenario import Failing, Scenario
from serve_apps.gateway.http import twin_documents
from serve_apps.gateway.http.parameters import V1
from serve_apps.web import bodies
from serve_apps.web import documents as problem_documents
from serve_apps.web.strict_json import JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI

    from serve_apps.gateway.gateway_state import Gateway

AskedNetwork = TypeAliasType("AskedNetwork", Literal["emulated", "observed"])
Ranking = TypeAliasType("Ranking", Literal["clients", "nodes", "pairs"])
MOST: Final = 256  # nodes, and links, of one question in a URL

NodeIds = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=MAX_NODE_ID_LENGTH)]],
    Query(
        max_length=MOST, description="nodes that fail together: ids, names, or beginnings of one"
    ),
]
Gateways = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=MAX_NODE_ID_LENGTH)]],
    Query(
        alias="gateway",
        max_length=MOST,
        description="ids of nodes that lead to the internet; without any, those of the map",
    ),
]
Rank = Annotated[
    Ranking | None,
    Query(
        description="what is costliest: clients or nodes that lose every gateway, or pairs lost;"
        " without it, the first of these that is known"
    ),
]
Of = Annotated[
    AskedNetwork | None,
    Query(
        alias="network",
        description="which network; without it, the emulated mesh, or the observed network where"
        " nothing is emulated",
    ),
]
LinkEnds = Annotated[
    list[Annotated[str, Query(min_length=3, max_length=4 * MAX_NODE_ID_LENGTH + 5)]],
    Query(max_length=MOST, description="links that fail with them, each as its ends: A,B"),
]


def add(app: FastAPI, gateway: Gateway) -> None:
    """Add the routes."""

    @app.get(
        f"{V1}/twin/single",
        tags=["twin"],
        response_model=twin_documents.SingleReply,
        responses={
            **problem_documents.READS,
            **problem_documents.problems(404, 409),
            200: twin_documents.SINGLE_EXAMPLE,
        },
    )
    async def get_single_failures(
        rank_by: Rank = None,
        gateway_node: Gateways = [],  # noqa: B006 - FastAPI copies it
        of: Of = None,
    ) -> Response:
        """Every node and link whose failure alone would cut others off, the costliest first.

        From each other, or from every gateway. Where no gateway is known, `internet` and `cut_off`
        are null.
        """
        asked = Scenario(singles=True, rank_by=rank_by, gateways=tuple(gateway_node) or None)
        reply = await gateway.ask(asked, _network(of))
        return await _answer(reply.as_dict(), "internet", "single_failures")

    @app.get(
        f"{V1}/twin/double",
        tags=["twin"],
        response_model=twin_documents.DoubleReply,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
    )
    async def get_double_failures(
        request: Request,
        most: Annotated[int, Query(ge=1, le=MAX_PAIRS, description="pairs of each kind")] = 20,
        rank_by: Rank = None,
        gateway_node: Gateways = [],  # noqa: B006 - FastAPI copies it
        of: Of = None,
    ) -> Response:
        """Which two must not fail together: two nodes, two links, a node and a link.

        Of each kind the costliest, with what both cost beyond what each does alone. It needs the
        token because it can cost much.
        """
        gateway.access.check(request.headers)
        gateways = tuple(gateway_node) or None
        asked = Scenario(doubles=most, rank_by=rank_by, gateways=gateways)
        reply = await gateway.ask(asked, _network(of))
        return await _answer(reply.as_dict(), "internet", "double_failures")

    @app.get(
        f"{V1}/twin/impact",
        tags=["twin"],
        response_model=twin_documents.ImpactReply,
        responses={**problem_documents.READS, **problem_documents.problems(404, 409)},
    )
    async def get_impact(
        node: NodeIds = [],  # noqa: B006 - FastAPI copies it
        link: LinkEnds = [],  # noqa: B006 - the same
        gateway_node: Gateways = [],  # noqa: B006 - the same
        of: Of = None,
    ) -> Response:
        """What happens if these nodes and links fail together: may I take it down tonight?

        Pairs are unordered pairs of nodes that do not fail; losses are shares of messages, times
        in s.
        """
        asked = _failing(node, link).model_copy(update={"gateways": tuple(gateway_node) or None})
        reply = await gateway.ask(asked, _network(of))
        return await _answer(reply.as_dict(), "internet", "impact")

    @app.get(
        f"{V1}/twin/picture.png",
        tags=["twin"],
        response_class=Response,
        responses={
            **problem_documents.READS,
            **problem_documents.problems(404, 409),
            200: twin_documents.PICTURE,
        },
    )
    async def get_picture(
        node: NodeIds = [],  # noqa: B006 - the same
        link: LinkEnds = [],  # noqa: B006 - the same
        of: Of = None,
    ) -> Response:
        """The mesh drawn, with what the failure of these nodes and links cuts off marked."""
        reply = await gateway.ask(_failing(node, link), _network(of), plot=True)
        return Response(reply.picture, media_type=twin_documents.PNG)

    @app.post(
        f"{V1}/twin/scenarios",
        tags=["twin"],
        response_model=twin_documents.ScenarioReply,
        responses={**problem_documents.CHANGES, **problem_documents.problems(404, 409)},
        openapi_extra={"requestBody": twin_documents.SCENARIO_BODY},
    )
    async def ask_scenario(request: Request, of: Of = None) -> Response:
        """Ask a whole scenario of the live mesh.

        It may also ask for random failures, shared risks, cascades, availability and links to add.
        Nothing is changed by it; it needs the token because it can cost much.
        """
        gateway.access.check(request.headers)
        given = await bodies.read_json(request, gateway.limits.twin_bytes)
        asked = await asyncio.to_thread(_asked, given, gateway.limits.twin_samples)
        reply = await gateway.ask(asked, _network(of))
        return await _answer(reply.as_dict())


def _network(of: str | None) -> Network | None:
    return None if of is None else Network(of)


async def _answer(found: Mapping[str, Any], *parts: str) -> Response:
    """Of a reply, these parts, its mesh and its names; without any, all of it."""
    shown = {name: found[name] for name in ("mesh", "names", *parts)} if parts else found
    body = await asyncio.to_thread(json.dumps, shown, allow_nan=False)
    return Response(body, media_type=JSON)


def _failing(nodes: Sequence[str], links: Sequence[str]) -> Scenario:
    pairs = []
    for text in links:
        ends = naming.listed(text)
        if len(ends) != 2 or max(map(len, ends)) > MAX_NODE_ID_LENGTH:
            raise InvalidInput(
                f"link {text[:80]!a} is refused",
                "it is not the two ends of a link",
                "Write link=A,B with the ids of two neighbours; one with a comma in quotes.",
                source="query",
                entry="link",
            )
        pairs.append((ends[0], ends[1]))
    return Scenario(fail=Failing(nodes=tuple(nodes), links=tuple(pairs)))


def _asked(given: object, most: int) -> Scenario:
    """The scenario of a request.

    Raises:
        InvalidInput: it is none, names a map, or draws too often.
    """
    if not isinstance(given, dict):
        raise _refused("it is not an object", "Begin with keys such as `fail`.", "")
    for name in twin_documents.OF_A_MAP:
        if name in given:
            raise _refused(f"{name} speaks of a map", "Leave it out: this is the live mesh.", name)
    asked = scenarios.of(given, "of this request")
    for name, part in (("random", asked.random), ("availability", asked.availability)):
        if part is not None and part.samples > most and "samples" in part.model_fields_set:
            raise _refused(f"more than {most} samples", "Ask for fewer.", f"{name}.samples")
    return asked


def _refused(why: str, remedy: str, entry: str) -> InvalidInput:
    return InvalidInput("the scenario is refused", why, remedy, source="body", entry=entry)
