"""A body cut into lines, in whatever parts it comes (sans-IO).

At most one unfinished line is held, and no more of it than a line may be long.
"""

from __future__ import annotations


class Lines:
    """Gathers the lines of one body.

    Args:
        longest: bytes that a line may have.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._begun: list[bytes] = []  # parts of the unfinished line
        self._length = 0  # of the unfinished line, also where it is not held any more

    def feed(self, part: bytes) -> list[bytes | None]:
        """The lines that this part ends; None for one that is too long, none for blank ones."""
        *ends, begin = part.split(b"\n")
        found = [line for end in ends if (line := self._end(end)) != b""]
        self._add(begin)
        return found

    def rest(self) -> list[bytes | None]:
        """The last line, if the body did not end with a line feed."""
        line = self._end(b"")
        return [] if line == b"" else [line]

    def _end(self, piece: bytes) -> bytes | None:
        self._add(piece)
        line = b"".join(self._begun).strip() if self._length <= self._longest else None
        self._begun, self._length = [], 0
        return line

    def _add(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length <= self._longest:
            self._begun.append(piece)
