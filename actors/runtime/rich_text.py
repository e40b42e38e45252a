"""Text with a few marked parts, written as Telegram's HTML or plain.

Invariants: the HTML is balanced whatever the text holds, also after a cut, because a cut is made in
the text and the tags are put around afterwards; length is counted as Telegram counts it after
parsing, in UTF-16 units and therefore never less than in characters.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from enum import StrEnum
from string import Formatter
from typing import Final

MAX_MESSAGE: Final = 4096  # characters of a message
MAX_CAPTION: Final = 1024  # characters of a caption
_MORE: Final = "…"


class Mark(StrEnum):
    """How a part is shown; the value is its HTML tag."""

    NONE = ""
    BOLD = "b"
    CODE = "code"  # Telegram copies all of it at a tap


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of text in one style."""

    text: str
    mark: Mark = Mark.NONE

    def html(self) -> str:
        """The part as HTML."""
        text = html.escape(self.text, quote=False)
        return f"<{self.mark}>{text}</{self.mark}>" if self.mark and text else text


@dataclass(frozen=True, slots=True)
class RichText:
    """Parts, one after the other."""

    parts: tuple[Part, ...]

    def html(self) -> str:
        """For `parse_mode=HTML`."""
        return "".join(part.html() for part in self.parts)

    def plain(self) -> str:
        """Without any marks."""
        return "".join(part.text for part in self.parts)

    def cut(self, most: int) -> RichText:
        """At most `most` UTF-16 units of it, with an ellipsis where something is left out."""
        if units(self.plain()) <= most:
            return self
        left = most - units(_MORE)
        kept: list[Part] = []
        for part in self.parts:
            text = head(part.text, left)
            kept.append(Part(text, part.mark))
            left -= units(text)
            if len(text) < len(part.text):
                break
        return RichText((*kept, Part(_MORE)))

    def __add__(self, other: RichText) -> RichText:
        return RichText(self.parts + other.parts)


def units(text: str) -> int:
    """Length in UTF-16 units."""
    return len(text) + sum(char > "\uffff" for char in text)


def code(text: str) -> Part:
    """Text to be copied."""
    return Part(text, Mark.CODE)


def bold(text: str) -> Part:
    """Text that stands out."""
    return Part(text, Mark.BOLD)


def fill(template: str, **values: str | Part) -> RichText:
    """`template` with its `{names}` replaced; nothing in a value is markup."""
    parts: list[Part] = []
    for literal, name, _, _ in Formatter().parse(template):
        if literal:
            parts.append(Part(literal))
        if name is not None:
            value = values[name]
            parts.append(value if isinstance(value, Part) else Part(value))
    return RichText(tuple(parts))


def head(text: str, most: int) -> str:
    """The longest beginning of `text` that has at most `most` UTF-16 units."""
    taken = 0
    for at, char in enumerate(text):
        taken += units(char)
        if taken > most:
            return text[:at]
    return text
