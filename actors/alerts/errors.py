# ruff: noqa: N818 - an error is named by its condition, as an operator would say it
"""The errors of alerts.

X0Error
├── UnknownAlert            404  no alert has that fingerprint
├── AlertOver               409  it is over, and asks nothing of anybody
├── AlreadyAcknowledged     409  somebody looks after its incident
├── UnknownSilence          404  no silence has that id
└── ChannelRefused          502  a service does not take a notice as it is
Unavailable
└── ChannelUnavailable      503  a service cannot be reached, and nothing has arrived there
    └── FateUnknown         503  a service was sent a notice, and has not said that it took it
"""

from __future__ import annotations

from actors.runtime.errors import Conflict, Unavailable, X0Error


class UnknownAlert(X0Error):
    """No alert that is known has the fingerprint `fingerprint`."""

    http_status = 404

    fingerprint: str

    def __init__(self, fingerprint: str) -> None:
        super().__init__(
            f"no alert {fingerprint}",
            "none that is kept has this fingerprint",
            "`x0 alert list` shows the fingerprints.",
            fingerprint=fingerprint,
        )


class AlertOver(Conflict):
    """The alert of the fingerprint `fingerprint` is over."""

    fingerprint: str

    def __init__(self, fingerprint: str, summary: str) -> None:
        super().__init__(
            f"alert {fingerprint} is over",
            summary,
            "Nothing is to be done; `x0 alert list` shows those that last.",
            fingerprint=fingerprint,
        )


class AlreadyAcknowledged(Conflict):
    """Somebody looks after the incident of the alert with the fingerprint `fingerprint`."""

    fingerprint: str
    by: str

    def __init__(self, fingerprint: str, by: str, at: str) -> None:
        super().__init__(
            f"alert {fingerprint} is acknowledged already",
            f"{by} looks after its incident since {at}",
            "Nothing is to be done; `x0 alert resolve` ends an alert.",
            fingerprint=fingerprint,
            by=by,
        )


class UnknownSilence(X0Error):
    """No silence has the id `silence`."""

    http_status = 404

    silence: str

    def __init__(self, silence: str) -> None:
        super().__init__(
            f"no silence {silence}",
            "none that lasts or is to begin has this id",
            "`x0 alert silences` lists them.",
            silence=silence,
        )


class ChannelRefused(X0Error):
    """The service of `channel` does not take a notice as it is: another try would not help."""

    http_status = 502

    channel: str

    def __init__(self, channel: str, why: str, remedy: str) -> None:
        super().__init__(f"{channel} refuses a notice", why, remedy, channel=channel)


class ChannelUnavailable(Unavailable):
    """The service of `channel` cannot be reached; nothing has arrived there.

    `retry_after_s` is what the service asks for, or 0 where it asks for nothing.
    """

    channel: str

    def __init__(
        self,
        channel: str,
        why: str,
        remedy: str = "It is tried again.",
        *,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(
            f"{channel} cannot be reached",
            why,
            remedy,
            retry_after_s=retry_after_s,
            channel=channel,
        )


class FateUnknown(ChannelUnavailable):
    """A notice was sent, and it is not known whether it has arrived."""
