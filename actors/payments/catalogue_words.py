"""What is wrong with a catalogue, in the words of whoever wrote it.

Which plan, which key, what stands there, and what to write instead.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

_SHOWN: Final = 40  # characters of a value that an error repeats
_TOP: Final = ("plans",)
_PLAN: Final = ("id", "title", "price", "delivers")


def unquoted(value: object) -> str:
    """Says that a value should be text, and how that is written."""
    if isinstance(value, bool | int | float):
        written = json.dumps(value)[:_SHOWN]
        return f'is {written} without quotes; write it as text: "{written}"'
    return 'is empty; write it as text: "..."' if value is None else "is no text"


def first(errors: Iterable[ErrorDetails], document: object) -> str:
    """The first of a validator's errors, and how many there are besides."""
    found = list(errors)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{_where(found[0]['loc'], document)}: {_what(found[0])}{more}"


def _where(steps: tuple[int | str, ...], document: object) -> str:
    match [step for step in steps if step != "[key]"]:
        case []:
            return "the document"
        case ["plans", int(number), *rest]:
            return ": ".join([_plan(document, number), *(shown(step) for step in rest)])
        case named:
            return ": ".join(shown(step) for step in named)


def _plan(document: object, number: int) -> str:
    """A plan by its id, or by its place in the file where it has none."""
    plan = document["plans"][number] if isinstance(document, dict) else None
    name = plan.get("id") if isinstance(plan, dict) else None
    return f"plan {shown(name)}" if isinstance(name, str) and name else f"plan no. {number + 1}"


def _what(error: ErrorDetails) -> str:
    kind, context, given = error["type"], error.get("ctx", {}), error["input"]
    said = _SIMPLE.get(kind, "is not as the README shows")
    match kind:
        case "value_error":
            said = str(context["error"])
        case "extra_forbidden":
            known = _TOP if len(error["loc"]) == 1 else _PLAN
            said = f"is not known here; known are {', '.join(known)}"
        case "string_type":
            said = unquoted(given)
        case "string_pattern_mismatch":
            said = (
                f"is {shown(given)}; allowed are 1 to 32 of a-z, 0-9 and -, no - at the beginning"
            )
        case "enum":
            said = f"is no way to pay; ways to pay are {context['expected']}"
        case "too_long":
            said = f"has {context['actual_length']} entries; {context['max_length']} are allowed"
    return said


_SIMPLE: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "list_type": "is no list; each plan begins with a dash",
    "too_short": "is empty",
    "dict_type": 'is not written as {tron: "9.90", ton: "3.2"}',
    "model_type": "has no keys",
    "invalid_key": "is no text",
}


def shown(value: Any) -> str:  # noqa: ANN401 - YAML is anything
    """A value in an error: on one line, and short."""
    return ascii(value)[1:-1][:_SHOWN] if isinstance(value, str) else ascii(value)[:_SHOWN]
