"""A model of a directory, read when it is first needed and again when its files change.

Files that cannot be used take no good model away: the last one that was read goes on answering,
and why the files are not used is told to everyone who asks, until they are mended. To put a good
pair of files in their place is enough.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from serve_apps.inference.errors import ModelUnusable
from serve_apps.inference.model_file import CARD, WEIGHTS, load

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from serve_apps.inference.model_file import Model, Purpose

    # Inode, time of change in ns, and size of each file.
    Version = tuple[tuple[int, int, int], ...]


def _nobody(_error: ModelUnusable) -> None:
    """Tell nobody."""


class KeptModel:
    """One model. Thread-safe.

    Args:
        path: of its files, without a suffix.
        purpose: what it must be for.
        features: those that can be computed; None: any.
        relations: kinds of edges that are known; None: any.
        told: is told once of each pair of files that cannot be used.
    """

    def __init__(
        self,
        path: Path,
        purpose: Purpose,
        features: Collection[str] | None = None,
        relations: Collection[str] | None = None,
        told: Callable[[ModelUnusable], object] = _nobody,
    ) -> None:
        self.purpose = purpose
        self._path = path
        self._features = features
        self._relations = relations
        self._told = told
        self._version: Version | None = None
        self._model: Model | None = None
        self._fault: ModelUnusable | None = None
        self._reading = threading.Lock()

    def get(self) -> Model:
        """The model as its files say now, or else as they said when they could last be used.

        Raises:
            ModelUnusable: there has never been one that can be used.
        """
        return self.look()[0]

    def look(self) -> tuple[Model, str]:
        """The model, as of `get`, and why its files are not used as they are now; "" if they are.

        Raises:
            ModelUnusable: as of `get`.
        """
        with self._reading:
            version = self._seen()
            if version != self._version:
                self._read()
                self._version = version
            if self._model is None:
                assert self._fault is not None  # noqa: S101 - one of the two is there
                # A new one each time: a traceback would keep growing on one that is raised again.
                raise self._fault.with_traceback(None)
            return self._model, str(self._fault or "")

    def _read(self) -> None:
        try:
            self._model = load(
                self._path,
                purpose=self.purpose,
                features=self._features,
                relations=self._relations,
            )
            self._fault = None
        except ModelUnusable as error:
            self._fault = error
            self._told(error)

    def _seen(self) -> Version:
        found = []
        for suffix in (CARD, WEIGHTS):
            try:
                status = self._path.with_suffix(suffix).stat()
                found.append((status.st_ino, status.st_ctime_ns, status.st_size))
            except OSError:
                found.append((0, 0, -1))
        return tuple(found)
