"""The list of companions, and the addresses that `x0 env` prints."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from actors.runtime.errors import ConfigurationError, NotRunning
from actors.runtime.flags import Flags
from jobs.launch import companions, record
from jobs.launch.companion import STARTER, Companion, Plan, Seen, State
from jobs.launch.identity_companion import identity_options
from jobs.launch.options import mesh_options
from jobs.launch.record import SessionRecord
from serve_apps.inference.http.application import build
from serve_apps.inference.inference_state import Inference
from serve_apps.inference.model_file import save
from serve_apps.inference.settings import InferenceOptions
from serve_apps.settings import Settings
from serve_apps.web.auth import ensure_token
from tests.unit.inference.drawn import drawn_model
from tests.unit.jobs.test_by_gateway import Running

if TYPE_CHECKING:
    from pathlib import Path


def plan(state: Path, *, own_cluster: bool = True, **settings: object) -> Plan:
    found = Settings.load(state_dir=state, **settings)
    return Plan(found, mesh_options(found, Flags()), own_cluster=own_cluster)


def names(chosen: tuple[Companion, ...]) -> list[str]:
    return [each.name for each in chosen]


def test_minimal_has_no_companion_and_another_cluster_no_gateway(tmp_path: Path) -> None:
    """MINIMAL is the mesh core only; Serve of a cluster that others own is left to them."""
    here = plan(tmp_path)
    assert companions.wanted(here, minimal=True) == ()
    assert names(companions.wanted(here, minimal=False)) == [
        "alerts",
        "gateway",
        "historian",
        "identity",
        "inference",
        "payments",
        "twin",
        "xdp",
    ]
    elsewhere = replace(here, own_cluster=False)
    there = names(companions.wanted(elsewhere, minimal=False))
    assert there == ["alerts", "historian", "identity", "payments", "twin", "xdp"]


def test_identities_come_from_an_authority_of_ones_own_or_from_an_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SPIFFE_ENDPOINT_SOCKET names an agent, and no authority is made; a wrong one is refused."""
    monkeypatch.delenv("SPIFFE_ENDPOINT_SOCKET", raising=False)
    here = plan(tmp_path)
    own = identity_options(here.settings, "a")
    assert own.embedded is not None
    assert own.endpoint == f"unix://{tmp_path}/identity/agent.sock"
    monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", "unix:///run/spire/agent.sock")
    of_agent = identity_options(plan(tmp_path).settings, "a")
    assert (of_agent.endpoint, of_agent.embedded) == ("unix:///run/spire/agent.sock", None)
    assert "identity" not in names(companions.wanted(plan(tmp_path, identity=False), minimal=False))
    monkeypatch.setenv("SPIFFE_ENDPOINT_SOCKET", "tcp://127.0.0.1:8000")
    wrong = plan(tmp_path, own_cluster=False)
    with pytest.raises(ConfigurationError, match="SPIFFE_ENDPOINT_SOCKET"):
        companions.prepared(wrong, companions.wanted(wrong, minimal=False))


def test_alerts_can_be_switched_off_and_half_a_channel_is_refused(tmp_path: Path) -> None:
    """Nothing is started with a token that has no chat."""
    assert "alerts" not in names(companions.wanted(plan(tmp_path, alerts=False), minimal=False))
    half = plan(tmp_path, alerts_telegram_token="1:a")  # noqa: S106 - none
    with pytest.raises(ConfigurationError, match="ALERTS_TELEGRAM_CHAT"):
        companions.prepared(half, companions.wanted(half, minimal=False))


def test_xdp_can_be_switched_off(tmp_path: Path) -> None:
    """Then no host has an actor for it."""
    here = plan(tmp_path, xdp=False)
    assert "xdp" not in names(companions.wanted(here, minimal=False))


def test_inference_can_be_switched_off(tmp_path: Path) -> None:
    here = plan(tmp_path, inference=False)
    assert "inference" not in names(companions.wanted(here, minimal=False))


def test_what_companions_need_is_checked_before_anything_starts(tmp_path: Path) -> None:
    """The gateway's port is chosen, and a catalogue that cannot be used is an error."""
    here = plan(tmp_path, gateway_port=0)
    chosen = companions.wanted(here, minimal=False)
    assert companions.prepared(here, chosen).settings.gateway_port > 0
    wrong = plan(tmp_path, gateway_port=0, tron_wallet="nonsense")
    with pytest.raises(ConfigurationError):
        companions.prepared(wrong, chosen)


def test_each_actor_has_a_state_and_what_is_not_there_says_why() -> None:
    """A watcher that failed is shown as failed with its reason; other actors are no companions."""
    actors = (
        State("payments-tron", "failed", "the ledger is newer"),
        State("twin", "ready"),
        State("another", "ready"),
    )
    seen = Seen(actors={state.name: state for state in actors})
    found = {state.name: str(state) for state in companions.states(seen)}
    assert found.pop("gateway").startswith("off: ")
    assert "X0TTA6BL4_ALERTS" in found.pop("alerts")
    assert "x0 watch" in found.pop("observer")
    assert found.pop("historian").startswith("off: ")
    assert "gateway" in found.pop("inference")
    assert "X0TTA6BL4_XDP=0" in found.pop("xdp")
    assert "X0TTA6BL4_IDENTITY=0" in found.pop("identity")
    assert found == {"payments-tron": "failed: the ledger is newer", "twin": "ready"}
    off = {state.name: state for state in companions.states(Seen())}
    assert all(state.state == "off" and state.why for state in off.values())
    assert "X0TTA6BL4_TRON_WALLET" in off["payments"].why


def test_inference_is_off_starting_failed_or_ready(tmp_path: Path) -> None:
    """Where a gateway answers in its place, by what the session is to have, and by its starter."""

    def told(gateway: Running, *wanted: str, starter: State | None = None) -> State:
        actors = {} if starter is None else {STARTER: starter}
        seen = Seen(f"http://127.0.0.1:{gateway.port}", actors, wanted)
        return next(state for state in companions.states(seen) if state.name == "inference")

    bare = Running(tmp_path)
    try:
        off = told(bare, "gateway")
        assert off.state == "off"
        assert "X0TTA6BL4_INFERENCE=0" in off.why
        assert told(bare, "gateway", "inference").state == "starting"
        rest = State(STARTER, "starting", "still to be started: inference")
        assert told(bare, "inference", starter=rest) == replace(rest, name="inference")
        failed = State(STARTER, "failed", "not all could be started: inference: no memory")
        assert told(bare, "inference", starter=failed) == replace(failed, name="inference")
    finally:
        bare.stop()
    save(drawn_model(), tmp_path / "condition")
    inference = Inference(ensure_token(tmp_path), InferenceOptions(tmp_path))
    both = Running(tmp_path, {"/inference": build(inference)})
    try:
        ready = told(both, "inference", starter=failed)  # of a start that has come right since
        assert ready.state == "ready"
        assert "root-cause" in ready.why
    finally:
        both.stop()


def test_env_exports_what_is_on_record(tmp_path: Path) -> None:
    """Only what there is; without a record, the error of a mesh that does not run."""
    with pytest.raises(NotRunning):
        record.exports(tmp_path)
    SessionRecord(
        address="127.0.0.1:6379",
        dashboard_url="",
        namespace="x0",
        own_cluster=True,
        source="radio:8",
        pid=1,
        started_at=2.5,
        gateway_url="http://127.0.0.1:8080",
    ).save(tmp_path)
    assert record.exports(tmp_path) == {
        "GATEWAY": "http://127.0.0.1:8080",
        "GATEWAY_TOKEN_FILE": str(tmp_path / "gateway.token"),
        "RAY_AUTH_MODE": "token",
        "X0_ADDRESS": "127.0.0.1:6379",
        "X0_NAMESPACE": "x0",
    }
