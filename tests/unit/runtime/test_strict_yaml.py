"""Whatever is written by hand is read as it was meant, or refused with its line."""

from __future__ import annotations

import pytest

from actors.runtime import strict_yaml
from actors.runtime.strict_yaml import NotYaml


@pytest.mark.parametrize("text", ["a: {b: [1, two, 3.5]}", b"a:\n  b: [1, two, 3.5]\n"])
def test_plain_documents_are_read(text: str | bytes) -> None:
    """Text and bytes alike, with the types that YAML gives."""
    assert strict_yaml.load(text) == {"a": {"b": [1, "two", 3.5]}}
    assert strict_yaml.load("") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' occurs twice"),
        (
            "plans:\n  - price: {tron: 1,\n            tron: 2}",
            "line 3: the key 'tron' occurs twice",
        ),
        ("a: &x 1\nb: *x", "line 1: anchors and aliases are not allowed"),
        ("a: *x", "line 1: anchors and aliases are not allowed"),
        ("a: {", "line 1: "),
        ("a: !!python/object:os.system {}", "could not determine a constructor"),
        ("\x00", "unacceptable character"),
        ("a: 2026-99-99", "month must be in 1..12"),
        ("[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_meant_otherwise_is_refused(text: str, why: str) -> None:
    """A doubled key does not win in silence, and the error names the key and its line."""
    with pytest.raises(NotYaml) as caught:
        strict_yaml.load(text)
    assert why in str(caught.value)
