"""The usage events of the past month, made from `fleet.txt`: one line of the public format for every change of every guest.

    python demo/history.py 2026-10 > usage.jsonl

Nothing here is measured; it stands for what the old collectors of the departments' machine rooms would hand over.
"""

import datetime
import hashlib
import json
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

HERE = pathlib.Path(__file__).parent
SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
STATE = {"start": "running", "stop": "stopped", "delete": "deleted", "resize": "running"}


def events(month: str, fleet: str) -> Iterator[dict[str, Any]]:
    """All events of a month 'YYYY-MM' for the lines of a fleet file."""
    first = datetime.datetime(int(month[:4]), int(month[5:]), 1, tzinfo=SHANGHAI)
    for line in fleet.splitlines():
        words = line.split()
        if words and not words[0].startswith("#"):
            for number in range(1, int(words[7]) + 1):
                yield from _of_guest(first, words, number)


def text(month: str, fleet: str) -> str:
    """The events of a month as the lines of an import file."""
    return "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events(month, fleet))


def _of_guest(first: datetime.datetime, words: list[str], number: int) -> Iterator[dict[str, Any]]:
    tenant, project, _, name = words[:4]
    amounts = _amounts(words[4:7])
    subject = f"{tenant}/{project}/{name}-{number}"
    life = iter(words[9:])
    verb = ""
    for sequence, verb in enumerate(life, 1):
        day, hour = (int(part) for part in next(life).split("."))
        if verb == "resize":
            amounts = _amounts([next(life), next(life), next(life)])
        at = first + datetime.timedelta(days=day - 1, hours=hour)
        yield _event(subject, sequence, at, STATE[verb], words=words, amounts=amounts)
    if verb != "delete":  # with the month the departments' own machine rooms closed
        following = (first + datetime.timedelta(days=32)).replace(day=1)
        yield _event(subject, 99, following, "deleted", words=words, amounts=amounts)


def _event(
    subject: str, sequence: int, at: datetime.datetime, state: str, *, words: list[str], amounts: dict[str, int]
) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": hashlib.sha256(f"{subject}/{sequence}".encode()).hexdigest()[:32],
        "source": "urn:qinghe:collector",
        "type": "govpool.usage.state",
        "subject": subject,
        "time": at.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z"),
        "sequence": sequence,
        "data": {
            "tenant": words[0],
            "project": words[1],
            "kind": words[2],
            "state": state,
            "amounts": amounts,
            "dimensions": {"pool": "gov", "zone": "qinghe-a", "class": "standard", "hall": words[8]},
            "labels": {},
        },
    }


def _amounts(texts: list[str]) -> dict[str, int]:
    found = dict(zip(("cpu_milli", "ram_mib", "disk_gib"), map(int, texts), strict=True))
    return {name: amount for name, amount in found.items() if amount}


if __name__ == "__main__":
    sys.stdout.write(text(sys.argv[1], (HERE / "fleet.txt").read_text(encoding="utf-8")))
