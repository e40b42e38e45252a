"""The shipped Prometheus and Alertmanager, before stand-ins of Telegram and PagerDuty."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import cluster
from tests.alert_services import ROUTING_KEY, AlertServices, alert_services
from tests.exposed_metrics import ExposedMetrics
from tests.prometheus_servers import Server, alertmanager, prometheus
from tests.telegram_api import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHIPPED = Path(cluster.__file__).parent / "observability"
WINDOW_S = 10  # in which rules count, instead of five minutes


@dataclass(frozen=True)
class Told:
    """All that is between a metric and people."""

    metrics: ExposedMetrics
    prometheus: Server
    alertmanager: Server
    people: AlertServices


@contextlib.contextmanager
def told(folder: Path) -> Iterator[Told]:
    """Start all of it, with what is shipped but for addresses, secrets and times."""
    metrics = ExposedMetrics()
    with alert_services(folder, throttles=False) as people, metrics.served() as address:
        trusted = {"SSL_CERT_FILE": str(people.authority.bundle)}
        config = alertmanager_config(folder, people)
        with (
            alertmanager(folder, config, environment=trusted) as manager,
            prometheus(folder, prometheus_config(folder, manager, [address])) as server,
        ):
            yield Told(metrics, server, manager, people)


def alertmanager_config(folder: Path, people: AlertServices) -> Path:
    """The shipped configuration with quick groups and the addresses of the stand-ins."""
    text = (SHIPPED / "alertmanager.yml").read_text()
    text = re.sub(r"(group_(?:wait|interval): )(?:1m|5m|10s)", r"\g<1>1s", text)
    document = yaml.safe_load(text)
    key = folder / "pagerduty.key"
    key.write_text(ROUTING_KEY)
    for receiver in document["receivers"]:
        for one in receiver.get("telegram_configs", []):
            one |= {"api_url": people.telegram.url, "bot_token": TOKEN, "chat_id": people.chat}
        for one in receiver.get("pagerduty_configs", []):
            one |= {
                "url": f"{people.pagerduty.url}/v2/enqueue",
                "routing_key_file": str(key),
            }
    return _written(folder / "alertmanager.yml", document)


def prometheus_config(folder: Path, manager: Server, targets: Sequence[str]) -> Path:
    """The shipped configuration and rules, in seconds instead of minutes."""
    rules = (SHIPPED / "rules.yaml").read_text()
    rules = rules.replace("offset 5m", f"offset {WINDOW_S}s")
    (folder / "rules.yaml").write_text(re.sub(r"for: \d+m", "for: 1s", rules))
    listed = folder / "targets.json"
    group = {"labels": {"job": "x0-ray"}, "targets": list(targets)}
    listed.write_text(json.dumps([group]))
    document: dict[str, Any] = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    document["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    document["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [
        manager.url.removeprefix("http://")
    ]
    document["scrape_configs"][0]["file_sd_configs"][0]["files"] = [str(listed)]
    return _written(folder / "prometheus.yml", document)


def _written(path: Path, document: Any) -> Path:
    path.write_text(yaml.safe_dump(document))
    return path
