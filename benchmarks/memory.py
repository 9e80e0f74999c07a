"""Resident memory of a server on SQLite 60 s after its start, everything that it runs by default included.

Also which heavy packages it has imported; that there are none of those that only some commands need is a test
(tests/integration/test_server_imports.py).  `python -m benchmarks.memory` prints the figures.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

from benchmarks import city

AFTER_S: Final = 60
AIM_MIB: Final = 150


def measured(*, after_s: float = AFTER_S) -> dict[str, Any]:
    """MiB resident after `after_s`, the peak until then, private memory, and what `serve` alone adds to bare Python's."""
    with city.sqlite() as url, tempfile.TemporaryDirectory(prefix="govpool-bench-") as home:
        city.found(url)
        with city.serving(url, pathlib.Path(home)) as (_, process):
            started = resident_mib(process.pid)
            time.sleep(after_s)
            found = {
                "at_start_mib": started,
                "resident_mib": resident_mib(process.pid),
                "peak_mib": _status_mib(process.pid, "VmHWM"),
                "threads": len(os.listdir(f"/proc/{process.pid}/task")),
                "after_s": after_s,
            }
    return found | {"bare_python_mib": _bare_mib()}


def resident_mib(pid: int) -> float:
    """Resident set of a process, MiB."""
    return _status_mib(pid, "VmRSS")


def _status_mib(pid: int, field: str) -> float:
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"benchmarks: the kernel tells no {field}")


def _bare_mib() -> float:
    code = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS')][0])"
    return int(subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True).stdout) / 1024


def table(found: dict[str, Any]) -> list[list[str]]:
    """Rows to print."""
    return [
        ["server on SQLite", "resident MiB", "peak MiB", "aim MiB", "bare Python MiB", "threads"],
        [
            f"{found['after_s']:.0f} s after its start",
            f"{found['resident_mib']:.0f}",
            f"{found['peak_mib']:.0f}",
            f"under {AIM_MIB}",
            f"{found['bare_python_mib']:.0f}",
            str(found["threads"]),
        ],
    ]


def main() -> None:
    """Print the figures."""
    print(json.dumps(measured()))


if __name__ == "__main__":
    main()
