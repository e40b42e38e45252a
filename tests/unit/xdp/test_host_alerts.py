"""What is wrong with the interfaces of a host is told once, and so is its end."""

from __future__ import annotations

import pytest

from actors.runtime.alerting import Alert, AlertName
from actors.runtime.metrics import MemoryMetrics
from actors.xdp.contract import (
    Attached,
    Mode,
    Ownership,
    PeerCount,
    State,
    TableChurn,
    Tally,
    XdpCounters,
    xdp_actor,
)
from actors.xdp.exported import Exported
from actors.xdp.host_alerts import UNTABLED, WINDOW_S, HostAlerts
from actors.xdp.hosts import missing
from jobs.launch.companion import OFF, Plan, Seen
from jobs.launch.companion import State as CompanionState
from jobs.launch.xdp_companion import XdpCompanion, xdp_options
from serve_apps.settings import Settings

ATTACHED = Attached("eth0", 7, Mode.DRV, frags=True, program_id=41, tag="0" * 16, pin=None)
CALM = TableChurn(peers=10, flows=100, new_peers=10, new_flows=100, untabled=0, lost_samples=0)


def told(*states: State | None) -> list[tuple[AlertName, bool]]:
    """The alerts of an interface that is so, one look after the other; None: not owned any more.

    Returns:
        Of each its name, and whether it ends; what ends without having begun is left out.
    """
    raised: list[Alert] = []
    alerts = HostAlerts("box", raised.append)
    for at, state in enumerate(states):
        attached = ATTACHED if state == "attached" else None
        one = Ownership(state, "why", attached, up=True, mtu=1500) if state else None
        alerts.note({} if one is None else {"eth0": one}, float(at))
    assert {alert.key for alert in raised} <= {"box:eth0"}
    news = []
    for alert in raised:
        begun = (alert.name, False) in news
        if alert.ended is None or begun:
            news.append((alert.name, alert.ended is not None))
    return news


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("attached", "attached"), []),
        (("refused", "refused"), [(AlertName.XDP_ATTACH_FAILED, False)]),
        (
            ("refused", "attached"),
            [(AlertName.XDP_ATTACH_FAILED, False), (AlertName.XDP_ATTACH_FAILED, True)],
        ),
        (("attached", "refused"), [(AlertName.XDP_DETACHED, False)]),
        (
            ("attached", "detached", "attached"),
            [(AlertName.XDP_DETACHED, False), (AlertName.XDP_DETACHED, True)],
        ),
        (
            ("attached", "detached", None),
            [(AlertName.XDP_DETACHED, False), (AlertName.XDP_DETACHED, True)],
        ),
        (("attached", "waiting", "attached"), []),
        (("attached", "waiting", "refused"), [(AlertName.XDP_ATTACH_FAILED, False)]),
        (
            ("refused", "waiting"),
            [(AlertName.XDP_ATTACH_FAILED, False), (AlertName.XDP_ATTACH_FAILED, True)],
        ),
    ],
)
def test_each_fault_is_told_with_its_end(
    states: tuple[State | None, ...], expected: list[tuple[AlertName, bool]]
) -> None:
    """Not to have been attached is one fault, and to be attached no more is another."""
    assert told(*states) == expected


def churn(new_flows: int, untabled: int = 0) -> TableChurn:
    return TableChurn(10, 100, 10, new_flows, untabled, 0)


@pytest.mark.parametrize(
    ("after", "lasts"),
    [
        (churn(200), False),  # as many as there are made room, and no more
        (churn(201), True),
        (churn(100, UNTABLED), False),
        (churn(100, UNTABLED + 1), True),
        (churn(50), False),  # the program was loaded anew
    ],
)
def test_churn_is_told_when_tables_turn_over_within_a_minute(
    after: TableChurn, *, lasts: bool
) -> None:
    """And it is over after a minute in which they did not."""
    raised: list[Alert] = []
    alerts = HostAlerts("box", raised.append)
    alerts.note_churn("eth0", CALM, 0.0)
    alerts.note_churn("eth0", after, WINDOW_S / 2)
    assert not raised
    alerts.note_churn("eth0", after, WINDOW_S)
    begun = [alert for alert in raised if alert.ended is None]
    assert bool(begun) is lasts
    alerts.note_churn("eth0", after, 2.5 * WINDOW_S)
    assert not lasts or raised[-1].ended == 2.5 * WINDOW_S


def test_totals_of_the_kernel_are_counted_on() -> None:
    """A program that is loaded with empty tables begins at zero, and Prometheus' counter does not.

    Peers are told by rank: there are as many series however many addresses there are.
    """
    metrics = MemoryMetrics()
    exported = Exported(metrics)
    for packets, sent in ((5, (30, 20)), (8, (40,)), (2, (7, 6, 5))):
        peers = tuple(PeerCount(f"10.0.0.{at}", 1, size, ()) for at, size in enumerate(sent))
        tally = Tally(packets, packets * 64)
        found = XdpCounters("eth0", {"passed": Tally(0, 0), "denied": tally}, CALM, peers, ())
        exported.counted(found)
    denied = {"action": "denied", "interface": "eth0"}
    assert metrics.value("x0tta6bl4_xdp_packets_total", **denied) == 10
    assert metrics.value("x0tta6bl4_xdp_bytes_total", **denied) == 640
    assert metrics.value("x0tta6bl4_xdp_drops_total", interface="eth0") == 10
    ranks = [
        metrics.value("x0tta6bl4_xdp_top_peer_bytes", interface="eth0", rank=str(rank))
        for rank in range(1, 5)
    ]
    assert ranks == [7, 6, 5, 0]


def test_each_host_has_an_actor_with_a_name_of_safe_characters() -> None:
    """And what it is started with is what the settings say, for each host alike."""
    assert xdp_actor("box-1.example.org") == "xdp-box-1-example-org"
    assert xdp_actor("a/b c") == "xdp-a-b-c"
    chosen = Plan(
        Settings.load(xdp_interfaces="eth0,wlan0", xdp_mode="skb"), None, own_cluster=True
    )
    options = xdp_options(chosen)
    assert options.interfaces == ("eth0", "wlan0")
    assert (options.mode, options.pin) == (Mode.SKB, False)
    other = xdp_options(Plan(Settings.load(), None, own_cluster=True))
    assert other.interfaces == ()
    assert other.session != options.session


def test_a_host_that_joins_gets_an_actor_and_no_other_is_touched() -> None:
    """Also one whose actor is gone; one that has left is none of its concern."""
    hosts = {"a": "node-1", "b.example": "node-2", "c": "node-3"}
    assert missing(hosts, ["xdp-a", "xdp-gone", "twin"]) == {"b.example": "node-2", "c": "node-3"}
    assert missing(hosts, ["xdp-a", "xdp-b-example", "xdp-c"]) == {}
    assert missing({}, ["xdp-a"]) == {}


def test_status_shows_the_actor_of_each_host() -> None:
    """Or why there is none."""
    actors = {
        name: CompanionState(name, "ready", "disabled (why)") for name in ("xdp-a", "xdp-b", "twin")
    }
    found = XdpCompanion().states(Seen(actors=actors))
    assert [str(state) for state in found] == ["ready: disabled (why)"] * 2
    (off,) = XdpCompanion().states(Seen())
    assert off.state == OFF
