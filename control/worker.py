"""A worker process of its own: `python -m control.worker --database postgresql://...`.  Runs the reconciler and the sweep, and no API.

On PostgreSQL any number of them share the work by leases; a SQLite file belongs to one process, so there it runs only while `govpool serve`
does not.  Prints one JSON line on stdout when it works: {"ready": true, "pid": 4711}.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

from control import logs, services, settings
from control.reconciler import engine, sweep
from control.wiring import Wiring
from primitives import errors
from store import database as store_database

NEW_POOL_S: Final = 2
"""How often the sweeper looks whether a sweep is due, so that a new pool has its hosts within seconds."""


def background(wiring: Wiring) -> list[services.Service]:
    """The reconciler and the sweep as services of a process; none with `workers` 0."""
    chosen = wiring.settings
    if not chosen.workers:
        return []
    sweeper = sweep.Sweeper(wiring, every_s=chosen.sweep_s)
    return [
        engine.Reconciler(wiring, threads=chosen.workers, lease_s=chosen.lease_s),
        services.Loop("sweep", sweeper.sweep_all, min(NEW_POOL_S, chosen.sweep_s)),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT.  Exit codes: 0 stopped, 1 the database or a setting is refused, 2 usage."""
    parser = argparse.ArgumentParser(prog="python -m control.worker", description=__doc__)
    parser.add_argument("--database", required=True, help="sqlite:///path or postgresql://...")
    parser.add_argument("--settings", type=pathlib.Path, help="YAML file of settings")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="any setting")
    options = parser.parse_args(argv)
    try:
        chosen = settings.read(options.settings, os.environ, dict(pair.partition("=")[::2] for pair in options.set))
        logs.set_up(chosen.log_level)
        database = store_database.open_database(options.database)
    except errors.GovpoolError as error:
        sys.stderr.write(f"{error.code}: {error.text('en')}; {error.mend('en')}\n")
        return 1
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    running = background(Wiring(database, chosen))
    try:
        for one in running:
            one.start()
        sys.stdout.write(json.dumps({"ready": True, "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        stopped.wait()
    finally:
        for one in reversed(running):
            one.stop()
        database.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
