"""The rules of Prometheus, and what is shipped beside them, as Prometheus' own tools see them.

Whether people are told is in `test_notification`.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

import cluster
from actors.alerts.catalogue import CATALOGUE
from actors.observe.contract import LinkCondition
from actors.payments.errors import ClockSkewed, CursorStale
from actors.runtime.alerting import AlertName
from actors.runtime.errors import ConfigurationError
from actors.topology.events import EventKind
from tests.exported_names import (
    ELSEWHERE,
    OF_FAILURES,
    OF_IDENTITY,
    OF_MESH,
    OF_OBSERVER,
    OF_PAYMENTS,
    OF_XDP,
)
from tests.prometheus_servers import program
from tests.unit.observability.definitions import ROOT, exported

SHIPPED = Path(cluster.__file__).parent / "observability"
NOT_BUILT = "no part of this project does that yet"
OF_SHARD = "the shard alone sees who and why"
OF_HOST = "the actor of the host alone sees why"
WITHOUT_RULE = {
    AlertName.SVID_RENEWAL_FAILED: OF_HOST,
    AlertName.PQC_HANDSHAKE_FAILURE: OF_SHARD,
    AlertName.PQC_FALLBACK_ATTEMPTED: OF_SHARD,
    AlertName.PQC_KEY_ROTATION_FAILED: OF_SHARD,
    AlertName.NODE_QUARANTINED: OF_SHARD,
    AlertName.XDP_REATTACHED: "it tells of what is over",
    AlertName.CANARY_ROLLED_BACK: NOT_BUILT,
    AlertName.ALERT_TEST: "a person raises it",
    AlertName.MORNING_DIGEST: "it tells what the history says, once a day",
}
# What only Prometheus can see, from outside or over a longer time.
OUTSIDE_ONLY = {"SessionUnreachable", "AlertsStuck", "XdpModeWorse", "XdpDropsMany"}
LABELS_OF_PROMETHEUS = {"job", "instance"}


def rules(kind: str) -> list[dict[str, Any]]:
    """The shipped rules that have a key: "alert" or "record"."""
    document = yaml.safe_load((SHIPPED / "rules.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"] if kind in rule]


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "rules", "--lint-fatal", "rules.yaml"),
        ("promtool", "check", "config", "--lint-fatal", "prometheus.yml"),
        ("promtool", "test", "rules", "rules_test.yaml"),
        ("amtool", "check-config", "alertmanager.yml"),
    ],
    ids=" ".join,
)
def test_the_tools_of_prometheus_find_nothing_wrong(command: tuple[str, ...]) -> None:
    checked = subprocess.run(
        [program(command[0]), *command[1:]],
        cwd=SHIPPED,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_name_has_a_rule_or_a_reason_why_not() -> None:
    named = {rule["alert"] for rule in rules("alert")}
    assert named - OUTSIDE_ONLY == {str(name) for name in AlertName} - set(WITHOUT_RULE)
    assert named >= OUTSIDE_ONLY


def test_each_rule_says_what_the_catalogue_says() -> None:
    for rule in rules("alert"):
        assert rule["labels"]["source"] == "prometheus"
        assert rule["annotations"]["summary"]
        if rule["alert"] not in OUTSIDE_ONLY:
            entry = CATALOGUE[AlertName(rule["alert"])]
            assert rule["labels"]["severity"] == entry.severity
            assert rule["annotations"]["description"] == f"{entry.meaning} {entry.remedy}"


def test_promtool_tries_each_rule() -> None:
    """By its labels, when it speaks."""
    tried = set(re.findall(r'alertname="(\w+)"', (SHIPPED / "rules_test.yaml").read_text()))
    assert tried == {rule["alert"] for rule in rules("alert")}


def test_each_metric_of_a_rule_is_exported_with_the_labels_that_the_rule_names() -> None:
    """By the text of the code; and for each there is a test that sees it exported."""
    metrics = exported()
    recorded = {rule["record"]: rule["expr"] for rule in rules("record")}
    named = set()
    for rule in rules("record") + rules("alert"):
        for metric, selector in re.findall(r"\b(ray_\w+)(\{[^}]*\})?", rule["expr"]):
            named.add(metric)
            selected = set(re.findall(r"(\w+)\s*=?[=!~]", selector))
            assert selected <= set(metrics[metric]) | LABELS_OF_PROMETHEUS, rule
        for label in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
            known = {each for one in named for each in metrics[one]}
            assert set(label.split(", ")) <= known | LABELS_OF_PROMETHEUS, rule
        used = set(re.findall(r"\bx0tta6bl4:[\w:]+", rule["expr"]))
        assert used <= set(recorded), rule
    known = OF_MESH | OF_OBSERVER | OF_PAYMENTS | OF_FAILURES | OF_XDP | OF_IDENTITY | ELSEWHERE
    assert named == known
    assert not any(metric.startswith("x0tta6bl4_") for metric in named)


def test_the_kinds_and_states_that_rules_name_exist() -> None:
    text = "".join(rule["expr"] for rule in rules("alert"))
    kinds = {kind for found in re.findall(r'kind=~?"([^"]*)"', text) for kind in found.split("|")}
    assert kinds
    assert kinds <= set(EventKind)
    assert set(re.findall(r'state="([^"]*)"', text)) <= set(LinkCondition)
    named = {name for found in re.findall(r'type=~"([^"]*)"', text) for name in found.split("|")}
    of_settings = {ConfigurationError, *ConfigurationError.__subclasses__()}
    expected = {*of_settings, ClockSkewed, CursorStale}
    theirs = ("actors.payments.", "actors.runtime.")  # whom these names are of
    assert named == {error.__name__ for error in expected if error.__module__.startswith(theirs)}


def test_no_rule_takes_more_than_its_metrics_have() -> None:
    """What is told apart in a summary is a label of the rule's result."""
    for rule in rules("alert"):
        told = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert all(re.search(rf"\b{label}\b", rule["expr"]) for label in told - {"job", "instance"})


def test_secrets_are_not_in_the_files() -> None:
    """Where Alertmanager 0.25 reads no file, a word stands that the user replaces."""
    document = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text())
    for receiver in document["receivers"]:
        for one in receiver.get("telegram_configs", []):
            assert one["bot_token"] == "TELEGRAM_TOKEN"  # noqa: S105 - a word to be replaced
        for one in receiver.get("pagerduty_configs", []):
            assert "routing_key_file" in one
            assert "routing_key" not in one
            assert "service_key" not in one


def test_the_documented_command_puts_the_secret_in(tmp_path: Path) -> None:
    """Into the copy, of the file as it is shipped; the token is in no command line."""
    page = (ROOT / "docs" / "prometheus.md").read_text()
    (command,) = re.findall(r"^(awk .*?) \|$", page, re.DOTALL | re.MULTILINE)
    secret = tmp_path / "token"
    secret.write_text("123456:AA-secret_x\n")
    command = command.replace("TELEGRAM_TOKEN_FILE", str(secret)).replace("CHAT", "-1001234567890")
    made = subprocess.run(["sh", "-c", command], cwd=SHIPPED, capture_output=True, check=True)
    document = yaml.safe_load(made.stdout)
    chats = [one for each in document["receivers"] for one in each.get("telegram_configs", [])]
    assert {(one["bot_token"], one["chat_id"]) for one in chats} == {
        ("123456:AA-secret_x", -1001234567890)
    }
    (tmp_path / "alertmanager.yml").write_bytes(made.stdout)
    check = [program("amtool"), "check-config", str(tmp_path / "alertmanager.yml")]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 0
