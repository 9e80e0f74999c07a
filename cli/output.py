"""Data on standard output, as table, json, yaml, csv or name.  No box, no wrapping, no colour unless a person looks at it.

Tables say times in Asia/Shanghai (`cli.moments`) and, in Chinese, states and kinds by their Chinese names; the other forms have what the API has.
Columns are paths such as "metadata.name" (titled NAME), or pairs (title, path or function of a row).  Chinese characters count
two cells.
"""

import itertools
import json
import os
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import typer

from cli import moments, session, texts

_STATES: Final = ("状态", "资源状态")
_KIND: Final = "类型"
Column: TypeAlias = str | tuple[str, str | Callable[[Any], Any]]


def show(ctx: typer.Context, data: Any, columns: Sequence[Column], *, spare: Collection[str] = ()) -> None:
    """Print one object (a mapping) or many (anything else that can be iterated) in the form that -o asks for.

    A table leaves out the columns titled in `spare` where they say nothing in any row.
    """
    form = session.options(ctx).output
    one = isinstance(data, Mapping)
    rows: list[Any] = [data] if one else list(data)
    if form == "json":
        text = json.dumps(data if one else rows, ensure_ascii=False, indent=2) + "\n"
    elif form == "yaml":
        text = _yaml(data if one else rows)
    elif form == "csv":
        text = _csv(rows, columns)
    elif form == "name":
        text = "".join(f"{_name(row)}\n" for row in rows)
    elif one:
        text = _fields(data, columns)
    else:
        told = [column for column in columns if _title(column) not in spare or any(found(row, column) for row in rows)]
        text = _table(rows, told, bold=_colourful(ctx))
    sys.stdout.write(text)
    if form == "table" and not rows:
        sys.stdout.flush()
        session.tell(texts.say("none", "无"))


def width(text: str) -> int:
    """Cells that a text takes on a terminal: wide and full-width characters two, combining ones none."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cell(value: Any) -> str:
    """A value as text for a cell, on one line."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={cell(item)}" for key, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ",".join(cell(item) for item in value) or "-"
    return "".join(c if c.isprintable() else " " for c in str(value))


def found(row: Any, column: Column) -> Any:
    """The value of a column in a row; None where the path leads nowhere."""
    at = column[1] if isinstance(column, tuple) else column
    if callable(at):
        return at(row)
    for part in at.split("."):
        row = row.get(part) if isinstance(row, Mapping) else None
    return row


def _title(column: Column) -> str:
    return column[0] if isinstance(column, tuple) else column.rpartition(".")[2].replace("_", " ").upper()


def _table(rows: Sequence[Any], columns: Sequence[Column], *, bold: bool) -> str:
    titles = [_title(column) for column in columns]
    values = [[found(row, column) for column in columns] for row in rows]
    cells = [titles, *([_said(title, value) for title, value in zip(titles, line, strict=True)] for line in values)]
    widths = [max(width(line[at]) for line in cells) for at in range(len(columns))]
    right = [_numeric(line[at] for line in values) for at in range(len(columns))]
    lines = []
    for line in cells:
        parts = [
            (" " * (size - width(text)) + text) if to_right else (text + " " * (size - width(text)))
            for text, size, to_right in zip(line, widths, right, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    if bold:
        lines[0] = f"\x1b[1m{lines[0]}\x1b[0m"
    return "\n".join(lines) + "\n"


def _said(title: str, value: Any) -> str:
    """A value for a person: moments in Asia/Shanghai, states and yes or no in the language of the person."""
    if isinstance(value, bool):
        return texts.say(cell(value), "是" if value else "否")
    text = moments.local(cell(value))
    return texts.state(text) if title in _STATES else texts.kind(text) if title == _KIND else text


def _numeric(values: Iterable[Any]) -> bool:
    """Whether a column holds numbers only, money text included; those stand to the right."""
    filled = [value for value in values if value not in (None, "")]
    return bool(filled) and all(
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, str) and value.removeprefix("-").replace(".", "", 1).isdecimal() and value.isascii())
        for value in filled
    )


def _fields(row: Any, columns: Sequence[Column]) -> str:
    titles = [_title(column) for column in columns]
    wide = max((width(title) for title in titles), default=0)
    lines = []
    for title, column in zip(titles, columns, strict=True):
        value = found(row, column)
        many = value if isinstance(value, list) and value else [value]
        for item, first in zip(many, itertools.chain([title], itertools.repeat("")), strict=False):
            lines.append(f"{first}{' ' * (wide - width(first))}  {_said(title, item)}")
    return "\n".join(lines) + "\n"


def _csv(rows: Sequence[Any], columns: Sequence[Column]) -> str:
    import csv
    import io

    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_title(column) for column in columns])
    writer.writerows([_csv_cell(found(row, column)) for column in columns] for row in rows)
    return stream.getvalue()


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else cell(value)


def _yaml(data: Any) -> str:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(data, Dumper=dumper, allow_unicode=True, sort_keys=False, default_flow_style=False))


def _name(row: Any) -> str:
    for path in ("metadata.name", "name", "code", "metadata.id", "id"):
        value = found(row, path)
        if value:
            return str(value)
    return cell(row)


def _colourful(ctx: typer.Context) -> bool:
    return (
        sys.stdout.isatty() and session.options(ctx).color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )
