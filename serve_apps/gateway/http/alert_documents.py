"""The answers about alerts, as the gateway's OpenAPI document tells them."""

from __future__ import annotations

from pydantic import BaseModel, Field

from actors.alerts.contract import AlertState, ChannelState
from actors.runtime.alerting import AlertName, AlertSeverity
from serve_apps.web.documents import example

_TIME = "ISO 8601, UTC"
_ALERT = {
    "fingerprint": "6f1f9d2c81a04b5e",
    "thread": "emulated:17",
    "name": "NodeOffline",
    "severity": "error",
    "state": "active",
    "summary": "Node tower-south (n0042) is silent",
    "probable_cause": "node tower-south (n0042), silent (97%)",
    "details": ["Its neighbours: mill, school."],
    "subjects": ["n0042"],
    "labels": {"network": "emulated"},
    "remedy": "Check its power and its links.",
    "link": "/v1/events?since=2026-11-29T03:12:00Z",
    "started": "2026-11-29T03:12:09.512Z",
    "ended": None,
    "raised": 1,
    "last_raised": "2026-11-29T03:12:11.020Z",
    "told": "2026-11-29T03:12:11.904Z",
    "waiting": [],
    "silenced_by": [],
    "acknowledged": "2026-11-29T03:14:40.118Z",
    "acknowledged_by": "anna",
}


class AlertDocument(BaseModel):
    """Something that needs attention, and who has been told of it."""

    model_config = example(**_ALERT)
    fingerprint: str = Field(description="tells it from all others")
    thread: str = Field(description="the incident that it belongs to")
    name: AlertName
    severity: AlertSeverity
    state: AlertState
    summary: str
    probable_cause: str = Field(description="empty if it is not known")
    details: list[str]
    subjects: list[str] = Field(description="ids of what it concerns")
    labels: dict[str, str]
    remedy: str = Field(description="what to do")
    link: str = Field(description="path or URL of the evidence; empty if there is none")
    started: str = Field(description=_TIME)
    ended: str | None = Field(description=f"{_TIME}; null while it lasts")
    raised: int = Field(description="how often it was raised while it lasted")
    last_raised: str = Field(description=_TIME)
    told: str | None = Field(description=f"when people were told first, {_TIME}; null: not yet")
    waiting: list[str] = Field(description="channels that have not taken all there is to tell")
    silenced_by: list[str] = Field(description="ids of the silences that keep it back now")
    acknowledged: str | None = Field(
        description=f"when somebody said that they look after its incident, {_TIME}; null: nobody"
    )
    acknowledged_by: str = Field(description="who looks after it; empty: nobody has said so")


class ChannelDocument(BaseModel):
    """How a channel is, as far as its last use tells."""

    name: str
    state: ChannelState
    why: str
    pending: int = Field(description="notices that wait for it")
    oldest: str | None = Field(description=f"the oldest of them, {_TIME}")
    delivered: str | None = Field(description=f"its last delivery, {_TIME}")
    refused: int = Field(description="notices that its service did not take")


class AlertList(BaseModel):
    """Alerts, and how the channels are by which people are told."""

    alerts: list[AlertDocument]
    channels: list[ChannelDocument] = Field(description="empty: none is configured")


class SilenceDocument(BaseModel):
    """What is not to be told for a while; all that it demands must fit an alert."""

    id: str
    starts: str = Field(description=_TIME)
    ends: str = Field(description=_TIME)
    by: str
    comment: str
    fingerprint: str = Field(description="empty: any alert")
    names: list[AlertName] = Field(description="empty: any kind")
    labels: dict[str, str]
    subjects: list[str] = Field(description="what it concerns is among these; empty: anything")


class SilenceList(BaseModel):
    """The silences that last or are to begin."""

    silences: list[SilenceDocument]
