"""E-mail over SMTP (RFC 5321), encrypted by STARTTLS (RFC 3207) or from the start (RFC 8314).

All mails of a thread refer to the same message id, by which readers show them together (RFC 5322,
section 3.6.4); each has an id of its own that stays the same when it is sent again, by which
servers may drop the second. Headers hold nothing but one line: line breaks are shown by their code.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from email.charset import QP, Charset
from email.header import Header
from email.message import Message
from email.policy import Compat32
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from actors.alerts.channels.posting import instant
from actors.alerts.errors import ChannelRefused, ChannelUnavailable, FateUnknown
from actors.alerts.wording import MAX_EMAIL, Reader, message, title
from actors.runtime import log
from actors.runtime.errors import ConfigurationError
from actors.runtime.redaction import scrub
from actors.runtime.settings import variable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence

    from pydantic import SecretStr

    from actors.alerts.notice import Notice

NAME: Final = "email"
_URL: Final = variable("alerts_smtp_url")
_REMEDY: Final = f"Check {_URL}, {variable('alerts_email_from')} and {variable('alerts_email_to')}."
_SUBJECT: Final = 200  # UTF-16 units of a subject
_STEP_S: Final = 8.0  # longest wait for the server in each step
_SHOWN: Final = 200  # characters of an answer that an error shows
# A line that begins with "From " is left as it is: there is no mailbox file on the way.
_WIRE: Final = Compat32(linesep="\r\n", mangle_from_=False)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where to send mail.

    Attributes:
        host, port: address.
        user, password: login; both "" for none.
        tls_from_start: TLS from the first byte, instead of STARTTLS.
    """

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)
    tls_from_start: bool = False

    @property
    def starttls(self) -> bool | None:
        """Whether STARTTLS is demanded; None: used where it is offered.

        Only a server of this machine may do without, and only if it is shown no password.
        """
        if self.tls_from_start:
            return False
        return None if self.host in _LOOPBACK and not self.password else True


class EmailChannel:
    """Tells by mail.

    Args:
        server: sends the mail.
        sender: address that it comes from.
        recipients: addresses that it goes to.
        reader: who reads it.
        tls: whom to trust.
    """

    name = NAME
    most = 1
    pause_s = 1.0
    deadline_s = 30.0

    def __init__(
        self,
        server: MailServer,
        sender: str,
        recipients: Sequence[str],
        reader: Reader,
        tls: ssl.SSLContext,
    ) -> None:
        self._server = server
        self._sender = sender
        self._recipients = tuple(recipients)
        self._reader = reader
        self._tls = tls

    def __repr__(self) -> str:
        return f"EmailChannel({self._server.host!r}, {self._recipients!r})"

    async def deliver(self, notices: Sequence[Notice]) -> Sequence[str]:
        """Tell notices; raises as `Channel.deliver`."""
        for notice in notices:
            await self._send(mail(notice, self._sender, self._recipients, self._reader))
        return [""] * len(notices)

    async def check(self) -> None:
        """Log in to the server; raises as `Channel.check`."""
        client = await self._connected()
        await _leave(client)

    async def close(self) -> None:
        """Return: no connection is kept."""

    async def _connected(self) -> aiosmtplib.SMTP:
        server = self._server
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            local_hostname="localhost",  # the library's own choice may ask a name server
            timeout=_STEP_S,
            use_tls=server.tls_from_start,
            start_tls=server.starttls,
            tls_context=self._tls,
        )
        try:
            await client.connect()
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise _not_sent(error) from None
        return client

    async def _send(self, sent: bytes) -> None:
        client = await self._connected()
        try:
            refused, _ = await client.sendmail(self._sender, list(self._recipients), sent)
        except (aiosmtplib.SMTPServerDisconnected, TimeoutError) as error:
            raise FateUnknown(NAME, _says(error)) from None
        except (aiosmtplib.SMTPException, OSError, UnicodeError) as error:
            raise _not_sent(error) from None
        finally:
            await _leave(client)
        if refused:
            _log.warning("some addresses are refused", refused=sorted(refused))


def server_of(url: SecretStr) -> MailServer:
    """The server that a URL names: `smtp://USER:PASSWORD@HOST:PORT`, or `smtps://`.

    Raises:
        ConfigurationError: it is no such URL.
    """
    try:
        parts = urlsplit(url.get_secret_value())
        port = parts.port
    except ValueError:
        raise _no_url() from None
    extra = parts.path.strip("/") or parts.query or parts.fragment
    half_a_login = (parts.username is None) != (parts.password is None)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or extra or half_a_login:
        raise _no_url()
    secure = parts.scheme == "smtps"
    return MailServer(
        parts.hostname,
        port or (465 if secure else 587),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        tls_from_start=secure,
    )


def mail(notice: Notice, sender: str, recipients: Sequence[str], reader: Reader) -> bytes:
    """A notice as a mail, in ASCII with CRLF."""
    utf8 = Charset("utf-8")
    utf8.body_encoding = QP
    text = message(notice, reader, MAX_EMAIL, again=notice.repeated).plain()
    found: Message[Any, Any] = Message(_WIRE)
    found.set_payload(text, utf8)
    domain = sender.rpartition("@")[2]
    found["From"] = sender
    found["To"] = ", ".join(recipients)
    # Encoded also where it is ASCII: it may hold what looks like an encoded word (RFC 2047).
    subject = title(notice, _SUBJECT, again=notice.repeated)
    found["Subject"] = Header(subject, "utf-8", header_name="Subject")
    found["Date"] = format_datetime(instant(notice.at))
    found["Message-ID"] = f"<notice.{_digest(notice.id)}@{domain}>"
    # No mail has this id: an incident that comes again has the same thread, and its mails must
    # not be taken for those of the first.
    found["References"] = f"<thread.{_digest(notice.thread)}@{domain}>"
    found["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody is to answer "out of office"
    return found.as_bytes()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _no_url() -> ConfigurationError:
    return ConfigurationError(
        f"{_URL} cannot be used",
        "it is not smtp://USER:PASSWORD@HOST:PORT, or smtps://",
        "Write special characters of the password as %XX, such as %40 for @.",
        variable=_URL,
    )


def _not_sent(error: Exception) -> ChannelUnavailable | ChannelRefused:
    """What to raise for a mail that the server has not taken."""
    code = getattr(error, "code", None)
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        code = max((one.code for one in error.recipients), default=550)
    # aiosmtplib has no class of its own for a server without STARTTLS.
    unencrypted = "STARTTLS" in str(error) and not isinstance(error, OSError)
    refused = unencrypted or isinstance(error, aiosmtplib.SMTPNotSupported | UnicodeError)
    if refused or (isinstance(code, int) and 500 <= code < 600):
        return ChannelRefused(NAME, _says(error), _REMEDY)
    return ChannelUnavailable(NAME, _says(error))


def _says(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return scrub(text)[:_SHOWN]


async def _leave(client: aiosmtplib.SMTP) -> None:
    """Say goodbye, whether or not it is heard."""
    try:
        await client.quit()
    except (aiosmtplib.SMTPException, OSError) as error:
        _log.debug("the mail server did not say goodbye", error=_says(error))
    finally:
        client.close()
