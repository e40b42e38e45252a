"""The program is attached, replaced and removed in the kernel, and never in others' way."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from typer.testing import CliRunner

from tests.kernel import xdp_net
from tests.kernel.xdp_frames import datagram
from tests.kernel.xdp_net import ip, pair, send, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from actors.xdp.attachment import Host

from actors.runtime.errors import Conflict, InvalidInput
from actors.xdp import attachment, counters, interfaces, layout, preflight, rules
from actors.xdp.contract import Mode, Rules
from actors.xdp.errors import (
    AlreadyAttached,
    AttachRefused,
    ForeignProgram,
    NoInterface,
    NotAttached,
    ProgramUnknown,
    XdpUnavailable,
)
from actors.xdp.interfaces import FLAG_NOEXIST, FLAG_REPLACE, MODE_FLAGS
from actors.xdp.libbpf import introspection, links, maps, objects
from actors.xdp.libbpf.library import BpfError
from actors.xdp.owner import Owner
from actors.xdp.program import Program
from actors.xdp.reconciliation import Wish
from jobs.cli import app

NO_NATIVE = "Underlying driver does not support XDP in native mode"
DRV, SKB = MODE_FLAGS[Mode.DRV], MODE_FLAGS[Mode.SKB]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A namespace with x0a and x0b joined to y0a and y0b, and a BPF file system of its own."""
    with xdp_net.host(tmp_path_factory.mktemp("bpf"), x0a=1500, x0b=9000) as made:
        ip("link set lo up")
        yield made


@pytest.fixture(autouse=True)
def _nothing_is_left(host: Host) -> Iterator[None]:
    """Every test ends as it began: nothing is attached, and nothing is pinned."""
    yield
    for name in ("lo", "x0a", "x0b"):
        attachment.detach(host, name)
    assert not [one for one in interfaces.interfaces() if one.programs]
    assert not host.directory.is_dir() or not list(host.directory.iterdir())


@pytest.fixture
def foreign() -> Iterator[int]:
    """A program of somebody else."""
    program = objects.load_pass()
    yield program
    os.close(program)


def index(name: str) -> int:
    return interfaces.interface(name).index


def mode(name: str) -> dict[Mode, int]:
    return interfaces.interface(name).programs


# -- the rules of the kernel that all this rests on ------------------------------------------------


@pytest.mark.parametrize("wanted", [Mode.DRV, Mode.HW])
def test_loopback_has_no_native_mode(host: Host, wanted: Mode) -> None:
    """The refusal repeats what the kernel says, and what to do."""
    with pytest.raises(AttachRefused, match=NO_NATIVE) as caught:
        attachment.attach(host, "lo", wanted)
    (attempt,) = caught.value.attempts
    assert (attempt.mode, attempt.errno) == (wanted, errno.EOPNOTSUPP)
    assert "skb" in caught.value.remedy


def test_a_veth_pair_has_no_offload(host: Host) -> None:
    """A driver that says nothing is repeated by its errno."""
    with pytest.raises(AttachRefused, match="Invalid argument") as caught:
        attachment.attach(host, "x0a", Mode.HW)
    assert caught.value.attempts[0].errno == errno.EINVAL


def test_the_kernel_tells_by_netlink_who_is_in_the_way(host: Host, foreign: int) -> None:
    """Each refusal has the errno and the text that decisions and messages are made from."""
    del host
    at = index("x0a")
    interfaces.netlink_attach(at, foreign, DRV)
    try:
        for flags, expected, number, text in (
            (DRV | FLAG_NOEXIST, None, errno.EBUSY, "XDP program already attached"),
            (SKB, None, errno.EEXIST, "Native and generic XDP can't be active at the same time"),
            (DRV | FLAG_REPLACE, "another", errno.EEXIST, "Active program does not match expected"),
        ):
            another = objects.load_pass()
            with pytest.raises(OSError, match=text) as caught:
                interfaces.netlink_attach(at, another, flags, another if expected else None)
            os.close(another)
            assert caught.value.errno == number
        assert interfaces.refusal_text(at, foreign, Mode.DRV) == "XDP program already attached"
        interfaces.netlink_attach(at, -1, SKB)  # the wrong mode: success is told, nothing is done
        assert Mode.DRV in mode("x0a")
    finally:
        interfaces.netlink_attach(at, -1, DRV)
    assert not mode("x0a")


def test_another_loader_cannot_take_the_place_of_a_link(host: Host, foreign: int) -> None:
    """Neither by netlink nor by a link of its own."""
    made = attachment.attach(host, "x0a")
    with pytest.raises(OSError, match="Can't replace active BPF XDP link") as caught:
        interfaces.netlink_attach(index("x0a"), foreign, DRV)
    assert caught.value.errno == errno.EBUSY
    with pytest.raises(BpfError) as second:
        links.create(foreign, index("x0a"), DRV)
    assert second.value.errno == errno.EBUSY
    assert mode("x0a") == {Mode.DRV: made.program.info.id}
    made.close()


def test_large_packets_need_a_program_that_takes_several_buffers(host: Host) -> None:
    """Beside a peer of MTU 9000, native mode is refused to any other; ours counts whole packets."""
    linear = Program.load(frags=False)
    with pytest.raises(BpfError) as caught:
        links.create(linear.fd, index("x0b"), DRV)
    assert caught.value.errno == errno.ERANGE
    said = interfaces.refusal_text(index("x0b"), linear.fd, Mode.DRV)
    assert said == "veth: Peer MTU is too large to set XDP"
    os.close(links.create(linear.fd, index("x0b"), SKB))
    linear.close()
    made = attachment.attach(host, "x0b")
    assert (made.attached.mode, made.attached.frags) == (Mode.DRV, True)
    send("y0b", [datagram("192.0.2.1", 9000)] * 3, made.program)
    found = counters.counters(made.program, "x0b")
    assert found.actions["passed"].packets == 3
    assert found.actions["passed"].bytes == 3 * 9000
    assert [(peer.address, peer.bytes) for peer in found.peers] == [("192.0.2.1", 27_000)]
    made.close()


# -- attach, detach, replace -----------------------------------------------------------------------


def test_the_best_mode_is_taken_and_the_others_are_explained(host: Host) -> None:
    """Native on a veth pair, generic on loopback; each attempt has its reason."""
    veth = attachment.attach(host, "x0a")
    assert veth.attached.mode is Mode.DRV
    assert [(one.mode, one.errno) for one in veth.attached.attempts] == [
        (Mode.HW, None),
        (Mode.DRV, 0),
    ]
    lo = attachment.attach(host, "lo")
    assert lo.attached.mode is Mode.SKB
    assert [one.reason for one in lo.attached.attempts] == [
        "the driver states no XDP offload",
        NO_NATIVE,
        "",
    ]
    assert mode("lo") == {Mode.SKB: lo.program.info.id}
    veth.close()
    wait_for(lambda: not mode("x0a"), "a closed link is detached")
    assert mode("lo")  # the other interface is not concerned
    lo.close()


def test_a_program_is_not_attached_twice_nor_where_there_is_no_interface(host: Host) -> None:
    """The errors name what is there."""
    made = attachment.attach(host, "x0a")
    with pytest.raises(AlreadyAttached, match=str(made.program.info.id)):
        attachment.attach(host, "x0a")
    with pytest.raises(NoInterface, match="Did you mean x0a"):
        attachment.attach(host, "x0aa")
    made.close()


def test_a_foreign_program_is_never_touched(host: Host, foreign: int) -> None:
    """Whatever is asked, it stays, and the refusal has its id, name and tag."""
    info = introspection.program_info(foreign)
    link = links.create(foreign, index("x0a"), DRV)
    for refused in (
        lambda: attachment.attach(host, "x0a"),
        lambda: attachment.detach(host, "x0a"),
        lambda: attachment.replaced(host, "x0a"),
        lambda: attachment.adopt(host, "x0a"),
        lambda: attachment.opened("x0a"),
    ):
        with pytest.raises(ForeignProgram) as caught:
            refused()
        for part in (str(info.id), info.name, info.tag):
            assert part in str(caught.value)
    owner = Owner(host, {"x0a": Wish(Mode.AUTO, pin=False)})
    assert info.tag in owner.look()[0]
    assert owner.states["x0a"].state == "refused"
    assert mode("x0a") == {Mode.DRV: info.id}
    os.close(link)
    wait_for(lambda: not mode("x0a"), "the foreign program is gone")
    owner.look()
    assert owner.states["x0a"].state == "attached"
    owner.close()


def test_a_program_that_only_has_our_name_is_foreign(host: Host, foreign: int) -> None:
    """One that was attached by netlink, without a link, is not ours to remove either."""
    del foreign
    program = Program.load()
    interfaces.netlink_attach(index("x0a"), program.fd, DRV)
    with pytest.raises(ForeignProgram):
        attachment.detach(host, "x0a")
    interfaces.netlink_attach(index("x0a"), -1, DRV)
    program.close()


def test_what_another_process_holds_is_read_replaced_and_detached(host: Host) -> None:
    """Its tables go on over a replacement; the second detach finds nothing."""
    made = attachment.attach(host, "x0a")
    rules.deny(made.program, rules.network("198.51.100.0/24"))
    now = attachment.replaced(host, "x0a")
    assert now.program_id != made.program.info.id
    read = attachment.opened("x0a")
    assert rules.rules(read).denied == ("198.51.100.0/24",)
    send("y0a", [datagram("198.51.100.7")] * 5, read)
    assert counters.totals(read)["denied"].packets == 5
    read.close()
    gone = attachment.detach(host, "x0a")
    assert gone is not None
    assert gone.program_id == now.program_id
    assert attachment.detach(host, "x0a") is None
    with pytest.raises(NotAttached):
        attachment.replaced(host, "x0a")
    made.close()


def test_kept_rules_hold_from_the_first_packet_on(host: Host) -> None:
    """Rules that are none are refused, with nothing attached or left open."""
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(InvalidInput, match="nonsense"):
        attachment.attach(host, "x0a", kept=Rules(("nonsense",), None, None))
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert not mode("x0a")
    kept = Rules(("198.51.100.0/24",), 100.0, 7)
    made = attachment.attach(host, "x0a", kept=kept)
    assert rules.rules(made.program) == kept
    send("y0a", [datagram("198.51.100.7")] * 5, made.program)
    assert counters.totals(made.program)["denied"].packets == 5
    made.close()


def test_what_another_version_attached_is_ours_to_remove_but_not_to_read(host: Host) -> None:
    """Its layout is not known: nothing wrong is read, and the message says what to do."""
    made = attachment.attach(host, "x0a")
    config = made.program.config.pack()
    newer = config[:4] + (layout.LAYOUT_VERSION + 1).to_bytes(4, sys.byteorder) + config[8:]
    maps.update(made.program.maps[layout.CONFIG], layout.ONLY_KEY, newer)
    with pytest.raises(Conflict, match="another version of this project"):
        attachment.opened("x0a")
    with pytest.raises(Conflict, match="another version of this project"):
        attachment.replaced(host, "x0a")
    (row,) = x0(host, "status", "-i", "x0a")["interfaces"]
    assert (row["state"], row["rules"]) == ("attached", None)
    assert attachment.detach(host, "x0a") is not None
    made.close()


def test_a_swap_compares(host: Host) -> None:
    """Who replaces a program that is not there any more is refused, and changes nothing."""
    made = attachment.attach(host, "x0a")
    old, new = Program.load(), Program.load()
    with pytest.raises(Conflict, match="somebody else replaced it"):
        attachment.swap(made.link, new, old, "x0a")
    attachment.detach(host, "x0a")
    with pytest.raises(Conflict, match="the interface is gone, or"):
        attachment.swap(made.link, new, made.program, "x0a")
    for one in (old, new, made):
        one.close()


# -- what others do at the worst moment ------------------------------------------------------------


def busy(number: int, times: int) -> Callable[[int, int, int], int]:
    """`create_link` that fails so often, as a driver or a link that is being released would."""
    left = [times]

    def create(program: int, ifindex: int, flags: int) -> int:
        if left[0]:
            left[0] -= 1
            raise BpfError(number, "made up")
        return CREATE_LINK(program, ifindex, flags)

    return create


CREATE_LINK = links.create


def test_a_link_that_is_being_released_is_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EBUSY without anybody there passes; if it does not, it is the reason of the refusal."""
    monkeypatch.setattr(links, "create", busy(errno.EBUSY, 2))
    made = attachment.attach(host, "x0a", Mode.SKB)
    assert [one.errno for one in made.attached.attempts] == [0]
    made.close()
    wait_for(lambda: not mode("x0a"), "it is detached")
    monkeypatch.setattr(attachment, "_BUSY_S", (0.0, 0.0))
    monkeypatch.setattr(links, "create", busy(errno.EBUSY, 99))
    with pytest.raises(AttachRefused, match="x0 xdp status") as caught:
        attachment.attach(host, "x0a", Mode.SKB)
    assert [one.errno for one in caught.value.attempts] == [errno.EBUSY]


def test_whoever_comes_first_meanwhile_stays(
    host: Host, foreign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the attachment, too."""
    theirs = []

    def create(program: int, ifindex: int, flags: int) -> int:
        theirs.append(CREATE_LINK(foreign, ifindex, flags))
        return CREATE_LINK(program, ifindex, flags)

    monkeypatch.setattr(links, "create", create)
    with pytest.raises(ForeignProgram):
        attachment.attach(host, "x0a")
    os.close(theirs[0])
    wait_for(lambda: not mode("x0a"), "the foreign program is gone")


def test_a_driver_that_refuses_several_buffers_gets_the_other_program(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Native mode goes before generic mode even so; it counts the same."""
    monkeypatch.setattr(links, "create", busy(errno.EINVAL, 1))
    made = attachment.attach(host, "x0a")
    assert (made.attached.mode, made.attached.frags) == (Mode.DRV, False)
    assert made.program.info.name == "x0_mesh_linear"
    send("y0a", [datagram("192.0.2.1")], made.program)
    assert attachment.replaced(host, "x0a").frags is False
    made.close()


def test_what_does_not_stay_attached_is_no_success(
    host: Host, foreign: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Success is what is read back, of attaching and of detaching."""

    def create(program: int, ifindex: int, flags: int) -> int:
        link = CREATE_LINK(program, ifindex, flags)
        links.detach(link)
        interfaces.netlink_attach(ifindex, foreign, flags)
        return link

    with monkeypatch.context() as patched:
        patched.setattr(links, "create", create)
        with pytest.raises(AttachRefused, match="is not there any more"):
            attachment.attach(host, "x0a")
    interfaces.netlink_attach(index("x0a"), -1, DRV)
    made = attachment.attach(host, "x0a")
    with monkeypatch.context() as patched:
        patched.setattr(links, "detach", int)
        with pytest.raises(Conflict, match="is there still"):
            attachment.detach(host, "x0a")
    made.close()


def test_a_program_that_cannot_be_pinned_does_not_stay(host: Host) -> None:
    """Something else has the name."""
    in_the_way = host.pin_of(index("x0a"))
    in_the_way.mkdir(parents=True)
    with pytest.raises(XdpUnavailable, match="cannot be pinned"):
        attachment.attach(host, "x0a", pin=True)
    in_the_way.rmdir()
    wait_for(lambda: not mode("x0a"), "nothing is attached")


def test_another_users_lock_is_no_traceback(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says whose it is."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise PermissionError

    monkeypatch.setattr(attachment, "exclusive_lock", refuse)
    with pytest.raises(XdpUnavailable, match="another user's"), host.locked():
        pass


def test_a_program_that_is_gone_is_unknown(host: Host) -> None:
    """Between two questions: it is not taken for anybody's."""
    gone = replace(interfaces.interface("x0a"), programs={Mode.DRV: 2**31})
    (there,) = attachment.occupants(gone)
    assert (there.name, there.ours) == (None, False)
    with pytest.raises(ProgramUnknown) as caught:
        attachment.own(gone, "x")
    assert caught.value.missing_caps == ("CAP_SYS_ADMIN",)
    del host


# -- pins, and the end of whoever owns -------------------------------------------------------------

_OWNER = """
import sys
from pathlib import Path
from actors.xdp import attachment
from actors.xdp.contract import Mode, Rules
host = attachment.Host(Path(sys.argv[1]))
held = [attachment.attach(host, "x0a"), attachment.attach(host, "x0b", Mode.SKB, pin=True)]
print("attached", flush=True)
sys.stdin.read()
"""


def test_a_killed_owner_leaves_what_it_pinned_and_nothing_else(host: Host) -> None:
    """The pinned program counts on, and is adopted with its counters."""
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(host.bpffs)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"attached\n"
    assert mode("x0a")
    with pytest.raises(NotAttached, match="held by another process"):
        attachment.adopt(host, "x0a")
    other = Owner(host, {"x0a": Wish(Mode.AUTO, pin=False)})
    other.look()
    assert "another process of this project" in other.states["x0a"].reason
    owner.kill()
    owner.communicate()
    wait_for(lambda: not mode("x0a"), "the unpinned program is detached")
    other.look()
    assert other.states["x0a"].state == "attached"
    read = attachment.opened("x0b")
    send("y0b", [datagram("192.0.2.3")] * 4, read)
    read.close()
    assert other.take_over() == ("x0b",)
    other.look()
    now = other.states["x0b"]
    assert now.attached is not None
    assert (now.state, now.attached.mode) == ("attached", Mode.SKB)
    program = other.program("x0b")
    assert program is not None
    assert counters.totals(program)["passed"].packets == 4
    other.close()
    assert mode("x0b")  # it is pinned


def test_pins_of_what_is_gone_are_removed_and_others_stay(host: Host) -> None:
    """A pin outlives its interface; what else lies there is not ours to remove."""
    pair("x0c", "y0c")
    attachment.attach(host, "x0c", pin=True).close()
    attachment.attach(host, "x0a", pin=True).close()
    ip("link del x0c")
    odd = host.directory / "odd"
    odd.mkdir()
    (orphan,) = attachment.remove_orphans(host)
    assert "link_" in orphan
    assert attachment.pinned_interfaces(host) == ("x0a",)
    odd.rmdir()


def test_without_anything_pinned_nothing_is_removed(host: Host, tmp_path: Path) -> None:
    """A host that has never pinned has no directory either."""
    del host
    assert attachment.remove_orphans(attachment.Host(tmp_path)) == ()


def test_without_a_bpf_file_system_nothing_is_pinned(host: Host, tmp_path: Path) -> None:
    """The message has the command that mounts it, and nothing stays attached."""
    del host
    with pytest.raises(XdpUnavailable, match=f"mount -t bpf bpf {tmp_path}"):
        attachment.attach(attachment.Host(tmp_path), "x0a", pin=True)
    assert not mode("x0a")


# -- the owner follows its interfaces --------------------------------------------------------------


def test_an_interface_that_is_made_anew_gets_its_rules_and_counters_back(host: Host) -> None:
    """Deleted, waited for, made again: the program goes on where it was; so does its pin."""
    pair("x0c", "y0c")
    owner = Owner(host, {"x0c": Wish(Mode.AUTO, pin=True)})
    assert owner.look() == ("x0c is attached",)
    program = owner.program("x0c")
    assert program is not None
    rules.deny(program, rules.network("192.0.2.0/24"))
    send("y0c", [datagram("192.0.2.1"), datagram("203.0.113.1")], program)
    ip("link del x0c")
    assert owner.look() == ("x0c is waiting: there is no interface x0c",)
    assert owner.program("x0c") is None
    assert not list(host.directory.iterdir())
    assert owner.look() == ()
    pair("x0c", "y0c")
    assert owner.look() == ("x0c is attached",)
    program = owner.program("x0c")
    assert program is not None
    send("y0c", [datagram("192.0.2.1"), datagram("203.0.113.1")], program)
    totals = counters.totals(program)
    assert (totals["denied"].packets, totals["passed"].packets) == (2, 2)
    ip("link del x0c")
    pair("x0c", "y0c")  # between two looks
    said = owner.look()
    assert "x0c has program" in said[0]
    ip("link del x0c")
    owner.look()
    owner.close()


def test_what_happens_to_an_interface_is_heard_and_told(host: Host) -> None:
    """Down, up, another MTU, another program, detached by somebody: each in a sentence."""
    changes = interfaces.LinkChanges()
    owner = Owner(host, {"x0a": Wish(Mode.AUTO, pin=False)})
    owner.look()
    assert changes.wait(60)
    ip("link set x0a down")
    assert changes.wait(60)
    assert owner.look() == ("x0a went down",)
    ip("link set x0a up", "link set x0a mtu 1400")
    assert owner.look() == ("x0a went up", "the MTU of x0a is 1400 now, and was 1500")
    ip("link set x0a mtu 1500")
    owner.look()
    now = attachment.replaced(host, "x0a")
    assert owner.look() == (f"x0a has program {now.program_id} now",)
    program = owner.program("x0a")
    assert program is not None
    assert program.info.id == now.program_id
    attachment.detach(host, "x0a")
    assert owner.look() == ("x0a is detached: somebody detached it",)
    assert owner.look() == ()
    assert not mode("x0a")
    changes.drain()
    assert not changes.wait(0)
    changes.close()
    owner.close()


def test_what_has_been_attached_before_is_owned_as_well(host: Host) -> None:
    """Taking over adds nothing that is wished already, and a look changes nothing."""
    owner = Owner(host, {"x0a": Wish(Mode.SKB, pin=True), "x0b": Wish(Mode.AUTO, pin=False)})
    owner.hold(attachment.attach(host, "x0a", Mode.SKB, pin=True))
    assert owner.take_over() == ()
    assert owner.look() == ("x0b is attached",)
    held = owner.held("x0a")
    assert held is not None
    assert held.attached.mode is Mode.SKB
    owner.close()
    assert mode("x0a")


def test_an_owner_gives_way_to_who_takes_its_place(host: Host, foreign: int) -> None:
    """A foreign program that came after ours was detached stays, and the owner says so."""
    owner = Owner(host, {"x0a": Wish(Mode.AUTO, pin=False)})
    owner.look()
    attachment.detach(host, "x0a")
    interfaces.netlink_attach(index("x0a"), foreign, DRV)
    assert "not of this project" in owner.look()[0]
    assert owner.states["x0a"].state == "refused"
    interfaces.netlink_attach(index("x0a"), -1, DRV)
    owner.close()


# -- rights, and the commands ----------------------------------------------------------------------


_TRY = """
import sys
from pathlib import Path
from actors.runtime.errors import X0Error
from actors.xdp import attachment
host = attachment.Host(Path(sys.argv[1]))
for what in (
    lambda: attachment.attach(host, "x0a", pin=True),
    lambda: attachment.attach(host, "x0b"),
):
    try:
        what()
        print("done")
    except X0Error as error:
        print(getattr(error, "missing_caps", ()), error)
"""


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("-net_admin", "CAP_NET_ADMIN"),
        ("-sys_admin,-bpf", "CAP_BPF"),
        ("-sys_admin,-perfmon", "CAP_PERFMON"),
        ("-sys_admin", "CAP_SYS_ADMIN"),
    ],
)
def test_a_missing_capability_is_named(host: Host, without: str, missing: str) -> None:
    """Nothing is attached; without CAP_SYS_ADMIN alone, only others' programs are out of reach."""
    made = attachment.attach(host, "x0b")
    drop = ["setpriv", f"--bounding-set={without}", "--"]
    done = subprocess.run(
        [*drop, sys.executable, "-c", _TRY, str(host.bpffs)],
        capture_output=True,
        text=True,
        check=True,
    )
    made.close()
    attach, occupied = done.stdout.splitlines()
    assert occupied.startswith(f"('{missing}',)")
    if missing == "CAP_SYS_ADMIN":
        assert attach == "done"
        return
    assert f"this process lacks {missing}" in attach
    assert f"AmbientCapabilities={missing}" in attach
    assert not mode("x0a")


def x0(host: Host, *arguments: str, code: int = 0) -> Any:
    """The one JSON object that `x0 xdp ... --json` prints."""
    env = {"X0TTA6BL4_XDP_BPFFS": str(host.bpffs)}
    done = CliRunner().invoke(app, ["xdp", *arguments, "--json"], env=env)
    assert done.exit_code == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def test_where_xdp_cannot_be_used_the_kernel_counts_and_it_is_said(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be seen is unknown, never zero."""
    made = attachment.attach(host, "x0a")
    monkeypatch.setattr(preflight, "_capabilities", frozenset)
    said = x0(host, "counters", "-i", "x0a", code=3)
    assert said["source"] == "kernel"
    assert "CAP_BPF" in said["reason"]
    assert "actions" not in said
    said = x0(host, "status", code=3)
    assert "CAP_BPF" in said["disabled"]["missing_caps"]
    made.close()


def test_the_commands_do_what_they_say(host: Host) -> None:
    """Attached with a pin, read, denied, limited, replaced, detached: each by its own process."""
    said = x0(host, "attach", "-i", "x0a", "--pin")
    assert (said["mode"], said["pin"] is not None) == ("drv", True)
    said = x0(host, "deny", "add", "-i", "x0a", "192.0.2.0/24", "2001:db8::/32")
    assert said["denied"] == ["192.0.2.0/24", "2001:db8::/32"]
    said = x0(host, "deny", "remove", "-i", "x0a", "192.0.2.0/24", "10.0.0.1")
    assert said["changed"] == ["192.0.2.0/24"]
    assert x0(host, "deny", "list", "-i", "x0a")["denied"] == ["2001:db8::/32"]
    said = x0(host, "rate-limit", "-i", "x0a", "--pps", "10", "--burst", "3")
    assert (said["limit_pps"], said["limit_burst"]) == (10, 3)
    assert x0(host, "rate-limit", "-i", "x0a")["limit_pps"] == 10
    assert x0(host, "counters", "-i", "x0a", "--sample", "1")["samples"] == []
    program = attachment.opened("x0a")
    send("y0a", [datagram("203.0.113.1"), datagram("2001:db8::1")], program)
    program.close()
    said = x0(host, "counters", "-i", "x0a", "--top", "1")
    assert said["actions"]["passed"] == {"packets": 1, "bytes": 64}
    assert said["actions"]["denied"] == {"packets": 1, "bytes": 64}
    assert [one["source"] for one in said["samples"]] == ["203.0.113.1", "2001:db8::1"]
    assert x0(host, "replace", "-i", "x0a")["pin"] is not None
    (row,) = x0(host, "status", "-i", "x0a")["interfaces"]
    assert (row["state"], row["rules"]["denied"]) == ("attached", ["2001:db8::/32"])
    assert x0(host, "rate-limit", "-i", "x0a", "--off")["limit_pps"] is None
    assert x0(host, "detach", "-i", "x0a")["detached"] is not None
    assert x0(host, "detach", "-i", "x0a")["detached"] is None
    said = x0(host, "counters", "-i", "x0a", code=4)
    assert "x0 xdp attach --interface x0a" in said["error"]["remedy"]
    for wrong in (
        ["attach", "-i", "x0a", "--mode", "best"],
        ["rate-limit", "-i", "x0a", "--burst", "1"],
        ["rate-limit", "-i", "x0a", "--off", "--pps", "1"],
        ["deny", "add", "-i", "x0a", "192.0.2.1/24"],
        ["status", "-i", "x0"],
    ):
        assert x0(host, *wrong, code=2)["error"]["remedy"]


def test_the_command_stays_and_says_what_happens(host: Host) -> None:
    """Without a pin it holds the program, and ends when somebody detaches it, or by a signal."""
    env = {**os.environ, "X0TTA6BL4_XDP_BPFFS": str(host.bpffs), "COLUMNS": "80"}
    command = [sys.executable, "-m", "jobs.cli", "xdp", "attach", "-i"]
    started = [
        subprocess.Popen([*command, name], env=env, stdout=PIPE, stderr=PIPE, text=True)
        for name in ("lo", "x0a")
    ]
    wait_for(lambda: bool(mode("lo") and mode("x0a")), "both are attached")
    lo, x0a = started
    assert x0a.stdout is not None
    while "Ctrl-C detaches it" not in x0a.stdout.readline():
        pass
    x0a.terminate()
    attachment.detach(host, "lo")
    said, errors = lo.communicate(timeout=60)
    assert (lo.returncode, "lo is detached" in errors) == (0, True)
    assert "skb (generic)" in said
    assert NO_NATIVE in said
    assert max(map(len, said.splitlines())) <= 80
    _, errors = x0a.communicate(timeout=60)
    assert (x0a.returncode, "SIGTERM: detaching" in errors) == (0, True)
    wait_for(lambda: not mode("x0a"), "its end detaches")
