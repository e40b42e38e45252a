"""Where the Workload API is: a Unix socket, by SPIFFE Workload Endpoint, section 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from actors.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "SPIFFE_ENDPOINT_SOCKET"
LONGEST: Final = 107  # bytes of a path of a socket, unix(7)


def socket_path(endpoint: str, variable: str = VARIABLE) -> str:
    """The path in an address such as `unix:///run/spire/agent.sock`.

    Args:
        endpoint: the address.
        variable: which setting it comes from, for the error.

    Raises:
        ConfigurationError: it is not the address of a Unix socket with an absolute path.
    """
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        raise _wrong(endpoint, "it is no URI", variable) from None
    if parts.scheme != "unix":
        raise _wrong(endpoint, "only Unix sockets are supported", variable)
    if parts.netloc or parts.query or parts.fragment:
        raise _wrong(endpoint, "it has a host, a query or a fragment", variable)
    if not parts.path.startswith("/") or parts.path.endswith("/") or "\0" in parts.path:
        raise _wrong(endpoint, "its path is not the absolute path of a socket", variable)
    if len(parts.path.encode()) > LONGEST:
        raise _wrong(endpoint, f"its path is longer than {LONGEST} bytes", variable)
    return parts.path


def of_environment(environment: Mapping[str, str]) -> str | None:
    """The address that the environment names, checked; None: it names none.

    Raises:
        ConfigurationError: see `socket_path`.
    """
    endpoint = environment.get(VARIABLE)
    if not endpoint:
        return None
    socket_path(endpoint)
    return endpoint


def _wrong(endpoint: str, why: str, variable: str) -> ConfigurationError:
    return ConfigurationError(
        f"{variable} is no address of a Workload API: {endpoint!r}",
        why,
        "Give one such as unix:///run/spire/sockets/agent.sock.",
        variable=variable,
    )
