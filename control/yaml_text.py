"""YAML from strangers: the core schema and nothing else, with limits, every mistake with its line.

libyaml parses; values are built here from its events, so nothing is constructed by tag and nothing is expanded.  Refused: more than
256 KiB, deeper than 32, more than 50,000 nodes, aliases and anchors, tags, keys that are no text or come twice, text that is not
UTF-8.
Numbers with a point or an exponent stay text exactly as written: money is never a float.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from primitives import errors

BYTES_MAX: Final = 256 * 1024
DEPTH_MAX: Final = 32
NODES_MAX: Final = 50_000
DIGITS_MAX: Final = 18

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_INDEX: Final = re.compile(r"\[(?:\.\.\.|[0-9]+)\]")


@dataclasses.dataclass(frozen=True, slots=True)
class Parsed:
    """One document: its value and the line of each path in it ('spec.granted')."""

    value: Any
    line: int
    lines: dict[str, int]

    def line_of(self, path: str) -> int:
        """The line of a path, or of the nearest thing above it."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path.rpartition(".")[0] if not path.endswith("]") else path[: path.rindex("[")]
        return self.line


class _Refused(Exception):
    """A mistake at a line; parsing cannot go on."""

    def __init__(self, line: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.finding = errors.Finding(f"line {line}", code, detail)


def load_all(content: bytes) -> tuple[list[Parsed], list[errors.Finding]]:
    """The documents up to the first mistake of syntax, and that mistake.  Never raises for any content."""
    parsed: list[Parsed] = []
    if len(content) > BYTES_MAX:
        return [], [errors.Finding("line 1", "yaml.size", f"more than {BYTES_MAX} bytes")]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [], [errors.Finding(f"line {line}", "yaml.encoding", "the text is not UTF-8")]
    try:
        for one in _Builder(yaml.parse(text, Loader=_LOADER)).documents():
            parsed.append(one)
    except _Refused as refused:
        return parsed, [refused.finding]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        return parsed, [errors.Finding(f"line {line}", "yaml.syntax", str(error.problem or error.context or "not YAML"))]
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return parsed, [errors.Finding("line 1", "yaml.syntax", str(error)[:200])]
    return parsed, []


class _Builder:
    """Builds values from parse events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._nodes = 0
        self._lines: dict[str, int] = {}

    def documents(self) -> Iterator[Parsed]:
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._lines = {}
                first = next(self._events)
                value = self._value(first, "", 0)
                if value is not None:
                    yield Parsed(value, first.start_mark.line + 1, self._lines)

    def _value(self, event: Any, path: str, depth: int) -> Any:
        line = event.start_mark.line + 1
        self._nodes += 1
        self._lines[path] = line
        if self._nodes > NODES_MAX:
            raise _Refused(line, "yaml.nodes", f"more than {NODES_MAX} nodes")
        if depth > DEPTH_MAX:
            raise _Refused(line, "yaml.depth", f"deeper than {DEPTH_MAX} levels")
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise _Refused(line, "yaml.alias", "anchors and aliases are not taken")
        if event.tag:
            raise _Refused(line, "yaml.tag", "tags are not taken")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, line)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _sequence(self, path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._value(event, f"{path}[{len(found)}]", depth + 1))
        return found

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent) or event.tag or event.anchor:
                raise _Refused(line, "yaml.key", "a key must be plain text")
            key = event.value
            if key in found:
                raise _Refused(line, "yaml.duplicate", f"the key {key[:80]!r} comes twice")
            if not key or len(key) > 256 or not key.isprintable():
                raise _Refused(line, "yaml.key", "a key has 1 to 256 printable characters")
            below = f"{path}.{key}" if path else key
            found[key] = self._value(next(self._events), below, depth + 1)
            self._lines[below] = line
        return found


def _scalar(event: Any, line: int) -> Any:
    text: str = event.value
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise _Refused(line, "yaml.character", "U+0000 and lone surrogates are not taken")
    if event.style:  # quoted or block text
        return text
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        if len(text.lstrip("+-")) > DIGITS_MAX:
            raise _Refused(line, "yaml.number", f"a number has at most {DIGITS_MAX} digits")
        return int(text)
    return text
