"""Which node people mean, and how a node is called in front of them.

An id decides, whatever the names are. Then come, each if it fits one node alone: `name (id)` as
tables show it, a name, a name or id in another spelling of letters (case, composed or not), and
the beginning of a name or id. What fits several nodes is refused with all of them, never guessed.

Programs are served more strictly, by an id or a whole name: a beginning that fits today may fit
another node tomorrow.
"""

from __future__ import annotations

import csv
import unicodedata
from bisect import bisect_left
from functools import cached_property
from typing import TYPE_CHECKING, Final

from actors.runtime.ids import display_name
from actors.topology.errors import AmbiguousNode, UnknownNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_LINK: Final = "--"  # between the two ends of a link


def label(node: str, name: str | None) -> str:
    """`name (id)`, or the id alone where there is no name besides."""
    return f"{name} ({node})" if name and name != node else node


def link_label(a: str, b: str) -> str:
    """A link by the ids, or the labels, of its ends."""
    return f"{a}{_LINK}{b}"


def link_ends(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of ends that a link of this name may have: ids may contain the mark themselves."""
    for at in range(1, len(text) - len(_LINK)):
        if text.startswith(_LINK, at):
            yield text[:at], text[at + len(_LINK) :]


def listed(text: str) -> list[str]:
    r"""The names of `a,b`, without blanks around them and without empty ones.

    A name with a comma in it is quoted as in CSV (RFC 4180): `"Tower, south",b`.
    """
    try:
        names = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:  # a quote that is no quoting, as in `a"b`, and a NUL
        names = text.split(",")
    return [name for each in names if (name := each.strip(" "))]


class Naming:
    """Finds nodes by what people write.

    Args:
        index: positions of the nodes by id.
        names: host names by position, "" where there is none.

    Attributes:
        index: positions of the nodes by id.
    """

    def __init__(self, index: Mapping[str, int], names: Sequence[str]) -> None:
        self.index = index
        self._names = names

    def label(self, node: str) -> str:
        """The node with this id, as people are told of it."""
        return label(node, self.name_of(node))

    def name_of(self, node: str) -> str | None:
        """The name of the node with this id; None if it has none, or there is no such node."""
        at = self.index.get(node)
        return None if at is None else self._names[at] or None

    def exact(self, text: str, *, suggest: bool = True) -> int:
        """Position of the node with this id or whole name, for programs.

        Args:
            text: what is looked for.
            suggest: whether an error says what may have been meant, which takes milliseconds.

        Raises:
            UnknownNode: there is none.
            AmbiguousNode: several nodes have this name, and none this id.
        """
        at = self.index.get(text)
        if at is None:
            at = self._one(self._by_name.get(text, ()), text)
        if at is None:
            raise self._unknown(text, suggest=suggest)
        return at

    def find(self, text: str) -> int:
        """Position of the node that a person means by this, as the module says.

        Raises:
            UnknownNode: it fits none; the error suggests what looks alike.
            AmbiguousNode: it fits several, which the error lists.
        """
        at = self.index.get(text)
        if at is None:
            at = self._shown(text)
        if at is None:
            at = self._one(self._by_name.get(text, ()), text)
        folded = _folded(text)
        if at is None and folded:
            at = self._one(self._within(folded, whole=True), text)
        if at is None and folded:
            at = self._one(self._within(folded, whole=False), text, begins=True)
        if at is None:
            raise self._unknown(text, suggest=True)
        return at

    def completions(self, text: str, most: int) -> dict[str, str]:
        """What `text` may be the beginning of, at most so many, each with the node's other name.

        Whatever is offered is found by `find`: a name that several nodes have gives their ids.
        """
        found: dict[str, str] = {}
        for at in self._within(_folded(text), whole=False):
            if len(found) == most:
                break
            name, node = self._names[at], self._ids[at]
            by_name = bool(name) and _folded(name).startswith(_folded(text))
            if by_name and len(self._by_name[name]) == 1 and name not in self.index:
                found[name] = node
            else:
                found[node] = name
        return found

    @cached_property
    def _ids(self) -> dict[int, str]:
        return {at: node for node, at in self.index.items()}

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        """Positions of the nodes of each name."""
        found: dict[str, list[int]] = {}
        for at in self.index.values():
            if self._names[at]:
                found.setdefault(self._names[at], []).append(at)
        return found

    @cached_property
    def _folded(self) -> list[tuple[str, int]]:
        """Ids and names without differences of spelling, in order, with their positions."""
        ids = ((_folded(node), at) for node, at in self.index.items())
        names = ((_folded(self._names[at]), at) for at in self.index.values() if self._names[at])
        return sorted({*ids, *names})

    def _within(self, folded: str, *, whole: bool) -> list[int]:
        """Nodes of which an id or name is, or else begins with, the folded text."""
        found: dict[int, None] = {}
        for at in range(bisect_left(self._folded, (folded, -1)), len(self._folded)):
            text, node = self._folded[at]
            if not (text == folded if whole else text.startswith(folded)):
                break
            found[node] = None
        return list(found)

    def _shown(self, text: str) -> int | None:
        """The node whose label this is."""
        if not text.endswith(")"):
            return None
        ends = (at for at in range(len(text)) if text.startswith(" (", at))
        found = (self.index.get(text[end + 2 : -1]) for end in ends)
        return next((at for at in found if at is not None and self._label(at) == text), None)

    def _label(self, at: int) -> str:
        return label(self._ids[at], self._names[at])

    def _one(self, found: Sequence[int], text: str, *, begins: bool = False) -> int | None:
        if len(found) > 1:
            raise AmbiguousNode(display_name(text), list(map(self._label, found)), begins=begins)
        return found[0] if found else None

    def _unknown(self, text: str, *, suggest: bool) -> UnknownNode:
        return UnknownNode(display_name(text), known=self._known() if suggest else ())

    def _known(self) -> Iterable[str]:
        yield from self.index
        yield from self._by_name


def _folded(text: str) -> str:
    """The text without differences of case and of composition (Unicode, section 3.13, D145)."""
    if text.isascii():
        return text.lower()
    once = unicodedata.normalize("NFD", text).casefold()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", once).casefold())
