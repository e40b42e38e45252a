"""A PostgreSQL of the tests' own: a fresh cluster on a free loopback port, ended by its pid."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = ("postgres", "nobody")  # it refuses to run as root


def binaries() -> Path | None:
    """Where Debian's server is; None if it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).parent if on_path else None


def _user() -> str | None:
    """Whom to run it as; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in USERS if name in known)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A running server; its URL without a database."""
    programs, user = binaries(), _user()
    assert programs is not None
    directory = Path(tempfile.mkdtemp(prefix="x0-pg-"))
    try:
        if user is not None:
            shutil.chown(directory, user)
        data = directory / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "x0", "-A", "trust", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            cwd=directory,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        options = ("listen_addresses=127.0.0.1", f"unix_socket_directories={directory}")
        options += ("fsync=off", "max_connections=60")
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port)]
            + [part for option in options for part in ("-c", option)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            cwd=directory,
        )
        try:
            _wait(process, port)
            yield f"postgresql://x0@127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 180
    while True:
        assert process.poll() is None, "PostgreSQL did not start"
        try:
            psycopg.connect(f"postgresql://x0@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.1)
        else:
            return


def fresh(base: str) -> str:
    """The URL of a new, empty database of the server at `base`."""
    name = f"t{uuid.uuid4().hex[:16]}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{base}/{name}"
