"""What a catalogue says about its mistakes, and how it is read again while the bot sells."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from actors.payments import catalogue
from actors.runtime.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = {
    "plans": [
        {
            "id": "month",
            "title": {"en": "One month", "ru": "Один месяц"},
            "price": {"tron": "9.90", "ton": "3.2"},
            "delivers": {"download": "files/month.zip"},
        },
        {"id": "licence", "title": "Licence", "price": {"tron": "25"}, "delivers": "licence"},
    ]
}
ODD = (None, True, 7, 1.5, "", "x", "x" * 300, [], ["x"], {}, {"x": 1}, {1: "x"}, {"en": 5})
VALIDATORS_WORDS = (
    "Input should",
    "Field required",
    "Extra inputs",
    "Value error",
    "should have",
    "should be",
    "type=",
    "_type",
)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value in a document, the document itself included."""
    yield path
    inner = enumerate(value) if isinstance(value, list) else ()
    for name, one in value.items() if isinstance(value, dict) else inner:
        yield from places(one, (*path, name))


def refusal(document: object) -> str | None:
    """Why a catalogue is refused."""
    try:
        catalogue.parse(yaml.safe_dump(document).encode(), Path("c.yaml"))
    except ConfigurationError as error:
        return error.why
    return None


@given(
    path=st.sampled_from(list(places(DOCUMENT))),
    odd=st.sampled_from(ODD),
    key=st.none() | st.sampled_from((1, False, "x")),
)
@example(path=("plans", 1, "price", "tron"), odd=25, key=None)
def test_a_mistake_is_told_in_the_words_of_who_made_it(
    path: tuple[str | int, ...], odd: object, key: object
) -> None:
    """Whatever stands at any place, or under whatever other key there: the catalogue is read, or
    the error says which plan it is in, and nothing in the words of the validator."""
    document = {"": copy.deepcopy(DOCUMENT)}
    at: Any = document
    *steps, last = ("", *path)
    for step in steps:
        at = at[step]
    if key is not None and isinstance(at[last], dict):
        at[last][key] = odd
    else:
        at[last] = odd
    why = refusal(document[""])
    if why is not None:
        assert not [words for words in VALIDATORS_WORDS if words in why]
        if path[2:] and path[2] != "id":
            assert ("month", "licence")[int(path[1])] in why


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("'25'", "25", 'plan licence: price: tron: is 25 without quotes; write it as text: "25"'),
        (
            "'9.90'",
            "9.9",
            'plan month: price: tron: is 9.9 without quotes; write it as text: "9.9"',
        ),
        (
            "id: month",
            "id: 2026",
            'plan no. 1: id: is 2026 without quotes; write it as text: "2026"',
        ),
        ("id: month", "id: A", "plan A: id: is A; allowed are 1 to 32 of a-z, 0-9 and -"),
        ("title: Licence", "name: x", "plan licence: title: is missing (and 1 more)"),
        ("title: Licence", "title: no", "plan licence: title: is false without quotes"),
        ("en: One month", "de: Ein Monat", "plan month: title: has no en"),
        ("ru: ", "de: ", "plan month: title: de is not known here; known are en, ru"),
        ("tron: '25'", "doge: '25'", "plan licence: price: doge: is no way to pay"),
        ("tron: '25'", "tron: '1e3'", "plan licence: price: tron: '1e3' is not a decimal number"),
        ("delivers: licence", "delivers: love", "plan licence: delivers: is love; allowed are lic"),
        ("delivers: licence", "delivers: {}", "plan licence: delivers: is {}; allowed are licence"),
        ("files/month.zip", "../month.zip", "plan month: delivers: ../month.zip is not below"),
        ("plans:", "plan:", "plans: is missing (and 1 more)"),
        ("plans:", "plans: 5\nx:", "plans: is no list; each plan begins with a dash (and 1 more)"),
    ],
)
def test_mistakes_that_are_made(old: str, new: str, why: str) -> None:
    """Each says where, what stands there, and what may."""
    text = yaml.safe_dump(DOCUMENT, allow_unicode=True)
    assert old in text
    with pytest.raises(ConfigurationError) as caught:
        catalogue.parse(text.replace(old, new).encode(), Path("c.yaml"))
    assert caught.value.why.startswith(why)
