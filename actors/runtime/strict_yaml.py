"""YAML as people write it by hand: each key once, and no anchors or aliases.

By itself YAML's loader keeps the last of two equal keys and says nothing. Anchors and aliases allow
a short text to become a huge document.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

_SHOWN: Final = 40  # characters of a key that an error repeats


class NotYaml(ValueError):  # noqa: N818 - named by its condition, as the project's other errors
    """The text is not YAML of this kind. The message says why, and at which line."""


def load(text: str | bytes) -> Any:  # noqa: ANN401 - YAML is anything
    """The document that a text holds; None for an empty one.

    Raises:
        NotYaml: the text is no YAML, repeats a key, or has an anchor or an alias.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a subclass of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = "" if mark is None else f"line {mark.line + 1}: "
        raise NotYaml(f"{where}{error.problem}") from None
    except RecursionError:
        raise NotYaml("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError) as error:
        raise NotYaml(" ".join(str(error).split())[:300]) from None


class _Loader(yaml.SafeLoader):
    """Refuses what `load` refuses."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - as the base class has it
        event = self.peek_event()  # type: ignore[no-untyped-call]  # its stub has no types
        if getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(
                problem="anchors and aliases are not allowed", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - as the base class has it
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {name[:_SHOWN]!a} occurs twice", problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)
