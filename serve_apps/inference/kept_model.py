"""A model of a directory, read when it is first needed and again when its files change.

A model that cannot be used is told to everyone who asks for it, and looked at again at the next
request: to put a good one in its place is enough.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.runtime.errors import X0Error
from serve_apps.inference.model_file import CARD, WEIGHTS, load

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from serve_apps.inference.model_file import Model, Purpose

    Version = tuple[tuple[int, int], ...]  # time of change, ns, and size of each file


class KeptModel:
    """One model.

    Args:
        path: of its files, without a suffix.
        purpose: what it must be for.
        features: those that can be computed; None: any.
        relations: kinds of edges that are known; None: any.
    """

    def __init__(
        self,
        path: Path,
        purpose: Purpose,
        features: Collection[str] | None = None,
        relations: Collection[str] | None = None,
    ) -> None:
        self._path = path
        self._needs = {"purpose": purpose, "features": features, "relations": relations}
        self._version: Version | None = None
        self._found: Model | X0Error | None = None
        self._reading = asyncio.Lock()

    async def get(self) -> Model:
        """The model as its files say now.

        Raises:
            ModelUnusable: there is none that can be used.
        """
        version = self._seen()
        if self._found is None or version != self._version:
            async with self._reading:
                if self._found is None or version != self._version:
                    self._found = await asyncio.to_thread(self._read)
                    self._version = version
        if isinstance(self._found, X0Error):
            # A new one each time: a traceback would keep growing on one that is raised again.
            raise self._found.with_traceback(None)
        return self._found

    def _read(self) -> Model | X0Error:
        try:
            return load(self._path, **self._needs)  # type: ignore[arg-type]  # see __init__
        except X0Error as error:
            return error

    def _seen(self) -> Version:
        found = []
        for suffix in (CARD, WEIGHTS):
            try:
                status = self._path.with_suffix(suffix).stat()
                found.append((status.st_mtime_ns, status.st_size))
            except OSError:
                found.append((0, -1))
        return tuple(found)
