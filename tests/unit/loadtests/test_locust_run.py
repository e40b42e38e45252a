"""Locust: what its output says, and how it is run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from actors.runtime.errors import Unavailable
from loadtests import locust_run
from loadtests.http_connection import TOKEN, Server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.locust_run import LocustScenario

LOCUST = [
    {
        "name": "route",
        "safe_name": "route",
        "method": "GET",
        "last_request_timestamp": 1004.0,
        "start_time": 1000.0,
        "num_requests": 100,
        "num_none_requests": 0,
        "num_failures": 2,
        "total_response_time": 1990.0,
        "response_times": {"10": 94, "20": 1, "200": 5},
    }
]


def test_what_locust_says() -> None:
    """Rates run over the time between first and last request, percentiles over all of them."""
    found = locust_run.parse(json.dumps(LOCUST))["route"]
    assert (found.requests, found.failures, found.per_s) == (100, 2, 25.0)
    assert found.p95_ms == pytest.approx(20.0)


@pytest.mark.parametrize("text", ["", "{}x", '[{"name": "route"}]', "[1]"])
def test_locust_without_figures_is_an_error(text: str) -> None:
    """Output without figures is refused, and repeated in the error."""
    with pytest.raises(ValueError, match="Locust printed no figures"):
        locust_run.parse(text)


SERVER = Server("127.0.0.1", 1, "secret")


def ran(monkeypatch: pytest.MonkeyPatch, script: str) -> dict[str, LocustScenario]:
    """What `locust_run` reads from a program in place of Locust."""
    real = subprocess.run

    def run(_command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        if "sleep" in script:
            options["timeout"] = 1
        return real([sys.executable, "-c", script], **options)

    monkeypatch.setattr(subprocess, "run", run)
    return locust_run.run(SERVER, 1.0)


@pytest.mark.parametrize("code", [0, 1], ids=["all-well", "some-failed"])
def test_locust_gets_the_token_and_its_figures_are_read(
    monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The token is in its environment, where other users do not see it; failures are figures."""
    entry = repr({**LOCUST[0], "name": "TOKEN"})
    script = f"import json, os; e = {entry}; e['name'] = os.environ[{TOKEN!r}]"
    assert set(ran(monkeypatch, f"{script}; print(json.dumps([e])); exit({code})")) == {"secret"}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("import sys; sys.stderr.write('no memory')", "no figures.*; no memory"),
        ("print(7); raise SystemExit(3)", "code 3"),
        ("import time; time.sleep(60)", "timed out after"),
    ],
    ids=["no-figures", "failed", "endless"],
)
def test_a_locust_that_does_not_work_is_told(
    monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    """The error says what it said itself, and what to do."""
    with pytest.raises(Unavailable, match=why) as caught:
        ran(monkeypatch, script)
    assert caught.value.remedy
