"""Settings: in range or nothing starts."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.runtime.errors import ConfigurationError
from actors.runtime.settings import allowed, variable
from actors.runtime.state_files import default_state_dir
from serve_apps.settings import Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("X0TTA6BL4_") or name == "SPIFFE_ENDPOINT_SOCKET":
            monkeypatch.delenv(name)


def test_the_documented_defaults_hold() -> None:
    """With an empty environment the settings are those of the README."""
    settings = Settings.load()
    assert settings.model_dump(exclude={"state_dir"}) == {
        "dust_ton": "0.005",
        "dust_usdt": "0.01",
        "payments_tolerance_percent": 0.0,
        "payments_window_minutes": 45,
        "beacon_epoch_s": 3600.0,
        "beacon_skew_s": 5.0,
        "alerts_webhook_peer": None,
        "identity": True,
        "identity_socket": None,
        "identity_trust_domain": "x0tta6bl4",
        "identity_svid_s": 3600.0,
        "identity_jwt_s": 300.0,
        "identity_renewal_threshold": 0.5,
        "namespace": "x0",
        "topology": "radio:144",
        "vpn": True,
        "all_components": False,
        "quality": "auto",
        "refresh_s": 30.0,
        "shards": 2,
        "hello_s": 1.0,
        "feedback": True,
        "mailbox_capacity": 65_536,
        "journal_max_bytes": 256 * 2**20,
        "gateway_host": "127.0.0.1",
        "dashboard_port": 8611,
        "metrics_host": "127.0.0.1",
        "metrics_port": 8612,
        "prometheus_dir": None,
        "gateway_port": 8610,
        "gateway_names": "",
        "gateway_mtls_port": None,
        "gateway_mtls_peers": None,
        "gateway_networks": "emulated",
        "gateway_cors_origins": "",
        "database_url": None,
        "observe_poll_s": 60.0,
        "observe_silent_s": 600.0,
        "observe_stale_s": 900.0,
        "observe_retire_s": 30 * 86_400.0,
        "observe_lost_share": 0.2,
        "observe_lost_least": 10,
        "observe_accept_after": 3,
        "observe_odd_share": 0.1,
        "observe_degraded_share": 0.7,
        "history_event_days": 365,
        "history_metric_days": 30,
        "history_metric_bytes": 2 * 2**30,
        "alerts": True,
        "alerts_alertmanager_url": None,
        "alerts_telegram_token": None,
        "alerts_telegram_chat": None,
        "alerts_telegram_url": "https://api.telegram.org",
        "alerts_pagerduty_routing_key": None,
        "alerts_pagerduty_url": "https://events.pagerduty.com",
        "alerts_smtp_url": None,
        "alerts_email_from": None,
        "alerts_email_to": None,
        "alerts_webhook_url": None,
        "alerts_webhook_secret": None,
        "alerts_ca_file": None,
        "alerts_quiet_hours": None,
        "alerts_digest_at": None,
        "alerts_links_share": 0.2,
        "alerts_links": None,
        "inference": True,
        "inference_models": None,
        "catalogue": None,
        "payments_since": None,
        "public_url": None,
        "tron_api_url": "https://api.trongrid.io",
        "tron_api_key": None,
        "tron_wallet": None,
        "tron_usdt_contract": None,
        "tron_rate": None,
        "ton_api_url": "https://tonapi.io",
        "ton_api_key": None,
        "ton_wallet": None,
        "ton_usdt_master": None,
        "ton_rate": None,
        "telegram_token": None,
        "telegram_api_url": "https://api.telegram.org",
        "xdp": True,
        "xdp_interfaces": None,
        "xdp_mode": "auto",
        "xdp_pin": False,
        "xdp_backend": "libbpf",
        "xdp_bpffs": Path("/sys/fs/bpf"),
        "byzantine_faults": 1,
        "log_level": "INFO",
        "seed": 1,
    }


def test_the_environment_is_read_and_an_override_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable beats the default, an option beats the variable, and None is no option."""
    monkeypatch.setenv("X0TTA6BL4_HELLO_S", "0.2")
    monkeypatch.setenv("X0TTA6BL4_VPN", "no")
    assert Settings.load().hello_s == 0.2
    assert Settings.load(hello_s=5, shards=None).hello_s == 5.0
    assert Settings.load().vpn is False


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HELLO_S", "0.049"),
        ("HELLO_S", "61"),
        ("HELLO_S", "nan"),
        ("HELLO_S", "inf"),
        ("HELLO_S", "fast"),
        ("SHARDS", "0"),
        ("SHARDS", "65"),
        ("SHARDS", "2.5"),
        ("REFRESH_S", "0.5"),
        ("MAILBOX_CAPACITY", "0"),
        ("JOURNAL_MAX_BYTES", "1"),
        ("SEED", "-1"),
        ("SEED", str(2**63)),
        ("LOG_LEVEL", "LOUD"),
        ("NAMESPACE", "a/b"),
        ("NAMESPACE", "x0\n"),
        ("VPN", "maybe"),
        ("TOPOLOGY", ""),
        ("TRON_API_URL", "https://user:pass@host/"),
        ("TON_API_URL", "ftp://host"),
        ("PUBLIC_URL", "host"),
        ("TRON_RATE", "0"),
        ("ALERTS_TELEGRAM_URL", "http://api.telegram.org"),
        ("ALERTS_TELEGRAM_URL", "http://127.0.0.1.evil.example/"),
        ("ALERTS_WEBHOOK_URL", "http://localhost@evil.example/"),
        ("ALERTS_QUIET_HOURS", "25:00-07:00"),
        ("XDP_INTERFACES", "eth0, eth1"),
        ("XDP_MODE", "native"),
    ],
)
def test_a_bad_value_names_the_variable_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    """The error names the variable and the allowed range, and pydantic's text stays out of it."""
    monkeypatch.setenv(f"X0TTA6BL4_{name}", text)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert caught.value.variable == f"X0TTA6BL4_{name}"
    assert caught.value.variable in str(caught.value)
    assert allowed(Settings.model_fields[name.lower()]) in caught.value.remedy
    assert caught.value.__suppress_context__


def test_a_misspelt_variable_is_met_with_the_right_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that nothing reads is an error, not a silent default."""
    monkeypatch.setenv("X0TTA6BL4_HELO_S", "0.2")
    with pytest.raises(ConfigurationError, match="X0TTA6BL4_HELLO_S"):
        Settings.load()


def test_a_variable_in_lower_case_is_met_with_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Flags are read in capitals only, so other spellings are refused for all."""
    monkeypatch.setenv("x0tta6bl4_failover", "1")
    with pytest.raises(ConfigurationError, match="X0TTA6BL4_FAILOVER"):
        Settings.load()


def test_flags_are_known_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the flags do not count as misspelt settings."""
    monkeypatch.setenv("X0TTA6BL4_FAILOVER", "1")
    assert Settings.load().shards == 2


def test_an_unknown_option_is_refused_with_the_close_ones() -> None:
    """A programming mistake in an override's name is an error too."""
    with pytest.raises(ConfigurationError, match="hello_s"):
        Settings.load(hello=1.0)


def test_a_long_value_is_not_repeated_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error stays readable whatever was put into the variable."""
    monkeypatch.setenv("X0TTA6BL4_SHARDS", "9" * 5000)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert len(str(caught.value)) < 600


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    hello=st.floats(0.05, 60),
    shards=st.integers(1, 64),
    seed=st.integers(0, 2**63 - 1),
    vpn=st.booleans(),
)
def test_settings_survive_pickling(hello: float, shards: int, seed: int, vpn: bool) -> None:  # noqa: FBT001 - hypothesis passes by name
    """What an actor is handed is what the job had, whatever the actor's environment says."""
    settings = Settings.load(hello_s=hello, shards=shards, seed=seed, vpn=vpn)
    blob = pickle.dumps(settings)
    os.environ["X0TTA6BL4_SEED"] = "77"
    try:
        assert pickle.loads(blob) == settings  # noqa: S301 - made three lines above
    finally:
        del os.environ["X0TTA6BL4_SEED"]


def test_settings_cannot_be_changed() -> None:
    """A setting has one value for the life of a process."""
    with pytest.raises(ValidationError):
        Settings.load().shards = 3  # type: ignore[misc]


def test_the_state_directory_follows_the_xdg_specification(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """XDG_STATE_HOME is used if absolute; otherwise ~/.local/state is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert default_state_dir() == tmp_path / "xdg" / "x0tta6bl4"
    for useless in ("relative/path", ""):
        monkeypatch.setenv("XDG_STATE_HOME", useless)
        assert default_state_dir() == tmp_path / ".local" / "state" / "x0tta6bl4"


def test_a_relative_state_directory_becomes_absolute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors run elsewhere, so a relative path and ~ are resolved where they were given."""
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", "here")
    assert Settings.load().state_dir == Path.cwd() / "here"
    monkeypatch.setenv("X0TTA6BL4_STATE_DIR", "~/there")
    assert Settings.load().state_dir == Path.home() / "there"


def test_every_setting_explains_what_it_allows() -> None:
    """No setting is without a variable and a text about its range."""
    for name, field in Settings.model_fields.items():
        assert variable(name).startswith("X0TTA6BL4_")
        assert len(allowed(field)) > 5


def test_the_variables_that_hold_secrets_are_known() -> None:
    """So that they can be kept out of the environment of processes that do not need them."""
    assert Settings.secret_variables() == {
        "X0TTA6BL4_DATABASE_URL",
        "X0TTA6BL4_TRON_API_KEY",
        "X0TTA6BL4_TON_API_KEY",
        "X0TTA6BL4_TELEGRAM_TOKEN",
        "X0TTA6BL4_ALERTS_TELEGRAM_TOKEN",
        "X0TTA6BL4_ALERTS_PAGERDUTY_ROUTING_KEY",
        "X0TTA6BL4_ALERTS_SMTP_URL",
        "X0TTA6BL4_ALERTS_WEBHOOK_SECRET",
    }
