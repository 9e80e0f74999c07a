"""The lab cloud as a process.  NO GUEST RUNS IN IT.  `python -m provisioners.lab.cloud --file lab.db --port 0 [--script faults.json]`

Prints one JSON line on stdout when it is ready: {"ready": true, "url": "http://127.0.0.1:43210", "pid": 4711, "banner": "..."}.
"""

import argparse
import json
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Sequence

import msgspec

from provisioners.lab import book, server, wire

_LOOPBACK = ("127.0.0.1", "localhost")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.  Exit codes: 0 stopped, 1 the file or port is taken, 2 usage or an unreadable script."""
    parser = argparse.ArgumentParser(prog="govpool lab", description=wire.BANNER)
    parser.add_argument("--file", type=pathlib.Path, required=True, help="the cloud's own SQLite file, made if absent")
    parser.add_argument("--socket", default="", metavar="HOST:PORT", help="where to listen (loopback only)")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--script", type=pathlib.Path, help="JSON script of faults, delays, hosts and images; kept in the file")
    options = parser.parse_args(argv)
    host, _, port_text = options.socket.rpartition(":") if options.socket else ("127.0.0.1", "", str(options.port))
    if host not in _LOOPBACK or not port_text.isdecimal() or int(port_text) > 65_535:
        parser.error("the lab cloud listens on loopback only: --socket 127.0.0.1:PORT")
    try:
        script = options.script.read_bytes() if options.script else b""
        cloud = server.Cloud((host, int(port_text)), book.Book(options.file), script)
    except (msgspec.MsgspecError, UnicodeDecodeError, FileNotFoundError) as error:
        sys.stderr.write(f"govpool lab: the script cannot be read: {error}\n")
        return 2
    except (book.OccupiedError, book.OtherReleaseError, OSError) as error:
        sys.stderr.write(f"govpool lab: {error}\n")
        return 1
    return _serve(cloud)


def _serve(cloud: server.Cloud) -> int:
    loop = threading.Thread(target=cloud.serve_forever, kwargs={"poll_interval": 0.2}, name="lab-http")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=cloud.shutdown).start())
    loop.start()
    address, port = cloud.server_address[:2]
    ready = {"ready": True, "url": f"http://{address!s}:{port}", "pid": os.getpid(), "banner": wire.BANNER}
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()
    loop.join()
    cloud.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
