"""`Idempotency-Key` on messages: one delivery and one answer, in every form of a request."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgpack
import pytest

AUTH = {"authorization": "Bearer a-token-of-the-tests"}
ONE = {"source": "a", "destination": "c", "payload": "hi"}
FORMS = {
    "application/json": json.dumps(ONE).encode(),
    "application/x-ndjson": b"\n".join([json.dumps(ONE).encode()] * 3),
    "application/msgpack": msgpack.packb([ONE] * 3),
}


@pytest.mark.parametrize("kind", FORMS)
async def test_a_request_with_a_key_is_delivered_once(start: Any, kind: str) -> None:
    """Whether it is repeated at once or later; with another body it is refused."""
    gateway, client = await start()

    def post(body: bytes = FORMS[kind], key: str = "k") -> Any:
        headers = AUTH | {"content-type": kind, "idempotency-key": key}
        return client.post("/v1/mesh/messages", content=body, headers=headers)

    answers = await asyncio.gather(*(post() for _ in range(5)))
    answers.append(await post())
    assert {(a.status_code, a.content, a.headers["content-type"]) for a in answers} == {
        (200, answers[0].content, answers[0].headers["content-type"])
    }
    sent = sum(map(len, gateway.mesh.batches))
    assert sent == (1 if kind.endswith("/json") else 3)
    other = await post(FORMS[kind].replace(b"hi", b"ho"))
    assert other.status_code == 422
    assert other.json()["type"].endswith("IdempotencyKeyReused")
    assert sum(map(len, gateway.mesh.batches)) == sent
    assert (await post(key="another")).status_code == 200
    assert sum(map(len, gateway.mesh.batches)) == 2 * sent


async def test_a_refused_message_may_be_sent_again(start: Any) -> None:
    """What was refused for certain does not use its key up; an unusable key is told."""
    gateway, client = await start()
    headers = AUTH | {"idempotency-key": "k"}
    gateway.mesh.refusing = {0: 1}
    full = await client.post("/v1/mesh/messages", json=ONE, headers=headers)
    assert full.status_code == 429
    gateway.mesh.refusing = {}
    assert (await client.post("/v1/mesh/messages", json=ONE, headers=headers)).status_code == 200
    long = AUTH | {"idempotency-key": "x" * 256}
    assert (await client.post("/v1/mesh/messages", json=ONE, headers=long)).status_code == 422


async def test_keys_need_the_token(start: Any) -> None:
    """An answer that is kept is not told to a stranger who knows its key."""
    _, client = await start()
    key = {"idempotency-key": "k"}
    await client.post("/v1/mesh/messages", json=ONE, headers=AUTH | key)
    answer = await client.post("/v1/mesh/messages", json=ONE, headers=key)
    assert answer.status_code == 401
