"""Loopback stand-ins for the services that alerts go to, as strict as the services document.

Telegram is `tests.telegram_api`. Here: PagerDuty's Events API v2, a mail server with STARTTLS, TLS
and a login, and a receiver of Standard Webhooks. Each records what has arrived, refuses what the
service refuses with its words, misbehaves on request (`fault`), and can be stopped and started
again at the same port.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import email
import email.policy
import hashlib
import hmac
import json
import re
import socketserver
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from tests.local_tls import Authority, LocalServer
from tests.telegram_api import BotApi, serving

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from email.message import EmailMessage
    from pathlib import Path

ROUTING_KEY = "0123456789abcdef0123456789ABCDEF"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes for webhooks").decode()
MAIL_USER, MAIL_PASSWORD = "alerts", "p@ss:/word%20"
_WAIT_S = 120.0
_LARGEST = 512 * 1024  # bytes of an event that PagerDuty takes


@dataclass(frozen=True)
class Answer:
    """What a request is answered with."""

    status: int
    document: Any
    headers: dict[str, str] = field(default_factory=dict)


class Hang(Exception):  # noqa: N818 - a behaviour
    """Raised by a fault: the answer does not come before the server is stopped."""


class HangUp(Exception):  # noqa: N818 - a behaviour
    """Raised by a fault: the connection breaks without an answer."""


class _Recorder:
    """Who waits for what has arrived."""

    def __init__(self) -> None:
        self.lock = threading.RLock()

    def wait(self, condition: Callable[[], Any], timeout_s: float = _WAIT_S) -> Any:
        """The first true value of a condition."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self.lock:
                value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, f"it has not come: {self!r}"
            time.sleep(0.02)


class HttpService(_Recorder):
    """A service that answers POSTs.

    Args:
        authority: vouches for its https; None for plain HTTP.

    Attributes:
        fault: called with each body before it is looked at; an answer of it is given instead.
        after: called with each body after it has been taken, before the answer is sent.
        statuses: what was answered, in order.
    """

    def __init__(self, authority: Authority | None) -> None:
        super().__init__()
        self.fault: Callable[[bytes], Answer | None] = lambda _: None
        self.after: Callable[[bytes], Answer | None] = lambda _: None
        self.statuses: list[int] = []
        self.stopping = threading.Event()
        self.server = LocalServer(type("Handler", (_Handler,), {"service": self}), authority)

    @property
    def url(self) -> str:
        """Its address, also while it is stopped."""
        return self.server.url

    @contextlib.contextmanager
    def running(self) -> Iterator[Any]:
        """Answer for the block."""
        with self.server.running():
            try:
                yield self
            finally:
                self.stopping.set()

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """What a request is answered with; names of headers are in lower case."""
        raise NotImplementedError

    def answered(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """The answer, with faults."""
        given = self.fault(body)
        if given is None:
            with self.lock:
                given = self.answer(path, headers, body)
            given = self.after(body) or given
        with self.lock:
            self.statuses.append(given.status)
        return given


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    service: HttpService

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            answer = self.service.answered(self.path, headers, body)
        except Hang:
            self.service.stopping.wait()
            self.close_connection = True
            return
        except HangUp:
            self.close_connection = True
            return
        content = json.dumps(answer.document).encode()
        with contextlib.suppress(OSError):
            self.send_response(answer.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


# -- PagerDuty -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """An event that PagerDuty has taken."""

    action: str
    key: str
    body: dict[str, Any]

    @property
    def summary(self) -> str:
        """What the person on call reads; "" of an event that only names an alert."""
        return str(self.body.get("payload", {}).get("summary", ""))


class PagerDuty(HttpService):
    """Events API v2: `POST /v2/enqueue` (developer.pagerduty.com, "Send an Alert Event").

    Attributes:
        events: those taken, in order.
        pages: keys of the alerts that were opened, in order: a person was woken for each.
        open: state by key, "triggered" or "acknowledged", of those not resolved.
    """

    def __init__(self, authority: Authority | None) -> None:
        super().__init__(authority)
        self.events: list[Event] = []
        self.pages: list[str] = []
        self.open: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"PagerDuty({[(one.action, one.key) for one in self.events]}, {self.statuses})"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        if path != "/v2/enqueue":
            return Answer(404, {"status": "not found"})
        if len(body) > _LARGEST:
            return Answer(413, {"status": "invalid event", "message": "Payload too large"})
        try:
            event = json.loads(body.decode("utf-8", "strict"))
        except ValueError:
            return Answer(400, {"status": "invalid event", "message": "JSON cannot be parsed"})
        wrong = _wrong(event) if isinstance(event, dict) else ["Event is not an object"]
        if headers.get("content-type", "").partition(";")[0] != "application/json":
            wrong.append("Content-Type is not application/json")
        return _invalid(*wrong) if wrong else self._take(event)

    def _take(self, event: dict[str, Any]) -> Answer:
        action = event["event_action"]
        key = event.get("dedup_key") or f"made-{len(self.events)}"
        self.events.append(Event(action, key, event))
        if action == "trigger" and key not in self.open:
            self.pages.append(key)
            self.open[key] = "triggered"
        elif action == "acknowledge" and key in self.open:
            self.open[key] = "acknowledged"
        elif action == "resolve":
            self.open.pop(key, None)
        return Answer(202, {"status": "success", "message": "Event processed", "dedup_key": key})


THROTTLED = Answer(
    429,
    {
        "status": "throttle exceeded",
        "message": "Requests for this service are arriving too quickly.  Please retry later.",
    },
)


def _invalid(*errors: str) -> Answer:
    document = {"status": "invalid event", "message": "Event object is invalid"}
    return Answer(400, document | {"errors": list(errors)})


def _wrong(event: dict[str, Any]) -> list[str]:
    """What PagerDuty finds wrong with an event."""
    wrong: list[str] = []
    key = event.get("routing_key")
    if not isinstance(key, str) or not key:
        wrong.append("'routing_key' is missing or blank")
    elif not re.fullmatch(r"[A-Za-z0-9]{32}", key):
        wrong.append("Length of 'routing_key' is incorrect (should be 32 characters)")
    if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        wrong.append("'event_action' is invalid (must be trigger, acknowledge or resolve)")
    dedup = event.get("dedup_key")
    if dedup is None and event.get("event_action") in {"acknowledge", "resolve"}:
        wrong.append("'dedup_key' is missing or blank")
    if dedup is not None and (not isinstance(dedup, str) or not 1 <= len(dedup) <= 255):
        wrong.append("Length of 'dedup_key' is incorrect (must be at most 255 characters)")
    if event.get("event_action") == "trigger":
        wrong += _wrong_payload(event.get("payload"))
    return wrong + [
        "'links' must be objects with an 'href'"
        for link in event.get("links", [])
        if not isinstance(link, dict) or not isinstance(link.get("href"), str)
    ]


def _wrong_payload(payload: Any) -> list[str]:
    if not isinstance(payload, dict):
        return ["'payload' is missing or blank"]
    wrong = [
        f"'payload.{name}' is missing or blank"
        for name in ("summary", "source", "severity")
        if not isinstance(payload.get(name), str) or not payload[name].strip()
    ]
    if len(str(payload.get("summary", ""))) > 1024:
        wrong.append("Length of 'payload.summary' is incorrect (must be at most 1024 characters)")
    if payload.get("severity") not in {"critical", "error", "warning", "info"}:
        wrong.append("'payload.severity' is invalid (must be critical, error, warning or info)")
    if not isinstance(payload.get("custom_details", {}), dict):
        wrong.append("'payload.custom_details' must be an object")
    return wrong


# -- webhook -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Delivery:
    """A webhook whose signature holds."""

    id: str
    at: int
    document: Any


class WebhookReceiver(HttpService):
    """Takes signed webhooks (Standard Webhooks 1.0): forged or old ones 401, known ids once.

    Attributes:
        taken: deliveries, each id once.
        again: ids that came more than once.
    """

    tolerance_s = 300

    def __init__(self, authority: Authority | None, secret: str = WEBHOOK_SECRET) -> None:
        super().__init__(authority)
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self.taken: list[Delivery] = []
        self.again: list[str] = []

    def __repr__(self) -> str:
        return f"WebhookReceiver({[one.id for one in self.taken]}, {self.statuses})"

    def answer(self, path: str, headers: dict[str, str], body: bytes) -> Answer:
        del path
        number, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not number or "." in number or not at.isdecimal():
            return Answer(400, {"error": "a header is missing"})
        if abs(time.time() - int(at)) > self.tolerance_s:
            return Answer(401, {"error": "too old or too new"})
        signed = f"{number}.{at}.".encode() + body
        right = base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        given = [one.partition(",") for one in headers.get("webhook-signature", "").split(" ")]
        if not any(v == "v1" and hmac.compare_digest(sign, right) for v, _, sign in given):
            return Answer(401, {"error": "no signature holds"})
        if number in {one.id for one in self.taken}:
            self.again.append(number)
        else:
            self.taken.append(Delivery(number, int(at), json.loads(body)))
        return Answer(200, {})


# -- mail ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mail:
    """A message that the server has taken."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The message as it is stored, with LF, and read by the standard library."""
        stored = self.raw.replace(b"\r\n", b"\n")
        return email.message_from_bytes(stored, policy=email.policy.default)


class MailServer(_Recorder):
    """SMTP (RFC 5321) with STARTTLS (3207) or TLS from the start (8314), and AUTH PLAIN (4954).

    It takes mail only after a login, and a login only over TLS.

    Args:
        authority: vouches for it.
        implicit_tls: TLS from the first byte, instead of STARTTLS.

    Attributes:
        fault: called with each command line; what it returns is answered instead.
        unknown: recipients that are refused.
    """

    def __init__(self, authority: Authority, *, implicit_tls: bool = False) -> None:
        super().__init__()
        self.implicit_tls = implicit_tls
        self.authority = authority
        self.mails: list[Mail] = []
        self.unknown: set[str] = set()
        self.fault: Callable[[str], str | None] = lambda _: None
        self.stopping = threading.Event()
        self.port = 0

    def __repr__(self) -> str:
        return f"MailServer({[one.message['Subject'] for one in self.mails]})"

    @property
    def url(self) -> str:
        """Its address with the login, as the settings take it."""
        scheme = "smtps" if self.implicit_tls else "smtp"
        return f"{scheme}://{MAIL_USER}:p%40ss%3A%2Fword%2520@127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[MailServer]:
        """Answer for the block."""

        class Handler(_Smtp):
            service = self

        server = _MailTcp(("127.0.0.1", self.port), Handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            server.shutdown()
            server.server_close()
            thread.join()


class _MailTcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """Say nothing: clients hang up."""


class _Smtp(socketserver.BaseRequestHandler):
    service: MailServer
    request: socket.socket

    def handle(self) -> None:
        self.secure = self.logged_in = False
        self.sender, self.recipients = "", list[str]()
        if self.service.implicit_tls:
            self._encrypt()
        self._open()
        self._say("220 localhost ESMTP")
        while line := self.stream.readline(4096):
            command = line.decode("ascii").removesuffix("\r\n")
            answer = self.service.fault(command)
            if answer is None:
                answer = self._answer(command)
            if answer:
                self._say(answer)
            if command.upper() == "QUIT" or answer.startswith("421"):
                return

    def _answer(self, command: str) -> str:
        verb = command.partition(" ")[0].upper()
        step = getattr(self, f"_{verb.lower()}", None)
        return str(step(command)) if step else "502 5.5.1 not implemented"

    def _ehlo(self, _: str) -> str:
        offers = ["localhost", "8BITMIME", "SIZE 1000000"]
        offers += ["AUTH PLAIN"] if self.secure else ["STARTTLS"]
        return "\r\n".join([f"250-{one}" for one in offers[:-1]] + [f"250 {offers[-1]}"])

    def _starttls(self, _: str) -> str:
        if self.secure:
            return "503 5.5.1 already"
        self._say("220 2.0.0 go ahead")
        self._encrypt()
        self._open()
        return ""

    def _auth(self, command: str) -> str:
        if not self.secure:
            return "530 5.7.0 Must issue a STARTTLS command first"
        given = command.split(" ")
        if len(given) != 3 or given[1].upper() != "PLAIN":
            return "504 5.5.4 mechanism"
        try:
            _, user, password = base64.b64decode(given[2], validate=True).decode().split("\0")
        except (binascii.Error, ValueError):
            return "501 5.5.2 cannot decode"
        self.logged_in = (user, password) == (MAIL_USER, MAIL_PASSWORD)
        return "235 2.7.0 welcome" if self.logged_in else "535 5.7.8 credentials invalid"

    def _mail(self, command: str) -> str:
        found = re.fullmatch(r"(?i)MAIL FROM:<([^<>\s]*)>( [A-Z0-9=]+)*", command)
        if not self.logged_in:
            return "530 5.7.0 Authentication required"
        if found is None:
            return "501 5.5.4 syntax"
        self.sender, self.recipients = found[1], []
        return "250 2.1.0 ok"

    def _rcpt(self, command: str) -> str:
        found = re.fullmatch(r"(?i)RCPT TO:<([^<>\s]+@[^<>\s]+)>", command)
        if found is None:
            return "501 5.5.4 syntax"
        if found[1] in self.service.unknown:
            return "550 5.1.1 no such user"
        self.recipients.append(found[1])
        return "250 2.1.5 ok"

    def _data(self, _: str) -> str:
        if not self.recipients:
            return "503 5.5.1 no recipients"
        self._say("354 go on")
        lines: list[bytes] = []
        while (line := self.stream.readline(1_000_000)) != b".\r\n":
            if not line.endswith(b"\r\n") or len(line) > 1000:
                return "500 5.5.2 line too long, or not ended by CRLF"
            lines.append(line.removeprefix(b".") if line.startswith(b".") else line)
        with self.service.lock:
            self.service.mails.append(Mail(self.sender, tuple(self.recipients), b"".join(lines)))
        return "250 2.0.0 taken"

    def _rset(self, _: str) -> str:
        self.sender, self.recipients = "", []
        return "250 2.0.0 ok"

    def _noop(self, _: str) -> str:
        return "250 2.0.0 ok"

    def _quit(self, _: str) -> str:
        return "221 2.0.0 bye"

    def _encrypt(self) -> None:
        self.request = self.service.authority.server.wrap_socket(self.request, server_side=True)
        self.secure = True

    def _open(self) -> None:
        self.stream = self.request.makefile("rb")

    def _say(self, line: str) -> None:
        self.request.sendall(line.encode() + b"\r\n")

    def finish(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError):
            self.request.close()


# -- all of them ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class AlertServices:
    """One of each, served; `chat` is open to the bot of Telegram."""

    authority: Authority
    telegram: BotApi
    pagerduty: PagerDuty
    webhook: WebhookReceiver
    mail: MailServer
    chat: int = -1001234567890

    @property
    def told(self) -> list[str]:
        """Texts in the chat of Telegram, oldest first, as its members read them."""
        return [one.text for one in self.telegram.users[self.chat].heard]


@contextlib.contextmanager
def alert_services(folder: Path, *, throttles: bool = True) -> Iterator[AlertServices]:
    """Serve all of them over TLS, under an authority whose certificate is made in a folder.

    Args:
        folder: for the certificates.
        throttles: whether Telegram takes one message a second in a chat, as it does.
    """

    authority = Authority(folder)
    pagerduty, webhook = PagerDuty(authority), WebhookReceiver(authority)
    mail = MailServer(authority)
    with (
        serving(BotApi(throttles=throttles), authority) as telegram,
        pagerduty.running(),
        webhook.running(),
        mail.running(),
    ):
        found = AlertServices(authority, telegram, pagerduty, webhook, mail)
        telegram.user(found.chat)
        yield found
