"""Usage from a file, all or nothing: checked whole outside the lane, appended in chunks, counted from the moment the last chunk is in.

A killed import goes on under the same key; until it is complete none of its events counts anywhere.
"""

import dataclasses
import datetime
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from metering import cloudevents, faults, model, service
from metering.records import usage as records
from primitives import canonical, clock, errors, ids
from store.transaction import Transaction

LINES_MAX: Final = 200_000
FINDINGS_MAX: Final = 1_000
CHUNK: Final = 500
"""Events a use case."""
SKEW: Final = datetime.timedelta(minutes=5)
"""How far a reporting clock may run ahead of ours."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file without findings."""

    sha256: str
    lines: int
    events: tuple[model.UsageEvent, ...]  # each source and id once, in the order of the file


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """An import under way: the first `done` events of the file are settled."""

    id: str
    done: int


def check(tx: Transaction, content: bytes, places: Mapping[str, frozenset[str]], now: datetime.datetime) -> File:
    """The events of a file of JSON lines.  `places`: tenant code -> codes of its projects.  Raises usage.findings with every line.

    For a reader's snapshot: it may take seconds.
    """
    lines = content.split(b"\n")
    findings: list[errors.Finding] = []
    events: dict[tuple[str, str], tuple[int, model.UsageEvent]] = {}
    count = sum(1 for line in lines if line.strip())
    if count > LINES_MAX:
        findings.append(errors.Finding(f"line {LINES_MAX + 1}", "usage.count", f"more than {LINES_MAX} lines"))
        lines = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or len(findings) >= FINDINGS_MAX:
            continue
        try:
            event = cloudevents.parse(line.strip())
        except errors.GovpoolError as error:
            findings.append(errors.Finding(f"line {number}", error.code, error.text("en")))
            continue
        findings.extend(errors.Finding(f"line {number}", code, text) for code, text in _wrong(event, places, now))
        first, same = events.setdefault((event.source, event.id), (number, event))
        if same != event:
            findings.append(
                errors.Finding(f"line {number}", faults.EVENT_CHANGED.code, f"line {first} has the same id and other content")
            )
    findings.extend(_contradictions(tx, list(events.values())))
    if not count and not findings:
        findings.append(errors.Finding("line 1", "usage.empty", "there is no event"))
    if findings:
        raise faults.FINDINGS(count=len(findings), lines=count, findings=tuple(findings[:FINDINGS_MAX]))
    unique = tuple(event for _, event in events.values())
    return File(sha256=hashlib.sha256(content).hexdigest(), lines=count, events=unique)


def begin(tx: Transaction, file: File, *, account_id: str, key: str) -> Import:
    """Begin an import, or find the killed one of the same key.  Raises usage.import_overtaken when that was another file."""
    known = records.open_import(tx, account_id, key)
    if known is None:
        import_id = ids.new("imp")
        records.begin_import(tx, import_id=import_id, account_id=account_id, key=key, sha256=file.sha256, events=len(file.events))
        return Import(id=import_id, done=0)
    if known["sha256"] != file.sha256:
        raise faults.IMPORT_OVERTAKEN()
    return Import(id=known["id"], done=known["done"])


def append(tx: Transaction, file: File, import_id: str, first: int) -> int:
    """Append the next chunk from event `first` on; how many are settled now.  Raises usage.changed, usage.import_overtaken."""
    chunk = file.events[first : first + CHUNK]
    if not records.advance_import(tx, import_id, first, first + len(chunk)):
        raise faults.IMPORT_OVERTAKEN()
    records.insert(tx, service.unknown(tx, chunk), import_id)
    return first + len(chunk)


def complete(tx: Transaction, import_id: str) -> None:
    """Let the events count.  Raises usage.changed when one became known otherwise in the meantime; then none of them ever counts."""
    other = records.contradicted(tx, import_id)
    if other is not None:
        raise faults.EVENT_CHANGED(source=other[0], id=other[1])
    if not records.complete_import(tx, import_id):
        raise faults.IMPORT_OVERTAKEN()


def _wrong(event: model.UsageEvent, places: Mapping[str, frozenset[str]], now: datetime.datetime) -> Iterator[tuple[str, str]]:
    if event.tenant not in places:
        yield "usage.tenant", f"there is no tenant {event.tenant}"
    elif event.project not in places[event.tenant]:
        yield "usage.project", f"{event.tenant} has no project {event.project}"
    if event.at > now + SKEW:
        yield "usage.future", f"{clock.text(event.at)} is in the future"


def _contradictions(tx: Transaction, events: Sequence[tuple[int, model.UsageEvent]]) -> Iterator[errors.Finding]:
    """Events that are known with other content, looked up in slices."""
    for start in range(0, len(events), 5_000):
        part = events[start : start + 5_000]
        known = records.digests(tx, [event.id for _, event in part])
        for number, event in part:
            digest = known.get((event.source, event.id))
            if digest is not None and digest != canonical.digest(event.as_json()):
                text = f"event {event.id} of {event.source} is known with other content"
                yield errors.Finding(f"line {number}", faults.EVENT_CHANGED.code, text)
