"""`x0 env`: the addresses of the running mesh as exports for a shell."""

from __future__ import annotations

import shlex

from jobs.terminal import reporting


@reporting.reported
def command(as_json: reporting.AsJson = False) -> int:
    """Print the addresses of the running mesh as exports, for `eval "$(x0 env)"`.

    GATEWAY and GATEWAY_TOKEN_FILE are for HTTP; RAY_API_SERVER_ADDRESS and RAY_AUTH_MODE are for
    `ray job submit`; X0_ADDRESS is for `spawn.connect` in Python.
    """
    from jobs.launch import found, record

    report = reporting.Report(as_json)
    exports = record.exports(found.state_dir())
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    report.result(exports, *lines)
    return 0


if __name__ == "__main__":
    reporting.run(command)
