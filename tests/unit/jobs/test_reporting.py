"""How commands speak."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from actors.mesh.errors import MailboxFull
from actors.topology.errors import UnknownNode
from jobs import cli
from jobs.terminal import reporting


def invoke(failure: BaseException | None, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that ends like this."""

    @reporting.reported
    def command(*, as_json: reporting.AsJson = False) -> int:
        if failure is not None:
            raise failure
        report = reporting.Report(as_json)
        report.progress("working")
        report.result({"n": 1}, "one", reporting.table("T", ("a", "b"), [("x", 12345)]))
        return 3

    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.stdout, done.stderr


def test_a_result_is_text_for_people_and_one_object_for_programs() -> None:
    """With --json stdout has one object; without, plain text; progress goes to stderr; the exit
    code is the command's."""
    code, out, err = invoke(None)
    assert (code, err) == (3, "working\n")
    assert [line.split() for line in out.splitlines()] == [
        ["one"],
        ["T"],
        ["a", "b"],
        ["x", "12,345"],
    ]
    assert "\x1b" not in out
    code, out, err = invoke(None, "--json")
    assert (code, json.loads(out), err) == (3, {"n": 1}, "working\n")


def test_what_libraries_print_is_not_on_stdout() -> None:
    """A line that something prints while a command runs, in any thread, goes to stderr."""

    @reporting.reported
    def command(*, as_json: reporting.AsJson = False) -> int:
        report = reporting.Report(as_json)
        library = threading.Thread(target=print, args=["(raylet) A worker died"])
        library.start()
        library.join()
        report.result({"n": 1})
        return 0

    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, ["--json"])
    assert json.loads(done.stdout) == {"n": 1}
    assert done.stderr == "(raylet) A worker died\n"


def test_a_typed_error_is_said_in_one_form() -> None:
    """An error is one line on stderr, its exit code, and with --json an object on stdout."""
    error = MailboxFull("n1", capacity=2, retry_after_s=1.0)
    code, out, err = invoke(error)
    assert (code, out, err) == (4, "", f"error: {error}\n")
    code, out, err = invoke(error, "--json")
    assert code == 4
    assert json.loads(out) == {
        "error": {
            "type": "MailboxFull",
            "what": error.what,
            "why": error.why,
            "remedy": error.remedy,
        }
    }
    assert err == f"error: {error}\n"


def test_an_error_that_crossed_processes_keeps_its_name() -> None:
    """Ray derives a class from an error's class; people are told the project's name of it."""
    derived = type("RayTaskError(UnknownNode)", (UnknownNode,), {"__module__": "ray.exceptions"})
    _, out, _ = invoke(derived("n1"), "--json")
    assert json.loads(out)["error"]["type"] == "UnknownNode"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_defect(number: int) -> None:
    """Whatever could not be written, here or in an actor, the way out is room on the disk."""
    code, out, err = invoke(OSError(number, os.strerror(number)), "--json")
    assert code == 74
    assert json.loads(out)["error"]["type"] == "DiskFull"
    assert "Make room" in err
    assert "Traceback" not in err
    assert "Traceback" in invoke(OSError(errno.EIO, "Input/output error"))[2]


def test_a_defect_is_called_one() -> None:
    """Anything untyped exits 70 with its traceback on stderr and still one object on stdout."""
    code, out, err = invoke(ZeroDivisionError("division by zero"), "--json")
    assert code == 70
    assert json.loads(out)["error"]["type"] == "ZeroDivisionError"
    assert "Traceback" in err
    assert "defect" in err


def test_bytes_that_are_no_text_are_refused_by_name() -> None:
    """An argument that is not UTF-8 is an error that shows it, and no defect."""
    command = [sys.executable, "-m", "jobs.send", "a", "b", b"caf\xe9", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert error["type"] == "InvalidInput"
    assert "caf\\udce9" in error["what"]
    assert "Traceback" not in done.stderr


@given(st.lists(st.text("ab c\n", min_size=1).map(str.split).filter(bool), min_size=1))
def test_a_docstring_is_wrapped_by_the_terminal_alone(paragraphs: list[list[str]]) -> None:
    """Wherever the source breaks its lines, help has one line a paragraph, words unchanged."""
    source = "\n\n".join("\n    ".join(words) for words in paragraphs)
    assert reporting.unwrapped(source) == "\n\n".join(" ".join(words) for words in paragraphs)


def test_no_cell_is_folded_for_a_program() -> None:
    """However long a name is, in text that is not for a terminal it is on one line."""
    name = "n" * 300

    @reporting.reported
    def command(*, as_json: reporting.AsJson = False) -> int:
        columns = ("name", "other")
        reporting.Report(as_json).result({}, reporting.table("T", columns, [(name, name)]))
        return 0

    app = typer.Typer()
    app.command()(command)
    lines = CliRunner().invoke(app, []).stdout.splitlines()
    assert [line.split() for line in lines] == [["T"], ["name", "other"], [name, name]]


@pytest.mark.parametrize("name", ["up", "status", "send", "down"])
def test_every_command_has_help_and_json(name: str) -> None:
    """Each command explains itself and offers --json."""
    done = CliRunner().invoke(cli.app, [name, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert "--json" in done.stdout


def test_help_does_not_wait_for_heavy_imports() -> None:
    """The commands can be listed without importing Ray, numpy or pydantic."""
    probe = "import sys, jobs.cli; print({'ray', 'numpy', 'scipy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
