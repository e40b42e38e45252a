"""The exception tree: complete, picklable, explained."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.mesh import errors as mesh_errors
from actors.runtime import errors
from actors.runtime.errors import X0Error
from actors.topology import errors as topology_errors

MODULES = (errors, mesh_errors, topology_errors)

EXAMPLES = [
    errors.X0Error("a", "b", "C."),
    errors.ConfigurationError("a", "b", "C.", variable="V"),
    errors.InvalidInput("a", "b", "C.", source="f.json", entry="links[3]"),
    topology_errors.TopologyError("a", "b", "C.", source="f.json", entry="nodes[0]"),
    topology_errors.UnknownNode("n46fe", known=["n46fd", "n94ee"]),
    topology_errors.AmbiguousNode("north", ["north (n1)", "north (n2)"], begins=False),
    errors.Conflict("a", "b", "C."),
    mesh_errors.NoEmulatedMesh(),
    mesh_errors.NothingSealed("mesh-shard-00"),
    mesh_errors.StalePlacement(partition=7, owner="mesh-shard-01", held=4, asked=3),
    mesh_errors.MailboxFull("n1", capacity=10, retry_after_s=0.5),
    errors.Unavailable("a", "b", "C.", retry_after_s=2.0),
    mesh_errors.ShardUnavailable("mesh-shard-00"),
    mesh_errors.NodeSilent("n1"),
    errors.ActorUnavailable("twin"),
    errors.ActorFailed("twin", ValueError("x")),
    errors.NotRunning("actor twin", why="none lives"),
    mesh_errors.JournalCorrupt("journal", offset=12, why="checksum differs"),
]


def test_every_class_of_the_tree_has_an_example_here() -> None:
    """No error can be added without being covered by the tests below."""
    tree = {
        cls
        for module in MODULES
        for _, cls in inspect.getmembers(module, inspect.isclass)
        if issubclass(cls, X0Error)
    }
    assert {type(example) for example in EXAMPLES} == tree


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_all_its_fields(error: X0Error) -> None:
    """An error that crosses processes is the same error, text and fields included."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - made one line above
        assert type(back) is type(error)
        assert back.__dict__ == error.__dict__
        assert str(back) == str(error)
        assert back.args == error.args
    assert copy.copy(error).__dict__ == error.__dict__


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_the_docstring_tree_states_each_class_with_its_status(error: X0Error) -> None:
    """The drawing in the module's docstring is true."""
    (line,) = [
        line
        for module in MODULES
        for line in (module.__doc__ or "").splitlines()
        if type(error).__name__ in line.split() and str(error.http_status) in line.split()
    ]
    assert line


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_no_field_has_a_class_default(error: X0Error) -> None:
    """Ray's wrapper class finds fields in the original, as no class attribute hides them."""
    for name in error.__dict__:
        assert not hasattr(type(error), name)


@given(what=st.text(min_size=1), why=st.text(min_size=1), remedy=st.text(min_size=1))
def test_the_text_says_what_why_and_what_to_do(what: str, why: str, remedy: str) -> None:
    """All three parts are in the text, in that order, without a doubled full stop."""
    text = str(X0Error(what, why, remedy))
    assert text == f"{what}: {why.removesuffix('.')}. {remedy}"


def test_a_mistyped_node_id_is_met_with_the_close_ones() -> None:
    """UnknownNode suggests ids that differ little and does not carry the whole list along."""
    error = topology_errors.UnknownNode(
        "n46fe", known=[f"n46f{c}" for c in "dx"] + ["zzz"] * 10_000
    )
    assert "n46fd" in error.remedy
    assert "zzz" not in error.remedy
    assert len(pickle.dumps(error)) < 1000


def test_an_id_like_no_other_gets_a_remedy_all_the_same() -> None:
    """Without a close id the remedy is still a sentence."""
    assert topology_errors.UnknownNode("q", known=["n46fd"]).remedy.endswith(".")
