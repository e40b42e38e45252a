"""Names in questions and answers: ids take their place in a scenario, and they that of ids.

Questions name nodes as people do. Answers have ids, and beside them the names of all the nodes that
they speak of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from actors.topology.naming import label, link_ends, link_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.topology.model import Topology
    from actors.twin.scenario import Scenario

# Fields of a scenario, and of its parts, in which every text names a node.
_NODES: Final = frozenset({"nodes", "links", "ends", "pairs", "source", "destination", "gateways"})
# Fields of an answer with words, which no node that is called so shall change.
_WORDS: Final = frozenset({"name", "method", "of", "reason", "ranked_by"})

Answer = TypeVar("Answer")


def with_ids(scenario: Scenario, topology: Topology) -> Scenario:
    """The same scenario with the ids of the nodes that it names.

    Raises:
        UnknownNode: a name is of no node.
        AmbiguousNode: a name, or the beginning of one, is that of several.
    """

    def node(text: str) -> str:
        return topology.ids[topology.find(text)]

    return _renamed("", scenario, node)  # type: ignore[no-any-return]


def _renamed(field: str, value: Any, node: Callable[[str], str]) -> Any:  # noqa: ANN401 - any part
    if isinstance(value, str):
        return node(value) if field in _NODES else value
    if isinstance(value, tuple):
        return tuple(_renamed(field, each, node) for each in value)
    if isinstance(value, dict):  # by node, or by the name of a group
        return {_renamed(field, k, node): _renamed("", each, node) for k, each in value.items()}
    if isinstance(value, BaseModel):
        inner = {name: getattr(value, name) for name in value.model_fields_set}
        changed = {name: _renamed(name, each, node) for name, each in inner.items()}
        return value.model_copy(update=changed)
    return value


def names_in(answer: object, topology: Topology) -> dict[str, str]:
    """Names by id of the nodes that an answer speaks of, where they have one."""
    if not any(topology.nodes.names):
        return {}
    names: dict[str, str] = {}
    for text in _texts(answer):
        for node in (text, *(each for ends in link_ends(text) for each in ends)):
            if name := topology.naming.name_of(node):
                names[node] = name
    return names


def labelled(answer: Answer, names: Mapping[str, str]) -> Answer:
    """An answer as people read it: with `name (id)` in the place of ids."""
    return _labelled(answer, names) if names else answer


def label_of(text: str, names: Mapping[str, str]) -> str:
    """A node, or a link `a--b`, of an answer with the names that belong to it."""
    if text in names:
        return label(text, names[text])
    # Ids may contain the mark themselves: the more names, the likelier the division.
    divisions = [(sum(end in names for end in ends), ends) for ends in link_ends(text)]
    known, ends = max(divisions, default=(0, ("", "")))
    return link_label(*(label(end, names.get(end)) for end in ends)) if known else text


def _texts(part: Any) -> Iterator[str]:  # noqa: ANN401 - any part of an answer
    if isinstance(part, str):
        yield part
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _texts(each)
    elif isinstance(part, Mapping):
        yield from part
        yield from _texts(list(part.values()))
    elif is_dataclass(part):
        for each in fields(part):
            if each.name not in _WORDS:
                yield from _texts(getattr(part, each.name))


def _labelled(part: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 - the same
    if isinstance(part, str):
        return label_of(part, names)
    if isinstance(part, list | tuple):
        return type(part)(_labelled(each, names) for each in part)
    if isinstance(part, Mapping):
        return {label_of(name, names): _labelled(each, names) for name, each in part.items()}
    if is_dataclass(part) and not isinstance(part, type):
        inner = {each.name: getattr(part, each.name) for each in fields(part)}
        changed = {n: _labelled(each, names) for n, each in inner.items() if n not in _WORDS}
        return replace(part, **changed)
    return part
