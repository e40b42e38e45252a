"""What a host's owner of XDP is to do, kept on disk, so that its next life does it as well.

The kernel detaches what is not pinned when the owner dies, and its tables go with it. What people
asked for holds on: the next life of the same session reads here what was attached, in which mode,
with which rules, and what somebody had detached. Another session begins anew. How long an interface
was without its program is told from the time of the file, which each look sets.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from actors.runtime.state_files import ensure_directory, write_atomic
from actors.xdp.contract import Mode, Rules  # noqa: TC001 - pydantic reads them

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LARGEST: Final = 32 << 20  # bytes: two full lists of denied networks take a fifth of it


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class KeptWish:
    """What is wished on one interface.

    Attributes:
        mode, pin: as it is to be attached.
        rules: what it is to drop; None: nothing.
        attached: whether it was attached at the last look.
        yielded: index of the interface from which somebody detached it, if so.
    """

    mode: Mode
    pin: bool
    rules: Rules | None = None
    attached: bool = False
    yielded: int | None = None


_WISH: Final = TypeAdapter(KeptWish)


@dataclass(frozen=True, slots=True)
class Kept:
    """What an earlier life has left.

    Attributes:
        wishes: by name of the interface.
        alive_at: Unix time of its last look, s.
        unread: why a record cannot be read, by name of the interface.
    """

    wishes: Mapping[str, KeptWish]
    alive_at: float
    unread: Mapping[str, str] = field(default_factory=dict)


class WishFile:
    """The file of one owner.

    Args:
        path: where it is; its directory is made when it is written.
        session: the session whose wishes these are, and nobody else's.
        network_namespace: inode of that of the interfaces.
    """

    def __init__(self, path: Path, session: str, network_namespace: int) -> None:
        self._path = path
        self._whose = {"session": session, "network_namespace": network_namespace}
        self._written: Mapping[str, KeptWish] | None = None

    def read(self) -> Kept | None:
        """What an earlier life of this session has left; None: there was none.

        Raises:
            OSError: it cannot be read.
            ValueError: it is no file of this kind.
        """
        try:
            with self._path.open("rb") as opened:
                state = os.fstat(opened.fileno())
                if state.st_size > LARGEST:
                    raise ValueError(f"it has {state.st_size:,} bytes")
                content = json.load(opened)
        except FileNotFoundError:
            return None
        if not isinstance(content, dict) or not isinstance(content.get("interfaces"), dict):
            raise ValueError("it has no interfaces")  # noqa: TRY004 - of content, not of a type
        if any(content.get(key) != value for key, value in self._whose.items()):
            return None
        return _kept(content["interfaces"], state.st_mtime)

    def keep(self, wishes: Mapping[str, KeptWish]) -> None:
        """Write what is wished, if that has changed; note in any case that its owner lives.

        Raises:
            X0Error: its directory cannot be used.
            OSError: it cannot be written.
        """
        if wishes == self._written:
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._path)
                return
        ensure_directory(self._path.parent)
        interfaces = {name: asdict(wish) for name, wish in wishes.items()}
        content = json.dumps({**self._whose, "interfaces": interfaces}, indent=1)
        write_atomic(self._path, content.encode(), private=True)
        self._written = dict(wishes)


def _kept(records: Mapping[str, Any], alive_at: float) -> Kept:
    wishes, unread = {}, {}
    for name, record in records.items():
        try:
            wishes[name] = _WISH.validate_python(record)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            unread[name] = f"{where}: {first['msg']}"
    return Kept(wishes, alive_at, unread)
