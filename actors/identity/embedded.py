"""An authority and a Workload API of this session's own, beside each other in one process.

They are for a machine without a SPIRE agent. All they have is in one directory of this user alone:
`authority.json` (0600), the socket `agent.sock` (0600), a lock that lets one process at a time be
the authority, and `federated/` for bundles of other trust domains.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import stat
import time
from typing import TYPE_CHECKING, Final, Self

from actors.identity.authority_file import KeptAuthority
from actors.identity.contract import AuthorityKeys, AuthorityStatus
from actors.identity.errors import AuthorityUnusable
from actors.identity.places import AUTHORITY, FEDERATED, LOCK, SERVICES, socket_of
from actors.identity.workload_server import Lives, Registration, WorkloadApi, serve
from actors.runtime.errors import Conflict
from actors.runtime.state_files import DIRECTORY_MODE, ensure_directory, exclusive_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    import grpc

    from actors.identity.authority import Authority
    from actors.identity.contract import EmbeddedOptions

HOST_HINT: Final = "host"
_LAST_S: Final = 1.0  # for streams to end by themselves
_LOCK_S: Final = 1.0  # for a process that is just ending


def registrations(host: str) -> tuple[Registration, ...]:
    """What is given out on a host, its own identity first."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", host).strip(".") or "unnamed"
    services = (Registration(f"/service/{each}", each) for each in SERVICES)
    return Registration(f"/host/{name}", HOST_HINT), *services


class EmbeddedAuthority:
    """An authority and its Workload API, from `opened` until `close`.

    Args:
        options: what it is made from.
        api: answers.
        authority: signs.
        server: listens.
        held: lets go of the lock.
    """

    def __init__(
        self,
        options: EmbeddedOptions,
        api: WorkloadApi,
        authority: KeptAuthority,
        server: grpc.aio.Server,
        held: contextlib.ExitStack,
    ) -> None:
        self._options = options
        self._api = api
        self._authority = authority
        self._server = server
        self._held = held

    @classmethod
    async def opened(cls, options: EmbeddedOptions, host: str, tell: Callable[[str], None]) -> Self:
        """Begin to answer.

        Args:
            options: what it is made from.
            host: name of this host.
            tell: is told what goes wrong later, a line each.

        Raises:
            AuthorityUnusable: its file or its directory cannot be used, or another process is the
                authority.
        """
        with contextlib.ExitStack() as taking:
            authority = await asyncio.to_thread(_taken, options, taking)
            api = WorkloadApi(
                authority,
                registrations(host),
                Lives(options.x509_s, options.jwt_s),
                options.directory / FEDERATED,
                tell,
            )
            try:
                server = await serve(api, socket_of(options.directory))
            except OSError as error:
                raise AuthorityUnusable(
                    str(options.directory),
                    f"its socket cannot be made: {error}",
                    "Set X0TTA6BL4_STATE_DIR to a directory on a local disk, with a short path.",
                ) from error
            return cls(options, api, authority, server, taking.pop_all())

    async def keep_up(self) -> None:
        """Renew what is due, until cancelled."""
        await self._api.keep_up()

    def rotate(self) -> None:
        """Give everybody new SVIDs."""
        self._api.push()

    def rotate_authority(self) -> AuthorityStatus:
        """Make new keys of the authority.

        Raises:
            AuthorityBusy: too many former keys are still trusted.
            AuthorityUnusable: they cannot be kept.
        """
        return self._told(self._api.rotate_authority())

    def status(self) -> AuthorityStatus:
        """How it is.

        Raises:
            AuthorityUnusable: a change that is due cannot be kept.
        """
        return self._told(self._authority.at(time.time()))

    def _told(self, found: Authority) -> AuthorityStatus:
        return AuthorityStatus(
            found.trust_domain,
            str(self._options.directory),
            tuple(
                AuthorityKeys(each.key_id, each.signs_from, each.not_after, each.kept_until)
                for each in found.generations
            ),
            self._api.streams,
            self._api.refused,
        )

    async def close(self) -> None:
        """Answer no more."""
        self._api.close()
        await self._server.stop(_LAST_S)
        self._held.close()


def _taken(options: EmbeddedOptions, held: contextlib.ExitStack) -> KeptAuthority:
    directory = ensure_directory(options.directory)
    try:
        if stat.S_IMODE(directory.stat().st_mode) != DIRECTORY_MODE:
            directory.chmod(DIRECTORY_MODE)
        held.enter_context(exclusive_lock(directory / LOCK, timeout_s=_LOCK_S))
    except Conflict as error:
        raise AuthorityUnusable(
            str(directory),
            "another process is this authority",
            "End the other session, or use another X0TTA6BL4_STATE_DIR.",
        ) from error
    except OSError as error:
        raise AuthorityUnusable(str(directory), error.strerror or type(error).__name__) from error
    return KeptAuthority(
        directory / AUTHORITY, options.trust_domain, max(options.x509_s, options.jwt_s)
    )
