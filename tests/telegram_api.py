"""A loopback Bot API server that refuses what Telegram refuses, with Telegram's words.

It keeps chats, messages, replies, updates and callback queries; parses HTML and legacy Markdown;
cleans texts as Telegram does (td/telegram/misc.cpp, `clean_input_string`); counts them in UTF-16
units, which is stricter than counting characters; throttles; and misbehaves on request. People are
played with `user.says(...)` and `user.presses(...)`.
"""

from __future__ import annotations

import contextlib
import html
import json
import re
import struct
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.local_tls import LocalServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.local_tls import Authority

TOKEN = "7654321098:AAcanaryCANARYcanaryCANARYcanary-_xyz"  # noqa: S105 - opens nothing
BOT = {"id": 7654321098, "is_bot": True, "first_name": "Shop", "username": "shop_bot"}
_TAGS = {
    "b",
    "strong",
    "i",
    "em",
    "u",
    "ins",
    "s",
    "strike",
    "del",
    "code",
    "pre",
    "a",
    "tg-spoiler",
}
_OPTIONS = ("link_preview_options", "reply_parameters")
_TIMED = re.compile(r"send|edit")
_NAME = re.compile(r"[a-z0-9_]{1,32}")


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of the tests
    """What a request is answered with."""

    def __init__(self, status: int, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after


@dataclass(frozen=True)
class Call:
    """One request: its method, its parameters with JSON read, its files, when it came."""

    method: str
    params: dict[str, Any]
    files: dict[str, bytes]
    at: float  # s, monotonic


@dataclass
class Sent:
    """A message of the bot, as it stands now."""

    chat: int
    id: int
    text: str = ""  # as parsed; the caption of a picture
    marked: list[tuple[str, str]] = field(default_factory=list)  # tag and text
    picture: bytes = b""
    keyboard: list[list[dict[str, Any]]] = field(default_factory=list)
    edits: int = 0
    reply_to: int | None = None
    raw: str = ""  # as it was sent

    @property
    def codes(self) -> list[str]:
        """What a tap copies."""
        return [text for tag, text in self.marked if tag == "code"]

    @property
    def buttons(self) -> dict[str, str]:
        """Data by label."""
        row = (one for row in self.keyboard for one in row)
        return {one["text"]: one.get("callback_data", "") for one in row}

    @property
    def copies(self) -> list[str]:
        """What its buttons copy."""
        row = (one for row in self.keyboard for one in row)
        return [one["copy_text"]["text"] for one in row if "copy_text" in one]

    def document(self) -> dict[str, Any]:
        """As the API shows it."""
        shown: dict[str, Any] = {
            "message_id": self.id,
            "date": int(time.time()),
            "chat": {"id": self.chat, "type": "private" if self.chat > 0 else "group"},
            "from": BOT,
        }
        if not self.picture:
            return {**shown, "text": self.text}
        photo = {"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}
        return {**shown, "photo": [photo], "caption": self.text}


@dataclass
class User:
    """Somebody with a private chat."""

    api: BotApi
    chat: int
    language: str
    blocked: bool = False

    def says(self, text: str) -> int:
        """Type a message; its id."""
        with self.api.lock:
            number = self.api.next_message()
            message = self._message(number) | {"text": text}
            self.api.put({"message": message})
        return number

    def presses(self, message: Sent, label: str) -> str:
        """Press a button that a message has now; the id of the query."""
        return self.sends(message.id, message.buttons[label])

    def sends(self, message: int, data: str, *, times: int = 1) -> str:
        """Press a button, whatever it is."""
        for _ in range(times):
            with self.api.lock:
                query = f"q{len(self.api.queries)}"
                self.api.queries[query] = time.monotonic()
                sent = self.api.messages.get((self.chat, message))
                shown = sent.document() if sent else self._message(message) | {"date": 0}
                self.api.put(
                    {
                        "callback_query": {
                            "id": query,
                            "from": self._person(),
                            "chat_instance": "c",
                            "message": shown,
                            "data": data,
                        }
                    }
                )
        return query

    @property
    def heard(self) -> list[Sent]:
        """All messages of the bot in this chat, oldest first."""
        with self.api.lock:
            found = [one for (chat, _), one in self.api.messages.items() if chat == self.chat]
        return sorted(found, key=lambda one: one.id)

    def wait(self, sought: str | Callable[[Sent], bool], timeout_s: float = 120) -> Sent:
        """The newest message that has these words, or meets a condition."""
        meets = sought if callable(sought) else lambda one: sought in one.text
        deadline = time.monotonic() + timeout_s
        while True:
            for one in reversed(self.heard):
                if meets(one):
                    return one
            texts = [one.text for one in self.heard]
            assert time.monotonic() < deadline, f"not said: {sought}; said: {texts}"
            time.sleep(0.02)

    def _person(self) -> dict[str, Any]:
        return {
            "id": self.chat,
            "is_bot": False,
            "first_name": "A_*<b>",
            "language_code": self.language,
        }

    def _message(self, number: int) -> dict[str, Any]:
        chat = {"id": self.chat, "type": "private", "first_name": "A"}
        if self.chat < 0:
            chat = {"id": self.chat, "type": "group", "title": "A"}
        return {
            "message_id": number,
            "date": int(time.time()),
            "chat": chat,
            "from": self._person(),
        }


class BotApi:
    """The state behind the server."""

    def __init__(self, *, throttles: bool = True, query_life_s: float = 15.0) -> None:
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self.throttles = throttles
        self.query_life_s = query_life_s
        self.users: dict[int, User] = {}
        self.messages: dict[tuple[int, int], Sent] = {}
        self.queries: dict[str, float] = {}
        self.answered: list[str] = []
        self.updates: list[dict[str, Any]] = []
        self.webhook: dict[str, Any] = {}
        self.commands: dict[str, list[dict[str, str]]] = {}
        self.calls: list[Call] = []
        self.refusals: list[tuple[str, Refusal]] = []
        self.fault: Callable[[Call], None] = lambda _: None
        self._last: dict[int, float] = {}
        self._all: deque[float] = deque()
        self._numbers = 0
        self._update = 100
        self._poll = 0
        self.server: LocalServer | None = None

    @property
    def url(self) -> str:
        """Its address, while it is served."""
        assert self.server is not None
        return self.server.url

    # -- people ----------------------------------------------------------------------------------

    def user(self, chat: int, language: str = "en") -> User:
        """Somebody who has opened the chat."""
        self.users[chat] = User(self, chat, language)
        return self.users[chat]

    def next_message(self) -> int:
        self._numbers += 1
        return self._numbers

    def put(self, update: dict[str, Any]) -> None:
        """Queue an update."""
        with self.lock:
            self._update += 1
            self.updates.append({"update_id": self._update, **update})
            self._changed.notify_all()

    def settled(self, timeout_s: float = 120) -> None:
        """Wait until every update was acknowledged."""
        deadline = time.monotonic() + timeout_s
        while self.updates:
            assert time.monotonic() < deadline, "updates are not acknowledged"
            time.sleep(0.02)

    def push(self, address: str) -> list[int]:
        """Send what is queued to a webhook, as behind its TLS; the statuses."""
        statuses = []
        for update in list(self.updates):
            headers = {"X-Telegram-Bot-Api-Secret-Token": self.webhook["secret_token"]}
            path = urlsplit(self.webhook["url"]).path
            answer = httpx.post(
                address + path, json=update, headers=headers, trust_env=False, timeout=20
            )
            statuses.append(answer.status_code)
            if answer.is_success:
                self.updates.remove(update)
        return statuses

    def count(self, method: str) -> int:
        """How often a method was called."""
        with self.lock:
            return sum(call.method == method for call in self.calls)

    # -- methods ---------------------------------------------------------------------------------

    def answer(self, token: str, call: Call) -> Any:
        """The result of a call.

        Raises:
            Refusal: it is refused.
        """
        if token != TOKEN:
            known = re.fullmatch(r"\d+:[\w-]{30,}", token)
            raise Refusal(401, "Unauthorized") if known else Refusal(404, "Not Found")
        with self.lock:
            self.calls.append(call)
        self.fault(call)
        method = getattr(self, f"_{call.method}", None)
        if method is None:
            raise Refusal(404, "Not Found")
        if call.method == "getUpdates":
            return self._getUpdates(call)
        with self.lock:
            if _TIMED.match(call.method):
                self._throttle(int(call.params.get("chat_id", 0)), call.at)
            return method(call)

    def _throttle(self, chat: int, now: float) -> None:
        if not self.throttles:
            return
        while self._all and self._all[0] <= now - 1:
            self._all.popleft()
        if now - self._last.get(chat, now - 1) < 1 or len(self._all) >= 30:
            raise Refusal(429, "Too Many Requests: retry after 1", retry_after=1)
        self._last[chat] = now
        self._all.append(now)

    def _getMe(self, _call: Call) -> Any:  # noqa: N802 - the API's names
        return {**BOT, "can_join_groups": True}

    def _setMyCommands(self, call: Call) -> bool:  # noqa: N802
        commands = call.params["commands"]
        if not 1 <= len(commands) <= 100:
            raise Refusal(400, "Bad Request: too many commands")
        for one in commands:
            if not _NAME.fullmatch(one["command"]) or not 1 <= len(one["description"]) <= 256:
                raise Refusal(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands[call.params.get("language_code", "")] = commands
        return True

    def _setWebhook(self, call: Call) -> bool:  # noqa: N802
        if not call.params["url"].startswith("https://"):
            raise Refusal(
                400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"
            )
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", call.params["secret_token"]):
            raise Refusal(400, "Bad Request: secret token contains unallowed characters")
        self.webhook = call.params
        return True

    def _deleteWebhook(self, _call: Call) -> bool:  # noqa: N802
        self.webhook = {}
        return True

    def _getUpdates(self, call: Call) -> Any:  # noqa: N802
        offset = int(call.params.get("offset", 0))
        deadline = call.at + float(call.params.get("timeout", 0))
        with self.lock:
            if self.webhook:
                raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active")
            self._poll += 1
            mine = self._poll
            self._changed.notify_all()
            self.updates = [one for one in self.updates if one["update_id"] >= offset]
            while not self.updates and time.monotonic() < deadline:
                self._changed.wait(0.2)
                if self._poll != mine:
                    raise Refusal(409, "Conflict: terminated by other getUpdates request")
            return self.updates[: int(call.params.get("limit", 100))]

    def _answerCallbackQuery(self, call: Call) -> bool:  # noqa: N802
        query = call.params["callback_query_id"]
        made = self.queries.get(query)
        if made is None or query in self.answered or call.at - made > self.query_life_s:
            raise Refusal(
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
            )
        self.answered.append(query)
        return True

    def _sendMessage(self, call: Call) -> Any:  # noqa: N802
        user = self._reach(call)
        sent = Sent(user.chat, self.next_message())
        sent.reply_to = self._replied(user, call.params)
        self._fill(sent, call.params.get("text", ""), call.params, 4096, "message")
        if not sent.text.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        return self._keep(sent, call.params)

    def _replied(self, user: User, params: dict[str, Any]) -> int | None:
        wanted = params.get("reply_parameters")
        if wanted is None or (user.chat, wanted["message_id"]) in self.messages:
            return None if wanted is None else int(wanted["message_id"])
        if not wanted.get("allow_sending_without_reply"):
            raise Refusal(400, "Bad Request: message to be replied not found")
        return None

    def _sendPhoto(self, call: Call) -> Any:  # noqa: N802
        user = self._reach(call)
        sent = Sent(user.chat, self.next_message())
        sent.picture = _picture(call, call.params.get("photo", "attach://photo"))
        self._fill(sent, call.params.get("caption", ""), call.params, 1024, "message caption")
        return self._keep(sent, call.params)

    def _editMessageText(self, call: Call) -> Any:  # noqa: N802
        old = self._edited(call)
        if old.picture:
            raise Refusal(400, "Bad Request: there is no text in the message to edit")
        new = Sent(old.chat, old.id, edits=old.edits + 1)
        self._fill(new, call.params.get("text", ""), call.params, 4096, "message")
        return self._replace(old, new, call.params)

    def _editMessageMedia(self, call: Call) -> Any:  # noqa: N802
        old = self._edited(call)
        media = call.params["media"]
        if media["type"] != "photo":
            raise Refusal(400, "Bad Request: unsupported media")
        new = Sent(old.chat, old.id, edits=old.edits + 1)
        new.picture = _picture(call, media["media"])
        self._fill(new, media.get("caption", ""), media, 1024, "message caption")
        return self._replace(old, new, call.params)

    # -- rules -----------------------------------------------------------------------------------

    def _reach(self, call: Call) -> User:
        try:
            user = self.users[int(call.params["chat_id"])]
        except (KeyError, ValueError):
            raise Refusal(400, "Bad Request: chat not found") from None
        if user.blocked:
            raise Refusal(403, "Forbidden: bot was blocked by the user")
        return user

    def _edited(self, call: Call) -> Sent:
        user = self._reach(call)
        try:
            return self.messages[user.chat, int(call.params["message_id"])]
        except KeyError:
            raise Refusal(400, "Bad Request: message to edit not found") from None

    def _fill(self, sent: Sent, text: str, params: Any, most: int, what: str) -> None:
        sent.raw = text
        sent.text, sent.marked = parsed(_cleaned(text), params.get("parse_mode") or None)
        if len(sent.text.encode("utf-16-le")) // 2 > most:
            raise Refusal(400, f"Bad Request: {what} is too long")

    def _keep(self, sent: Sent, params: dict[str, Any]) -> Any:
        sent.keyboard = _keyboard(params.get("reply_markup"))
        self.messages[sent.chat, sent.id] = sent
        return sent.document()

    def _replace(self, old: Sent, new: Sent, params: dict[str, Any]) -> Any:
        new.keyboard = _keyboard(params.get("reply_markup"))
        same = (old.text, old.marked, old.picture, old.keyboard)
        if same == (new.text, new.marked, new.picture, new.keyboard) and not new.picture:
            raise Refusal(
                400,
                "Bad Request: message is not modified: specified new message content and reply "
                "markup are exactly the same as a current content and reply markup of the message",
            )
        self.messages[new.chat, new.id] = new
        return new.document()


def _cleaned(text: str) -> str:
    """What Telegram keeps of a text: no control characters, no bidi embeddings, no edges."""
    text = re.sub(r"[\r\u2028-\u202e\u0333\u033f\u030a]", "", text)
    return re.sub(r"[\x00-\x09\x0b-\x1f]", " ", text).strip()


def parsed(text: str, mode: str | None) -> tuple[str, list[tuple[str, str]]]:
    """A text without its markup, and what was marked.

    Raises:
        Refusal: the markup is broken.
    """
    if mode is None:
        return text, []
    if mode == "HTML":
        parser = _Html()
        parser.feed(text)
        parser.close()
        return parser.finished()
    if mode == "Markdown":
        return _markdown(text)
    raise Refusal(400, f"Bad Request: unsupported parse_mode {mode}")


class _Html(HTMLParser):
    """Telegram's HTML: few tags, all closed, and no < but of a tag."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self._text: list[str] = []
        self._open: list[tuple[str, int]] = []
        self._marked: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _TAGS or (tag != "a" and attrs):
            raise Refusal(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self._open.append((tag, len("".join(self._text))))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1][0] != tag:
            raise Refusal(400, "Bad Request: can't parse entities: Unmatched end tag")
        tag, start = self._open.pop()
        self._marked.append((tag, "".join(self._text)[start:]))

    def handle_data(self, data: str) -> None:
        if "<" in data:
            raise Refusal(400, 'Bad Request: can\'t parse entities: Unsupported start tag ""')
        self._text.append(data)

    def handle_entityref(self, name: str) -> None:
        known = name in {"lt", "gt", "amp", "quot"}
        self._text.append(html.unescape(f"&{name};") if known else f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._text.append(html.unescape(f"&#{name};"))

    def unknown_decl(self, data: str) -> None:
        raise Refusal(400, f"Bad Request: can't parse entities: {data[:20]}")

    handle_comment = handle_decl = handle_pi = unknown_decl

    def finished(self) -> tuple[str, list[tuple[str, str]]]:
        if self._open:
            raise Refusal(
                400,
                "Bad Request: can't parse entities: Can't find end tag corresponding to start tag "
                f'"{self._open[-1][0]}"',
            )
        return "".join(self._text), self._marked


def _markdown(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Legacy Markdown: pairs of * _ ` and links; a backslash takes the meaning of the next away."""
    shown: list[str] = []
    marked: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and text[at + 1 : at + 2] in set("_*`["):
            shown.append(text[at + 1])
            at += 2
        elif char in "*_`[":
            end = text.find("]" if char == "[" else char, at + 1)
            if end < 0:
                raise Refusal(
                    400,
                    "Bad Request: can't parse entities: Can't find end of the entity starting at "
                    f"byte offset {len(text[:at].encode())}",
                )
            marked.append((char, text[at + 1 : end]))
            shown.append(text[at + 1 : end])
            at = end + 1
        else:
            shown.append(char)
            at += 1
    return "".join(shown), marked


def _keyboard(markup: Any) -> list[list[dict[str, Any]]]:
    if markup is None:
        return []
    rows: list[list[dict[str, Any]]] = markup["inline_keyboard"]
    if sum(map(len, rows)) > 100 or any(not 1 <= len(row) <= 8 for row in rows):
        raise Refusal(400, "Bad Request: reply markup is too long")
    for row in rows:
        for one in row:
            _check_button(one)
    return rows


def _check_button(one: dict[str, Any]) -> None:
    if not one.get("text"):
        raise Refusal(400, "Bad Request: can't parse inline keyboard button: no text")
    if len(set(one) - {"text"}) != 1:
        raise Refusal(400, "Bad Request: Text buttons are unallowed in the inline keyboard")
    if not 1 <= len(one.get("callback_data", "x").encode()) <= 64:
        raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
    if not 1 <= len(one.get("copy_text", {"text": "x"})["text"]) <= 256:
        raise Refusal(400, "Bad Request: BUTTON_COPY_TEXT_INVALID")


def _picture(call: Call, name: str) -> bytes:
    content = call.files.get(name.removeprefix("attach://"), b"")
    if not content:
        raise Refusal(400, "Bad Request: there is no photo in the request")
    try:
        width, height, _ = png(content)
    except (ValueError, zlib.error, struct.error):
        raise Refusal(400, "Bad Request: IMAGE_PROCESS_FAILED") from None
    if width + height > 10_000 or max(width, height) > 20 * min(width, height):
        raise Refusal(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
    return content


def png(content: bytes) -> tuple[int, int, list[bytes]]:
    """Width, height and rows, a byte a pixel, of a greyscale PNG of 1 bit.

    Raises:
        ValueError, zlib.error, struct.error: it is none.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG")
    at, data, head = 8, b"", b""
    while at < len(content):
        (size,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        (check,) = struct.unpack(">I", content[at + 8 + size : at + 12 + size])
        if zlib.crc32(kind + body) != check:
            raise ValueError("broken PNG")
        head, data = (body if kind == b"IHDR" else head), data + (body if kind == b"IDAT" else b"")
        at += 12 + size
    width, height, depth, colour = struct.unpack(">IIBB", head[:10])
    if (depth, colour) != (1, 0):
        raise ValueError("another PNG")
    stride = (width + 7) // 8 + 1
    raw = zlib.decompress(data)
    rows, rows_raw = [], [bytes(stride - 1)]
    for row in range(height):
        line = raw[row * stride : (row + 1) * stride]
        if line[0] == 2:  # the difference to the line above
            above = rows_raw[-1]
            line = bytes(1) + bytes((a + b) % 256 for a, b in zip(line[1:], above, strict=True))
        if line[0] != 0:
            raise ValueError("another PNG")
        rows_raw.append(line[1:])
        bits = f"{int.from_bytes(line[1:], 'big'):0{8 * (stride - 1)}b}"[:width]
        rows.append(bytes(255 * int(bit) for bit in bits))
    return width, height, rows


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: BotApi

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # bots are killed
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = re.fullmatch(r"/bot([^/]+)/(\w+)", self.path)
        token, method = found.groups() if found else ("", "")
        try:
            params, files = _read(self.headers.get("Content-Type", ""), body)
            call = Call(method, params, files, time.monotonic())
            self._send(200, {"ok": True, "result": self.api.answer(token, call)})
        except Refusal as error:
            self.api.refusals.append((method, error))
            document: dict[str, Any] = {
                "ok": False,
                "error_code": error.status,
                "description": error.text,
            }
            if error.retry_after is not None:
                document["parameters"] = {"retry_after": error.retry_after}
            self._send(error.status, document)
        except ConnectionAbortedError:  # a fault that breaks the connection
            self.close_connection = True

    def _send(self, status: int, document: Any) -> None:
        content = json.dumps(document).encode()
        with contextlib.suppress(OSError):  # the bot may have been killed meanwhile
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _read(kind: str, body: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    if kind.startswith("application/json"):
        return json.loads(body), {}
    if not kind.startswith("multipart/form-data"):
        pairs = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body))
        return {name: _value(name, text) for name, text in pairs}, {}
    boundary = kind.partition("boundary=")[2].encode()
    params: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
        if part.endswith(b"\r\n"):
            content = part[2:-2].partition(b"\r\n\r\n")[2]
        named = re.search(rb'name="([^"]*)"', head)
        assert named is not None
        name = named[1].decode()
        if b"filename=" in head:
            files[name] = content
        else:
            params[name] = _value(name, content.decode())
    return params, files


def _value(name: str, text: str) -> Any:
    if name in {"reply_markup", "media", "commands", "allowed_updates", *_OPTIONS}:
        return json.loads(text)
    return text


@contextlib.contextmanager
def serving(api: BotApi, authority: Authority | None = None) -> Iterator[BotApi]:
    """Serve an API on loopback, over https where an authority is given; see `api.url`."""
    handler = type("Handler", (_Handler,), {"api": api})
    with LocalServer(handler, authority).running() as api.server:
        yield api
