"""Which process this is, and which processes this machine has now: what `rules.known_dead` is told.  Linux, through /proc."""

import datetime
import pathlib
import platform

from primitives import ids
from provisioners import model, rules


def here(*pids: int) -> rules.Here:
    """This machine, with the start times of those of `pids` that live now."""
    alive = {pid: ticks for pid in pids if (ticks := started_ticks(pid)) is not None}
    return rules.Here(host=_host(), boot=_text("/proc/sys/kernel/random/boot_id"), pid_space=_pid_space(), started_ticks=alive)


def worker(threads: int, now: datetime.datetime) -> model.Worker:
    """This process as a worker, under an id of its own."""
    pid = int(pathlib.Path("/proc/self").readlink().name)
    there = here(pid)
    return model.Worker(
        id=ids.new("wrk"), host=there.host, boot=there.boot, pid_space=there.pid_space, pid=pid, started_ticks=there.started_ticks[pid],
        threads=threads, started_at=now, seen_at=now,
    )  # fmt: skip


def started_ticks(pid: int) -> int | None:
    """Clock ticks from boot to the start of a process; None if there is none of this pid, or only its zombie."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[
        2
    ].split()  # proc(5): the name may hold anything, the state is the field after it, starttime the 22nd
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _host() -> str:
    """The machine; '' where it has no id of its own.  With its name, for machines that were cloned keep each other's id."""
    machine = _text("/etc/machine-id")
    return f"{machine}/{platform.node()}" if machine else ""


def _pid_space() -> str:
    return str(pathlib.Path("/proc/self/ns/pid").readlink())


def _text(path: str) -> str:
    try:
        return pathlib.Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""
