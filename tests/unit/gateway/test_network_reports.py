"""What is sent is told by its content, and whether it is all that its sender knows."""

from __future__ import annotations

import json

import pytest

from serve_apps.gateway import network_reports

PUSH = {"type": "DeviceMonitoring", "interfaces": [{"name": "br-lan", "mac": "aa:00:00:00:00:01"}]}
ANSWER = {"nodeinfo": {"node_id": "a", "hostname": "roof"}}
MAP = {"nodes": [{"node_id": "a"}], "links": []}


@pytest.mark.parametrize(
    ("sent", "node", "whole"),
    [(PUSH, "aa:00:00:00:00:01", False), (ANSWER, "a", False), (MAP, "a", True)],
)
def test_what_one_node_says_is_not_the_whole_network(
    sent: object, node: str, *, whole: bool
) -> None:
    """Other nodes of the same sender stay as they were."""
    report = network_reports.parse(json.dumps(sent).encode(), "sender", str)
    assert [each.id for each in report.reading.nodes] == [node]
    assert report.whole is whole
