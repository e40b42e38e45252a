"""JWT-SVIDs are fetched for an audience, and used until half of their life."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from spiffe._proto import workload_pb2

from actors.identity.authority import Authority
from actors.identity.contract import MOST_AUDIENCES, IdentityFault
from actors.identity.errors import NoIdentity
from actors.identity.holder import Holder, Source
from actors.identity.jwt_source import MOST_TOKENS, JwtSource
from actors.identity.lifecycle import Moment
from actors.runtime.errors import InvalidInput
from tests.unit.identity.certificates import ID, NOW
from tests.unit.identity.scripted_api import ScriptedApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

AUTHORITY = Authority.new("mesh.example", NOW)
LIFE_S = 300.0


class Asked:
    """A source of tokens whose clock a test sets, and the API that it asks."""

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        self.passed = 0.0
        self.holder = Holder(0.5, Random(1))
        self.source = JwtSource(self.holder, api.endpoint, Random(1), self.now)
        bundle = json.dumps(AUTHORITY.jwks()).encode()
        self.holder.take_jwt_bundles(
            workload_pb2.JWTBundlesResponse(bundles={"spiffe://mesh.example": bundle}), self.now()
        )
        api.jwt = self.token

    def now(self) -> Moment:
        return Moment(NOW + self.passed, self.passed)

    def token(self, request: Any, **wrong: Any) -> Any:
        fields = {"spiffe_id": ID, "audience": list(request.audience), **wrong}
        svid = AUTHORITY.issue_jwt(
            fields["spiffe_id"], fields["audience"], NOW + self.passed, LIFE_S
        )
        return workload_pb2.JWTSVIDResponse(
            svids=[workload_pb2.JWTSVID(spiffe_id=ID, svid=wrong.get("svid", svid))]
        )


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    async with ScriptedApi(tmp_path / "api.sock").running() as api:
        yield Asked(api)


async def test_a_token_is_fetched_once_until_half_of_its_life(asked: Asked) -> None:
    """Each audience has a token of its own; order and repetition make no other audience."""
    first = await asked.source.get(["b", "a"])
    assert (first.spiffe_id, first.audience, first.expires_at) == (ID, ("a", "b"), NOW + LIFE_S)
    asked.passed = 0.44 * LIFE_S
    assert await asked.source.get(["a", "b", "a"]) is first
    await asked.source.get(["c"])
    asked.passed = 0.56 * LIFE_S
    second = await asked.source.get(["a", "b"])
    assert second.expires_at > first.expires_at
    assert asked.api.jwt_requests == [("a", "b"), ("c",), ("a", "b")]
    assert asked.api.metadata[0][1]["workload.spiffe.io"] == "true"


async def test_many_who_ask_at_once_share_one_request(asked: Asked) -> None:
    """One of them giving up spoils nothing for the others."""
    tasks = [asyncio.create_task(asked.source.get(["a"])) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    got = await asyncio.gather(*tasks[1:])
    assert len(asked.api.jwt_requests) == 1
    assert len({one.token for one in got}) == 1


async def test_without_an_answer_the_old_token_is_used_until_it_ends(asked: Asked) -> None:
    """Then there is none, and the reason is told and counted."""
    first = await asked.source.get(["a"])
    asked.api.jwt = lambda _: grpc.StatusCode.UNAVAILABLE
    asked.passed = 0.9 * LIFE_S
    assert await asked.source.get(["a"]) is first
    asked.passed = LIFE_S
    with pytest.raises(NoIdentity, match="UNAVAILABLE") as caught:
        await asked.source.get(["a"])
    assert caught.value.fault is IdentityFault.UNAVAILABLE
    assert asked.holder.faults == {IdentityFault.UNAVAILABLE: 2}
    await asked.api.stop()
    with pytest.raises(NoIdentity, match="nobody listens") as caught:
        await asked.source.get(["a"])
    assert caught.value.fault is IdentityFault.UNAVAILABLE
    await asked.api.start()
    asked.api.jwt = asked.token
    await asked.source.get(["a"])
    assert asked.holder.fault(Source.JWT) is None


async def test_a_denied_identity_has_no_tokens(asked: Asked) -> None:
    """Neither one that was fetched before nor a new one is given."""
    await asked.source.get(["a"])
    asked.api.jwt = lambda _: grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(NoIdentity):
        await asked.source.get(["b"])
    with pytest.raises(NoIdentity):
        await asked.source.get(["a"])  # what was kept is gone
    asked.api.jwt = asked.token
    await asked.source.get(["a"])
    asked.holder.deny("no", asked.now())
    requests = len(asked.api.jwt_requests)
    with pytest.raises(NoIdentity) as caught:
        await asked.source.get(["a"])
    assert caught.value.fault is IdentityFault.PERMISSION_DENIED
    assert len(asked.api.jwt_requests) == requests


async def test_an_answer_that_breaks_a_rule_is_not_used(asked: Asked) -> None:
    """Each has its fault, and nothing of the token is told."""
    stranger = Authority.new("mesh.example", NOW).issue_jwt(ID, ["a"], NOW, 60)
    other_id = "spiffe://mesh.example/other"
    for answer, fault in (
        (b"\xff", IdentityFault.MALFORMED_MESSAGE),
        (workload_pb2.JWTSVIDResponse(), IdentityFault.NO_SVID),
        (
            workload_pb2.JWTSVIDResponse(svids=[workload_pb2.JWTSVID(spiffe_id=ID)]),
            IdentityFault.MISSING_FIELD,
        ),
        ({"svid": "noise"}, IdentityFault.MALFORMED_TOKEN),
        ({"svid": stranger}, IdentityFault.UNKNOWN_KEY),
        ({"audience": ["b"]}, IdentityFault.WRONG_AUDIENCE),
        ({"spiffe_id": other_id}, IdentityFault.ID_MISMATCH),
        (grpc.StatusCode.UNIMPLEMENTED, IdentityFault.UNIMPLEMENTED),
    ):
        asked.api.jwt = (
            (lambda request, wrong=answer: asked.token(request, **wrong))
            if isinstance(answer, dict)
            else (lambda _, wrong=answer: wrong)
        )
        with pytest.raises(NoIdentity) as caught:
            await asked.source.get(["a"])
        assert caught.value.fault is fault
        assert "noise" not in str(caught.value)


async def test_audiences_and_tokens_are_bounded(asked: Asked) -> None:
    """A wrong audience is refused before anybody is asked; the oldest tokens make room."""
    for wrong in ([], [""], ["x" * 1025], [str(one) for one in range(MOST_AUDIENCES + 1)]):
        with pytest.raises(InvalidInput):
            await asked.source.get(wrong)
    assert not asked.api.jwt_requests
    for number in range(MOST_TOKENS + 1):
        await asked.source.get([str(number)])
    await asked.source.get(["1"])
    assert len(asked.api.jwt_requests) == MOST_TOKENS + 1
    await asked.source.get(["0"])
    assert len(asked.api.jwt_requests) == MOST_TOKENS + 2
