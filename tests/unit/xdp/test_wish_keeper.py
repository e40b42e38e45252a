"""What an owner is to do is kept over its death, by one record an interface."""

from __future__ import annotations

import json
import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.runtime.alerting import Alert, AlertName
from actors.xdp import kept_wishes
from actors.xdp.contract import Attached, Attempt, Mode, Ownership, Rules, State
from actors.xdp.host_alerts import HostAlerts
from actors.xdp.kept_wishes import KeptWish, WishFile
from actors.xdp.reconciliation import Wish
from actors.xdp.wish_keeper import WishKeeper

NETWORKS = st.one_of(
    st.integers(0, 2**32 - 1).map(lambda at: str(IPv4Network(at))),
    st.integers(0, 2**128 - 1).map(lambda at: str(IPv6Network(at))),
)
RULES = st.builds(
    Rules,
    st.lists(NETWORKS, max_size=5).map(tuple),
    st.none() | st.floats(0.001, 1e6),
    st.none() | st.integers(1, 10**6),
)
WISHES = st.dictionaries(
    st.text("abcdefghij.-0123456789é", min_size=1, max_size=15),
    st.builds(
        KeptWish,
        st.sampled_from(Mode),
        st.booleans(),
        st.none() | RULES,
        st.booleans(),
        st.none() | st.integers(1, 2**31 - 1),
    ),
    max_size=5,
)
PLAIN = KeptWish(Mode.SKB, pin=False, attached=True)
SETTINGS = {"eth0": Wish(Mode.AUTO, pin=False), "eth1": Wish(Mode.DRV, pin=True)}


def keeper(path: Path, raised: list[Alert], session: str = "one") -> WishKeeper:
    return WishKeeper(WishFile(path, session, 4026531840), HostAlerts("box", raised.append))


@given(WISHES)
def test_what_is_kept_is_read(wishes: dict[str, KeptWish]) -> None:
    """All of it, by the same session in the same network namespace, and by nobody else."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "made" / "xdp-box.json"
        WishFile(path, "one", 1).keep(wishes)
        found = WishFile(path, "one", 1).read()
        assert found is not None
        assert (found.wishes, dict(found.unread)) == (wishes, {})
        assert found.alive_at == path.stat().st_mtime
        assert path.stat().st_mode & 0o777 == 0o600
        assert WishFile(path, "two", 1).read() is None
        assert WishFile(path, "one", 2).read() is None


def test_each_look_sets_the_time_and_only_a_change_is_written(tmp_path: Path) -> None:
    """Also when the file has been removed meanwhile."""
    path = tmp_path / "xdp-box.json"
    file = WishFile(path, "one", 1)
    file.keep({"eth0": PLAIN})
    content = path.stat().st_ino
    os.utime(path, (0, 0))
    file.keep({"eth0": PLAIN})
    assert path.stat().st_ino == content
    assert path.stat().st_mtime > 0
    path.unlink()
    file.keep({"eth0": PLAIN})
    file.keep({})
    found = WishFile(path, "one", 1).read()
    assert found is not None
    assert found.wishes == {}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"interfaces": []}', "x" * 60])
def test_a_file_of_another_kind_leaves_it_to_the_settings(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that is said; so it is of one that is too large, and of one that may not be read."""
    monkeypatch.setattr(kept_wishes, "LARGEST", 50)
    path = tmp_path / "xdp-box.json"
    path.write_text(content)
    found = keeper(path, []).recall(SETTINGS)
    assert (found.wishes, found.yielded) == (SETTINGS, {})
    assert "cannot be read" in found.said[0]
    path.unlink()
    assert keeper(path, []).recall(SETTINGS).said == ()
    path.mkdir()
    assert "cannot be read" in keeper(path, []).recall(SETTINGS).said[0]


def test_one_bad_record_costs_one_interface(tmp_path: Path) -> None:
    """That one is as the settings say, if they name it; the others are as they were."""
    path = tmp_path / "xdp-box.json"
    WishFile(path, "one", 4026531840).keep({"eth0": PLAIN, "x0a": PLAIN, "x0b": PLAIN})
    content = json.loads(path.read_text())
    content["interfaces"]["eth0"]["mode"] = "best"
    content["interfaces"]["x0a"] = 7
    path.write_text(json.dumps(content))
    found = keeper(path, []).recall(SETTINGS)
    assert found.wishes == {"eth0": SETTINGS["eth0"], "x0b": Wish(Mode.SKB, pin=False)}
    assert ["eth0" in said for said in found.said] == [True, False]
    assert "x0a" in found.said[1]


def test_a_later_life_heeds_what_was_asked_for_more_than_settings(tmp_path: Path) -> None:
    """What a command has detached stays so, and another session begins with its settings."""
    path = tmp_path / "xdp-box.json"
    WishFile(path, "one", 4026531840).keep({})
    assert keeper(path, []).recall(SETTINGS).wishes == {}
    assert keeper(path, [], "two").recall(SETTINGS).wishes == SETTINGS


def owned(state: State, *attempts: Attempt) -> Ownership:
    attached = Attached("x0a", 7, Mode.SKB, True, 41, "0" * 16, None, attempts)  # noqa: FBT003
    return Ownership(state, "why", attached if state == "attached" else None, up=True, mtu=1500)


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ((owned("attached", Attempt(Mode.SKB, True, 0)),), [1100.0]),  # noqa: FBT003
        ((owned("attached"),), []),  # a pin kept it
        ((owned("refused"), owned("attached", Attempt(Mode.SKB, True, 0))), [1101.0]),  # noqa: FBT003
        ((owned("waiting"), owned("attached", Attempt(Mode.SKB, True, 0))), []),  # noqa: FBT003
        ((None, owned("attached", Attempt(Mode.SKB, True, 0))), []),  # noqa: FBT003
    ],
)
def test_how_long_nothing_was_attached_is_told_once(
    tmp_path: Path, looks: tuple[Ownership | None, ...], told: list[float]
) -> None:
    """At most since the last look of the earlier life. Of an interface that is gone, nothing is."""
    path = tmp_path / "xdp-box.json"
    detached = KeptWish(Mode.SKB, pin=False, yielded=7)
    WishFile(path, "one", 4026531840).keep({"x0a": PLAIN, "x0b": detached})
    os.utime(path, (1000.0, 1000.0))
    raised: list[Alert] = []
    made = keeper(path, raised)
    assert made.recall({}).yielded == {"x0b": 7}
    said = []
    for at, look in enumerate((*looks, *looks)):
        said += made.compare({"x0a": look} if look else {}, 1100.0 + at)
    gaps = [f"{at - 1000.0:.1f} s" for at in told]
    assert len(said) == len(raised) == len(told)
    for gap, alert, words in zip(gaps, raised, said, strict=True):
        assert alert.name is AlertName.XDP_REATTACHED
        assert (alert.started, alert.momentary) == (1000.0, True)
        assert gap in words
        assert gap in alert.summary


def test_what_cannot_be_kept_is_told_once_and_stands_until_it_can(tmp_path: Path) -> None:
    """As with a full disk, or here a file in the way of the directory."""
    in_the_way = tmp_path / "xdp"
    in_the_way.write_text("")
    made = keeper(in_the_way / "xdp-box.json", [])
    (said,) = made.keep({"x0a": PLAIN})
    assert "cannot be kept" in said
    assert made.trouble in said
    assert made.keep({"x0a": PLAIN}) == []
    assert made.trouble
    in_the_way.unlink()
    assert made.keep({"x0a": PLAIN}) == []
    assert made.trouble == ""
