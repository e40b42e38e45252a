"""The catalogue as its file says now, for who sells for long.

Invariants: a change of the file counts from the next question on; while the file is wrong, what it
said last counts; each mistake, and each plan whose file is not there, is told once.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from actors.payments import catalogue
from actors.payments.errors import GoodsMissing
from actors.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from actors.payments.catalogue import Catalogue


class CatalogueFile:
    """A catalogue that is read again whenever its file has changed; threads may share it.

    Args:
        path: path of the file.
        tell: told what is wrong with it.

    Raises:
        ConfigurationError: it cannot be read, or breaks a rule of `catalogue`.
    """

    def __init__(self, path: Path, tell: Callable[[ConfigurationError], None]) -> None:
        self._path = path
        self._tell = tell
        self._lock = threading.Lock()
        self._content = catalogue.read(path)
        self._catalogue = catalogue.parse(self._content, path)
        self._told: set[str] = set()

    def now(self) -> Catalogue:
        """What it says now, or said last."""
        with self._lock:
            wrong = [*self._read(), *self._missing()]
            for error in wrong:
                if str(error) not in self._told:
                    self._tell(error)
            self._told = {str(error) for error in wrong}
            return self._catalogue

    def _read(self) -> list[ConfigurationError]:
        try:
            content = catalogue.read(self._path)
            if content != self._content:
                self._catalogue = catalogue.parse(content, self._path)
                self._content = content
        except ConfigurationError as error:
            return [error]
        return []

    def _missing(self) -> list[GoodsMissing]:
        found = []
        for plan in self._catalogue.plans:
            try:
                self._catalogue.check(plan)
            except GoodsMissing as error:
                found.append(error)
        return found
