"""The stand-ins of the services are strict; else the tests of the channels would prove little."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import SecretStr

from actors.alerts.channels.webhook import key_of, signed
from tests.alert_services import ROUTING_KEY, AlertServices, alert_services

if TYPE_CHECKING:
    from collections.abc import Iterator

PAYLOAD = {"summary": "s", "source": "x", "severity": "error"}
EVENT = {
    "routing_key": ROUTING_KEY,
    "event_action": "trigger",
    "dedup_key": "k",
    "payload": PAYLOAD,
}
KEY = b"a secret of 32 bytes for webhooks"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlertServices]:
    with alert_services(tmp_path_factory.mktemp("tls")) as served:
        yield served


def post(services: AlertServices, url: str, **request: Any) -> httpx.Response:
    """An answer of a stand-in."""
    return httpx.post(url, verify=services.authority.client(), trust_env=False, **request)


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, 202, "Event processed"),
        ({"routing_key": "x"}, 400, "Length of 'routing_key' is incorrect (should be 32"),
        ({"event_action": "fire"}, 400, "event_action"),
        ({"event_action": "resolve", "dedup_key": None}, 400, "dedup_key"),
        ({"dedup_key": "k" * 256}, 400, "dedup_key"),
        ({"payload": None}, 400, "payload"),
        ({"payload": PAYLOAD | {"summary": "s" * 1025}}, 400, "1024"),
        ({"payload": PAYLOAD | {"summary": " "}}, 400, "summary"),
        ({"payload": PAYLOAD | {"severity": "bad"}}, 400, "severity"),
        ({"payload": PAYLOAD | {"custom_details": "text"}}, 400, "custom_details"),
        ({"links": ["https://x.y"]}, 400, "links"),
        ({"padding": "x" * 524_288}, 413, "too large"),
    ],
)
def test_pagerduty_refuses_what_it_refuses(
    services: AlertServices, changes: dict[str, Any], status: int, said: str
) -> None:
    """With the status and the words of the API."""
    answer = post(services, f"{services.pagerduty.url}/v2/enqueue", json=EVENT | changes)
    assert (answer.status_code, said in answer.text) == (status, True)


@pytest.mark.parametrize(
    ("key", "late_s", "changed", "status"),
    [
        (KEY, 0, b"", 200),
        (KEY[::-1], 0, b"", 401),
        (KEY, 400, b"", 401),
        (KEY, -400, b"", 401),
        (KEY, 0, b" ", 401),
    ],
)
def test_a_webhook_that_is_forged_old_or_changed_is_refused(
    services: AlertServices, key: bytes, late_s: int, changed: bytes, status: int
) -> None:
    """Only the holder of the secret, of late, with these very bytes."""
    body = b'{"a": 1}'
    headers = signed(body, "n-1", int(time.time()) - late_s, key)
    answer = post(services, services.webhook.url, content=body + changed, headers=headers)
    assert answer.status_code == status


def test_a_signature_is_that_of_the_specification() -> None:
    """The test vector of Standard Webhooks' own libraries."""
    key = key_of(SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    headers = signed(b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, key)
    assert headers == {
        "Content-Type": "application/json",
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
