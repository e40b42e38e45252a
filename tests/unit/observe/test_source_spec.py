"""`KIND:WHERE`, the file of sources, and what is shown of both."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from actors.observe.sources import (
    babel_sockets,
    command,
    opening,
    respondd_targets,
    source_kinds,
    source_spec,
    sources_file,
)
from actors.observe.sources.babel_sockets import ControlSocket
from actors.observe.sources.respondd_targets import GROUP, Target
from actors.observe.sources.source_spec import SourceSpec
from actors.runtime.errors import InvalidInput, X0Error


@pytest.mark.parametrize(
    ("text", "kind", "where"),
    [
        ("map:/a/b.json", "map", "/a/b.json"),
        ("/a/b:c.json", "map", "/a/b:c.json"),
        ("./respondd:x", "map", "./respondd:x"),
        ("b.json", "map", "b.json"),
        ("https://host:8080/a.json", "map", "https://host:8080/a.json"),
        ("HTTP://host/a", "map", "HTTP://host/a"),
        ("map:https://host/a", "map", "https://host/a"),
        (" respondd:bat0 ", "respondd", "bat0"),
        ("babeld:[::1]:33123", "babeld", "[::1]:33123"),
        ("command: ssh a b", "command", "ssh a b"),
    ],
)
def test_a_kind_is_told_from_a_path_and_a_url(text: str, kind: str, where: str) -> None:
    """What has no kind is a map, if it looks like a path or a URL."""
    spec = source_spec.parse(text)
    assert (spec.kind, spec.where) == (kind, where)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("respondt:bat0", "Did you mean respondd?"),
        ("ftp://host/x", "Kinds are map,"),
        ("babeld:", "babeld:[NAME=]PORT"),
        ("command:   ", "nothing says where"),
        ("map:a\0b", "NUL"),
    ],
)
def test_a_wrong_source_is_refused_with_a_remedy(text: str, said: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(InvalidInput) as caught:
        source_spec.parse(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "https://user:hunter2@host/map.json?key=hunter2",
        "map:https://host/map.json?token=hunter2",
        "command:curl -u admin:hunter2 https://host/map.json",
        "command:curl https://a:hunter2@host/x?key=hunter2",
        "command:curl -H hunter2 https://host/",
        "batctl:sshpass -p hunter2 ssh host batctl meshif bat0",
    ],
)
def test_secrets_are_never_shown(text: str) -> None:
    """Neither by the specification nor by the source that is made of it."""
    spec = source_spec.parse(text)
    source = opening.open_source(spec)
    for shown in (str(spec), repr(spec), source.name):
        assert "hunter2" not in shown


def test_every_kind_opens_by_its_example() -> None:
    """The table, the parser and the openers know the same kinds."""
    kinds = set()
    for kind in source_kinds.KINDS:
        spec = source_spec.parse(kind.example)
        source = opening.open_source(spec)
        assert source.kind == kind.name == spec.kind
        assert pickle.loads(pickle.dumps(source)).name == source.name  # noqa: S301 - made here
        kinds.add(kind.name)
    assert kinds == set(source_spec.BY_NAME)


def test_sources_have_names_of_their_own() -> None:
    """The observer knows them by their names."""
    specs = [source_spec.parse("a.json")] * 3
    names = [source.name for source in opening.open_sources(specs)]
    assert names == ["a.json", "a.json (2)", "a.json (3)"]


@pytest.mark.parametrize(
    ("where", "targets"),
    [
        ("bat0", [Target("ff02::2:1001", 1001, "bat0")]),
        ("bat0, vpn,bat0", [Target(GROUP, 1001, "bat0"), Target(GROUP, 1001, "vpn")]),
        ("ff05::2:1001%br-client", [Target("ff05::2:1001", 1001, "br-client")]),
        ("10.0.0.1", [Target("10.0.0.1")]),
        ("10.0.0.1:7", [Target("10.0.0.1", 7)]),
        ("fd00::7", [Target("fd00::7")]),
        ("[fe80::7%mesh0]:7", [Target("fe80::7", 7, "mesh0")]),
        ("[fd00::7]", [Target("fd00::7")]),
    ],
)  # fmt: skip
def test_targets_of_respondd(where: str, targets: list[Target]) -> None:
    """Interfaces, groups and nodes, with their scope and port; each once."""
    assert list(respondd_targets.parse(where)) == targets
    assert list(respondd_targets.parse(",".join(map(str, targets)))) == targets


@pytest.mark.parametrize(
    "where", ["", "fe80::1", "ff02::2:1001", "1.0.0.1:0", "1.0.0.1:70000", "a b", "x" * 16, "1.2.3"]
)
def test_a_wrong_target_is_refused(where: str) -> None:
    """A link-local address without its interface means nothing."""
    with pytest.raises(InvalidInput, match="respondd"):
        respondd_targets.parse(where)


@pytest.mark.parametrize(
    ("where", "sockets"),
    [
        ("33123", [ControlSocket(host="::1", port=33123)]),
        ("gw=1,/run/b", [ControlSocket("gw", "::1", 1), ControlSocket(path="/run/b")]),
        ("h:1,[fe80::1%e0]:1", [ControlSocket("", "h", 1), ControlSocket("", "fe80::1%e0", 1)]),
        ("x=/a=b/c", [ControlSocket("x", path="/a=b/c")]),
    ],
)  # fmt: skip
def test_sockets_of_babeld(where: str, sockets: list[ControlSocket]) -> None:
    """Ports, hosts and paths, each with a name if it has one."""
    assert list(babel_sockets.parse(where)) == sockets


@pytest.mark.parametrize("where", ["", "host", "0", "70000", "a=1,a=2", "1,1", "=1", "x=y=1"])
def test_a_wrong_socket_is_refused(where: str) -> None:
    """Also one that is given twice."""
    with pytest.raises(InvalidInput, match="babeld"):
        babel_sockets.parse(where)


@pytest.mark.parametrize("line", ["", "   ", "a 'b", "a " * 257, "a\0b"])
def test_a_wrong_command_is_refused(line: str) -> None:
    """Open quotes are no words."""
    with pytest.raises(InvalidInput, match="cannot run"):
        command.split(line)


def read(text: str) -> tuple[SourceSpec, ...]:
    return sources_file.parse(text.encode(), "sources.toml", Path("/etc/x0"))


def test_a_file_of_sources() -> None:
    """Options are of each source; paths start at the file."""
    found = read(
        """
        [[sources]]
        source = "maps/leipzig.json"
        community = "leipzig"
        quality = "babel"
        interval = 300
        [[sources]]
        source = "babeld:/run/b.sock"
        monitor = true
        timeout = 2.5
        """
    )
    assert found == (
        SourceSpec("map", "/etc/x0/maps/leipzig.json", 300, quality="babel", community="leipzig"),
        SourceSpec("babeld", "/run/b.sock", timeout_s=2.5, monitor=True),
    )
    assert found[0].where == "/etc/x0/maps/leipzig.json"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it lists none"),
        ("a = ", "it is no TOML"),
        ("x = 1", "at x: there is no such key"),
        ("sources = 1", "it lists none"),
        ("sources = [1]", r"sources\[0\]: it is no table"),
        ("[[sources]]\nkind = 'a'", r"sources\[0\].source: it is missing"),
        ("[[sources]]\nsource = 'respond:a'", "Did you mean respondd"),
        ("[[sources]]\nsource = 'a.json'\nintervall = 3", "Did you mean interval"),
        ("[[sources]]\nsource = 'a.json'\ninterval = 0", "a number of seconds from 1 to 86400"),
        ("[[sources]]\nsource = 'a.json'\ninterval = true", "Give a number"),
        ("[[sources]]\nsource = 'a.json'\nquality = 'x'", "Give one of auto"),
        ("[[sources]]\nsource = 'a.json'\nmonitor = true", "kind map does not heed it"),
        ("[[sources]]\nsource = 'respondd:lo'\nquality = 'tq'", "kind respondd does not heed it"),
    ],
)
def test_a_wrong_file_is_refused_at_its_place(text: str, said: str) -> None:
    """The error names the file, the entry and what may stand there."""
    with pytest.raises(InvalidInput, match=said) as caught:
        read(text)
    assert "sources.toml" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named, and so is the reason."""
    with pytest.raises(X0Error, match="no such file"):
        sources_file.read(tmp_path / "x.toml")
