"""The servers that tests of alerts start are real, and keep their address and data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from tests.prometheus_servers import alertmanager, prometheus

if TYPE_CHECKING:
    from pathlib import Path

SILENCE = {
    "matchers": [{"name": "alertname", "value": "NodeOffline", "isRegex": False, "isEqual": True}],
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2096-01-01T00:00:00Z",
    "createdBy": "a test",
    "comment": "the mast is being painted",
}


def test_alertmanager_is_down_and_up_again_with_what_it_knew(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    with alertmanager(tmp_path, config) as server:
        made = httpx.post(f"{server.url}/api/v2/silences", json=SILENCE).raise_for_status()
        server.stop()
        server.start()
        known = server.get("/api/v2/silences")
    assert [one["id"] for one in known] == [made.json()["silenceID"]]
    assert server.process is None


def test_prometheus_answers_queries(tmp_path: Path) -> None:
    config = tmp_path / "config.yml"
    config.write_text("{}\n")
    with prometheus(tmp_path, config) as server:
        answer = server.get("/api/v1/query", query="vector(1)")
    assert answer["data"]["result"][0]["value"][1] == "1"
