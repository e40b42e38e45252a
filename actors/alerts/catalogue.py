"""Each kind of alert: how severe it is, what it means, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from actors.runtime.alerting import AlertName, AlertSeverity

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a kind of alert.

    Attributes:
        severity: how soon somebody should look, unless the alert says it itself.
        meaning: what has happened, and what it does to people; sentences.
        remedy: what to do, sentences.
    """

    severity: AlertSeverity
    meaning: str
    remedy: str


_CRITICAL = AlertSeverity.CRITICAL
_ERROR = AlertSeverity.ERROR
_WARNING = AlertSeverity.WARNING
_INFO = AlertSeverity.INFO

CATALOGUE: Final[Mapping[AlertName, Entry]] = MappingProxyType(
    {
        AlertName.NODE_OFFLINE: Entry(
            _ERROR,
            "A node is not heard any more, or no path leads to it. Its clients have no network.",
            "Check its power and its links; `x0 events --node NAME` shows what came before, and"
            " `x0 explain` the probable cause.",
        ),
        AlertName.MESH_SPLIT: Entry(
            _CRITICAL,
            "The network has come apart: no path leads from one part to the other.",
            "Restore one of the links between the parts that are listed; `x0 what-if` shows which"
            " single link would join them.",
        ),
        AlertName.GATEWAY_LOST: Entry(
            _CRITICAL,
            "Nodes have lost their last way to the internet.",
            "Check the gateway's power and uplink; until it is back, those behind it have none.",
        ),
        AlertName.LINKS_DOWN: Entry(
            _ERROR,
            "An unusual share of all links is down at once.",
            "Look for one cause: weather, interference, power, or an update of many nodes."
            " `x0 links --down` lists them.",
        ),
        AlertName.MAP_STALE: Entry(
            _WARNING,
            "A source of the map says nothing new, so what is known of its nodes is old.",
            "Check that the collector of this source runs and that its URL answers; `x0 status`"
            " shows each source.",
        ),
        AlertName.CLOCKS_APART: Entry(
            _WARNING,
            "The clocks of two machines differ by more than their protocols allow for.",
            "Check NTP on both; times in the history are wrong by the difference.",
        ),
        AlertName.HEALING_SLOW: Entry(
            _ERROR,
            "After a failure, routes took longer to become whole again than they may.",
            "Look at the load of the processes and at the interval of hellos"
            " (X0TTA6BL4_HELLO_S); `x0 status` shows the lag of each.",
        ),
        AlertName.ROOT_CAUSE_FOUND: Entry(
            _INFO,
            "The probable cause of an incident has been found.",
            "Look there first; `x0 explain` shows what speaks for it and against it.",
        ),
        AlertName.SHARD_RESTARTED: Entry(
            _WARNING,
            "A process of the emulated mesh has ended and was started again.",
            "Once is harmless. If it repeats, look for memory that runs out (`dmesg`) and for"
            " errors in its log.",
        ),
        AlertName.SVID_EXPIRING: Entry(
            _ERROR,
            "A certificate of an identity (SVID) ends soon and has not been renewed.",
            "`x0 identity status` says why; the SPIRE agent of this machine, if one is set, must"
            " run and reach its server.",
        ),
        AlertName.SVID_RENEWAL_FAILED: Entry(
            _ERROR,
            "An identity could not be renewed. Connections end when the present one expires.",
            "The reason is in the alert and in `x0 identity status`; with SPIRE, check the agent"
            " and the registration entry.",
        ),
        AlertName.PQC_HANDSHAKE_FAILURE: Entry(
            _CRITICAL,
            "A post-quantum handshake has failed: a peer is outdated or set wrongly, or somebody"
            " interferes.",
            "Compare versions and keys of both sides. If only one link is concerned and the reason"
            " is a signature, treat it as an attack.",
        ),
        AlertName.PQC_FALLBACK_ATTEMPTED: Entry(
            _CRITICAL,
            "A peer asked for a connection without post-quantum protection. It was refused.",
            "Update the peer. If it is up to date, somebody between you tries to weaken the"
            " connection.",
        ),
        AlertName.PQC_KEY_ROTATION_FAILED: Entry(
            _ERROR,
            "Keys were not replaced when they were due. The old ones stay in use.",
            "The reason is in the alert; keys can be rotated again at any time.",
        ),
        AlertName.NODE_QUARANTINED: Entry(
            _ERROR,
            "A node was found lying, or is called unreliable by more neighbours than may lie. None"
            " of its links counts.",
            "`x0 quarantine list` says why. When the node is in order again,"
            " `x0 quarantine clear NODE` gives it another key; suspicion ends by itself.",
        ),
        AlertName.XDP_ATTACH_FAILED: Entry(
            _ERROR,
            "The packet filter could not be attached to a network device. Packets pass by it.",
            "Check that kernel and driver support XDP and that the process may load programs"
            " (CAP_BPF, CAP_NET_ADMIN).",
        ),
        AlertName.XDP_DETACHED: Entry(
            _ERROR,
            "The packet filter has been taken off a network device.",
            "`x0 xdp status` tells what is attached now; `x0 xdp attach` attaches the filter again,"
            " and `x0 xdp detach` says that it was meant.",
        ),
        AlertName.XDP_REATTACHED: Entry(
            _WARNING,
            "The actor that holds the packet filter had ended, and packets passed by until it was"
            " started again. Now the filter is attached, with its rules.",
            "The log says why the actor ended. What is attached with --pin stays meanwhile.",
        ),
        AlertName.XDP_MAP_CHURN: Entry(
            _WARNING,
            "Entries of a table of the packet filter are replaced faster than they are useful.",
            "Either the table is too small for the traffic, or somebody floods it with addresses.",
        ),
        AlertName.PAYMENT_CURSOR_STALE: Entry(
            _CRITICAL,
            "The chain has not been read for too long: payments that arrive are not noticed.",
            "Check that the API of the chain answers and accepts the key; `x0 status` shows the"
            " watcher's reason. Nothing is lost: reading goes on where it stopped.",
        ),
        AlertName.PAYMENT_CONFIGURATION: Entry(
            _CRITICAL,
            "A setting of payments is wrong, so that orders cannot be paid or noticed.",
            "Correct the setting that is named, and start again.",
        ),
        AlertName.PAYMENT_IN_REVIEW: Entry(
            _WARNING,
            "Money has arrived that no rule assigns to an order. A person has to decide.",
            "`x0 pay review` lists what waits, and decides it.",
        ),
        AlertName.ORDER_PAID: Entry(
            _INFO,
            "An order has been paid.",
            "Nothing is to be done: what was bought is delivered by itself.",
        ),
        AlertName.CANARY_ROLLED_BACK: Entry(
            _ERROR,
            "A new version did worse than the present one and has been taken back.",
            "The figures that decided are in the alert; correct the version before the next try.",
        ),
        AlertName.MODEL_DRIFT: Entry(
            _WARNING,
            "What a model is asked about no longer resembles what it was trained with.",
            "Its scores are less reliable; train it anew with `x0 train`.",
        ),
        AlertName.MORNING_DIGEST: Entry(
            _INFO,
            "What got worse since a day ago, once a day.",
            "`x0 diff 24h` lists all that is different, `x0 events` what happened.",
        ),
        AlertName.ERROR_CRITICAL: Entry(
            _CRITICAL,
            "A part of this system has met an error that it cannot go on with.",
            "The log of the part has the details; `x0 status` shows whether it runs again.",
        ),
        AlertName.EVENT_LOOP_LAG: Entry(
            _WARNING,
            "A process answers late: its event loop was held up.",
            "Check the load of the machine. If it is idle, something in the process blocks.",
        ),
        AlertName.ALERT_TEST: Entry(
            _INFO,
            "Somebody tries out whether alerts arrive. Nothing has happened.",
            "Nothing is to be done.",
        ),
    }
)


def severity_of(name: AlertName, given: AlertSeverity | None) -> AlertSeverity:
    """The severity of an alert: the one it was `given`, else that of its kind."""
    return given or CATALOGUE[name].severity
