"""What `x0 identity` shows: how it is and what is wrong, with the right exit code."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from actors.identity import control, exported
from actors.identity.contract import (
    AuthorityKeys,
    AuthorityStatus,
    HeldSvid,
    IdentityFault,
    IdentityStatus,
    LastFault,
    Rotation,
    SvidState,
    TrustBundle,
)
from actors.runtime.actor_health import ActorHealth
from jobs.identity import app
from jobs.launch import by_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pytest

NOW = time.time()
ID = "spiffe://a-rather-long-trust-domain.example/service/with/a/long/path/gateway"
WELL = IdentityStatus(
    host="box",
    endpoint="unix:///run/agent.sock",
    state=SvidState.FRESH,
    svids=(HeldSvid(ID, "gateway", "0a", NOW - 10, NOW + 3000),),
    renew_at=NOW + 1000,
    generation=3,
    connected=True,
    retries=True,
    renewals=2,
    trust_domains=("a.example", "b.example"),
    faults={},
    last_fault=None,
)
FAULT = LastFault(IdentityFault.UNAVAILABLE, "nobody listens", NOW)
AUTHORITY = AuthorityStatus(
    "a.example",
    "/state/identity",
    (
        AuthorityKeys("0123456789abcdef", NOW - 10, NOW + 100, NOW + 50),
        AuthorityKeys("fedcba9876543210", NOW + 1000, NOW + 9000, None),
    ),
    2,
    {"b.example.json": "it is no SPIFFE bundle document"},
)


class Actor:
    """Answers as the actor of a host would."""

    def __init__(self, status: IdentityStatus, failed: str = "") -> None:
        self._status = status
        self._failed = failed

    async def status(self) -> IdentityStatus:
        return self._status

    async def health(self) -> ActorHealth:
        return ActorHealth("failed" if self._failed else "ready", self._failed, "x", 1)

    async def authority(self) -> AuthorityStatus:
        return AUTHORITY

    async def rotate(self) -> Rotation:
        renewed = self._status.connected
        return Rotation(renewed, 4, "" if renewed else "no new SVID came in 5 s")

    async def rotate_authority(self) -> AuthorityStatus:
        return AUTHORITY

    async def bundle(self, trust_domain: str | None) -> TrustBundle:
        return TrustBundle(trust_domain or "a.example", (), '{"keys": [{"kid": "k"}]}', 1)


def run(monkeypatch: pytest.MonkeyPatch, actor: Actor, *arguments: str) -> tuple[int, str]:
    """Exit code and output of a command that asks this actor."""
    import asyncio

    def asked(_: Any, __: str, question: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return asyncio.run(question())

    monkeypatch.setattr(time, "time", lambda: NOW + 1)  # however long after the import it is
    monkeypatch.setattr(by_socket, "asked_or_joined", asked)
    monkeypatch.setattr(control, "of_host", lambda _: actor)
    done = CliRunner().invoke(app, [*arguments])
    return done.exit_code, done.output


def test_status_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well: 0. None held, expired, not renewed, or no authority: 3, and why."""
    code, shown = run(monkeypatch, Actor(WELL), "status")
    assert code == 0
    assert ID in shown
    assert "50 min" in shown
    assert "signs in" in shown
    assert "not used: b.example.json" in shown
    none = replace(WELL, state=None, svids=(), connected=False, last_fault=FAULT)
    expired = replace(WELL, state=SvidState.EXPIRED)
    due = replace(WELL, state=SvidState.DUE, last_fault=FAULT)
    for status in (none, expired, due):
        assert run(monkeypatch, Actor(status), "status")[0] == 3
    assert "no SVID has come yet" in run(monkeypatch, Actor(none), "status")[1]
    assert "nobody listens" in run(monkeypatch, Actor(due), "status")[1]
    code, shown = run(monkeypatch, Actor(none, "it is damaged"), "status")
    assert (code, "NOT WELL: it is damaged" in shown) == (3, True)


def test_json_is_of_plain_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program can tell state, time left, faults and the authority."""
    lost = replace(WELL, last_fault=FAULT, faults={IdentityFault.UNAVAILABLE: 2})
    code, shown = run(monkeypatch, Actor(lost), "status", "--json")
    read = json.loads(shown)
    assert code == 0  # a stream that is lost while the SVID is fresh is opened again in seconds
    assert read["state"] == "fresh"
    assert 2900 < read["svids"][0]["seconds_left"] <= 3000
    assert read["faults"] == {"unavailable": 2}
    assert read["last_fault"]["fault"] == "unavailable"
    assert read["authority"]["keys"][1]["kept_until"] is None


def test_a_rotation_says_whether_something_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new SVID: 0. None, as an agent gives one only when it is due: 3, and why."""
    assert run(monkeypatch, Actor(WELL), "rotate")[0] == 0
    code, shown = run(monkeypatch, Actor(replace(WELL, connected=False)), "rotate")
    assert (code, "no new SVID came" in shown) == (3, True)
    assert run(monkeypatch, Actor(WELL), "rotate", "--authority")[0] == 0


def test_a_bundle_is_a_document_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed can be put into a file as it is; an option of no use is refused."""
    code, shown = run(monkeypatch, Actor(WELL), "show", "--bundle")
    assert (code, json.loads(shown)) == (0, {"keys": [{"kid": "k", "use": "jwt-svid"}]})
    assert run(monkeypatch, Actor(WELL), "show", "--trust-domain", "x")[0] == 2


def test_times_are_told_as_people_say_them() -> None:
    """Two of a unit are the least that is told in it."""
    spans = [exported.span(each) for each in (-1.0, 90.0, 3600.0, 7200.0, 200_000.0)]
    assert spans == ["0 s", "90 s", "60 min", "2 h", "2 d"]
