"""What the use cases of one batch share: what was read and still stands, counters decided in memory, and rows that are written later.

All of it is safe for one reason: whoever runs a batch holds the lane's lock, so nobody else writes.  Three things follow.
- A read is kept until a statement writes to a table that it named (`keep`, `kept`).
- A counter (`Tally`) is changed in memory and written by one guarded statement for all its rows; the guard says no if a row is not as it was read.
- A row whose outcome nobody asks for is written later, with others of its table (`later`).

Nobody can tell the difference: a statement that names a table with something unwritten makes it written first.  A use case that is refused takes
its own back.  Where the database refuses what was written later, nobody knows whose it was: `RerunError`, and the lane runs the batch again with
every statement at once and every use case in a savepoint of its own.  Outside of the lane nothing is ever written later.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from store import columns, engines

KEPT_MAX: Final = 20_000
"""Values kept at most; beyond that all are read anew."""

_ABSENT: Final = object()
_Row = dict[str, Any]


class RerunError(Exception):
    """The database refused what was written later for several use cases."""


class Line:
    """A row of counters: `values` as they are now, `stored` as the database has them, `fixed` what the decision needs beside them."""

    __slots__ = ("about", "fixed", "key", "stored", "values")

    def __init__(self, key: tuple[Any, ...], values: tuple[int, ...], fixed: tuple[int, ...], about: Any = None) -> None:
        self.key = key
        self.about = about  # what else the room wants to know of the row
        self.values = self.stored = values
        self.fixed = fixed


class Tally:
    """The counters of one table as one batch knows them.  `write` stores lines under their guard and says how many rows it changed."""

    def __init__(self, batch: "Batch", write: Callable[[engines.Connection, Sequence[Line]], int]) -> None:
        self._before = batch.before_lines
        self._write = write
        self.lines: dict[tuple[Any, ...], Line] = {}
        self.known: set[Any] = set()
        """What the room has looked up already, found or not."""
        self._changed: set[Line] = set()

    def put(self, line: Line, values: tuple[int, ...]) -> None:
        """Other values for a line; a refused use case takes them back."""
        self._before.append((line, line.values))
        line.values = values
        self._changed.add(line)

    def changed(self) -> bool:
        """Whether a use case of this batch has changed a line, written or not."""
        return bool(self._changed)

    def unwritten(self) -> bool:
        """Whether a line differs from what the database has."""
        return any(line.values != line.stored for line in self._changed)

    def write(self, connection: engines.Connection) -> None:
        """Store what changed.  Raises RerunError if a row is not as it was read."""
        changed = sorted((line for line in self._changed if line.values != line.stored), key=lambda line: line.key)
        if changed and self._write(connection, changed) != len(changed):
            raise RerunError("a counter was not as it was read")
        for line in changed:
            line.stored = line.values

    def settle(self) -> None:
        """The batch ends with everything written."""
        self._changed.clear()
        if len(self.lines) > KEPT_MAX:
            self.lines.clear()
            self.known.clear()


class Batch:
    """One batch on one connection.  `deferring` False: everything is written at once, and only `keep` has a use."""

    def __init__(self, connection: engines.Connection, *, deferring: bool = False) -> None:
        self.connection = connection
        self.deferring = deferring
        self._kept: dict[Any, tuple[Any, tuple[str, ...]]] = {}
        self._keys_of: dict[str, set[Any]] = {}
        self._tallies: dict[str, Tally] = {}
        self._unwritten: dict[str, list[_Row]] = {}
        self._own: dict[str, int] = {}  # how many of these rows, the last ones, are the present use case's
        self._indexes: dict[tuple[str, tuple[str, ...]], tuple[int, dict[tuple[Any, ...], _Row]]] = {}
        self.before_lines: list[tuple[Line, tuple[int, ...]]] = []
        """Lines that the present use case has changed, and what they were."""
        self._before_kept: list[tuple[Any, Any]] = []
        self._saved = not deferring  # the present use case has its savepoint
        self.broken = False  # what was written later was refused; a use case that swallows the error changes nothing about that

    # -- what was read ---------------------------------------------------------------------------------------------------------------

    def kept(self, key: Any) -> Any:
        """What was kept under a key, or None."""
        found = self._kept.get(key)
        return None if found is None else found[0]

    def keep(self, key: Any, value: Any, tables: Iterable[str]) -> None:
        """Keep a value until a statement writes to one of `tables`, or the use case is refused."""
        if len(self._kept) >= KEPT_MAX:
            self.forget()
        before = self._kept.get(key, _ABSENT)
        named = tuple(tables)
        self._kept[key] = (value, named)
        for table in named:
            self._keys_of.setdefault(table, set()).add(key)
        self._before_kept.append((key, before))

    def _restore(self, key: Any, before: Any) -> None:
        if before is _ABSENT:
            self._kept.pop(key, None)
        else:
            self._kept[key] = before
            for table in before[1]:
                self._keys_of.setdefault(table, set()).add(key)

    def forget(self) -> None:
        """Everything is read anew, but for counters changed in this batch: a refusal may still take back what makes them differ."""
        self._kept.clear()
        self._keys_of.clear()
        self._tallies = {name: tally for name, tally in self._tallies.items() if tally.changed()}

    # -- what is written later -------------------------------------------------------------------------------------------------------

    def tally(self, table: str, write: Callable[[engines.Connection, Sequence[Line]], int]) -> Tally | None:
        """The counters of a table; None where they must be changed by the guard itself, at once."""
        if not self.deferring:
            return None
        if table in self._unwritten:  # its own rows, else they would not be among the lines that the room reads
            self.before((table,), (table,))
        found = self._tallies.get(table)
        if found is None:
            found = self._tallies[table] = Tally(self, write)
        return found

    def later(self, table: sa.Table, rows: Sequence[_Row]) -> None:
        """Write rows, in any order among tables, at the latest with the commit.  Raises what the database raises where nothing is deferred."""
        if not rows:
            return
        name = table.name
        if not self.deferring:
            self.before((), (name,))
            self._insert(name, rows)
            return
        if name in self._keys_of:
            self._drop((name,))
        found = self._unwritten.get(name)
        if found is None:
            found = self._unwritten[name] = []
        found += rows
        self._own[name] = self._own.get(name, 0) + len(rows)

    def unwritten(self, table: sa.Table, asked: Mapping[str, Any]) -> _Row | None:
        """The last row not written yet whose columns are as asked; found by an index, for each use case of a batch asks."""
        rows = self._unwritten.get(table.name)
        if not rows:
            return None
        names = tuple(asked)
        done, index = self._indexes.get((table.name, names), (0, {}))
        if done < len(rows):
            index |= {tuple([row.get(name) for name in names]): row for row in rows[done:]}
            self._indexes[table.name, names] = (len(rows), index)
        return index.get(tuple(asked.values()))

    def before(self, named: Iterable[str], written: Iterable[str]) -> None:
        """To be called before each statement, with the tables that it names and those that it writes to."""
        if self.deferring:
            if written and not self._saved:  # first, for it writes what others left: a counter may differ from it only then
                self.save()
            if (self._unwritten or self._tallies) and any(map(self._is_unwritten, named)):
                self.write()
        for table in written:
            self._tallies.pop(table, None)
        self._drop(written)

    def _drop(self, tables: Iterable[str]) -> None:
        for table in tables:
            for key in self._keys_of.pop(table, ()):
                for other in self._kept.pop(key, (None, ()))[1]:
                    if other in self._keys_of:
                        self._keys_of[other].discard(key)

    def _is_unwritten(self, table: str) -> bool:
        if table in self._unwritten:
            return True
        tally = self._tallies.get(table)
        return tally is not None and tally.unwritten()

    def write(self) -> None:
        """Write all that was to be written later.  What is the present use case's own is written behind its savepoint."""
        if not self._saved and (self._own or self.before_lines):
            self.save()
        rows, self._unwritten = self._unwritten, {}
        self._own.clear()
        self._indexes.clear()
        self._write(rows)

    def _write(self, rows: Mapping[str, Sequence[_Row]]) -> None:
        """Counters first, then rows table by table, referenced tables before those that reference them."""
        try:
            for tally in self._tallies.values():
                tally.write(self.connection)
            for name in sorted(rows, key=_ranks().__getitem__):
                self._insert(name, rows[name])
        except Exception as error:
            self.broken = True
            raise RerunError(str(error)) from error

    def _insert(self, name: str, rows: Sequence[_Row]) -> None:
        columns_of = _columns(name)
        if any(len(row) != len(columns_of) for row in rows):
            rows = [dict.fromkeys(columns_of) | row for row in rows]
        if rows:
            self.connection.bulk(_statement(self.connection.dialect, name), rows)

    # -- use cases -------------------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A use case begins.  Its savepoint is set once it writes at once: without that there is nothing to go back from."""
        self.before_lines.clear()
        self._before_kept.clear()
        self._own.clear()
        self._saved = False
        if not self.deferring:
            self.save()

    def save(self) -> None:
        """Set the savepoint of the present use case, behind everything that others left unwritten."""
        self._saved = True
        own = {line: line.values for line, _ in self.before_lines}
        if (
            self._tallies
            or len(self._own) < len(self._unwritten)
            or any(len(self._unwritten[name]) > n for name, n in self._own.items())
        ):
            self._take_back_lines()
            earlier, mine = {}, {}
            for name, rows in self._unwritten.items():
                first = len(rows) - self._own.get(name, 0)
                if first:
                    earlier[name] = rows[:first]
                if first < len(rows):
                    mine[name] = rows[first:]
            self._write(earlier)
            for line, values in own.items():
                line.values = values
            self._unwritten = mine
            self._indexes.clear()
        self.connection.savepoint()

    def end(self) -> None:
        """The use case ended well."""
        if self._saved:
            self.connection.release()

    def undo(self) -> None:
        """The use case was refused: as if it had never begun."""
        if self._saved:
            self.connection.rollback_to()
            self._tallies.clear()
            self._kept.clear()
            self._keys_of.clear()
        else:
            self._take_back_lines()
            for key, before in reversed(self._before_kept):
                self._restore(key, before)
        self.before_lines.clear()
        self._before_kept.clear()
        for name, n in self._own.items():
            rows = self._unwritten[name]
            del rows[len(rows) - n :]
            if not rows:
                del self._unwritten[name]
        self._own.clear()
        self._indexes.clear()

    def _take_back_lines(self) -> None:
        for line, values in reversed(self.before_lines):
            line.values = values

    def finish(self) -> None:
        """Every use case ended: write what is left.  The commit follows."""
        self.before_lines.clear()
        self._before_kept.clear()
        self._own.clear()
        self.write()
        for tally in self._tallies.values():
            tally.settle()


@functools.cache
def _ranks() -> dict[str, int]:
    """Tables in an order in which each stands behind those that it references."""
    return {table.name: rank for rank, table in enumerate(columns.METADATA.sorted_tables)}


@functools.cache
def _columns(name: str) -> tuple[str, ...]:
    return tuple(column.name for column in columns.METADATA.tables[name].columns)


@functools.cache
def _statement(dialect: str, name: str) -> str:
    """An INSERT of many rows: of one row each on SQLite, of one array a column on PostgreSQL."""
    table = columns.METADATA.tables[name]
    listed = ", ".join(f'"{column}"' for column in _columns(name))
    if dialect == engines.SQLITE:
        return f'INSERT INTO "{name}" ({listed}) VALUES ({", ".join(f":{column}" for column in _columns(name))})'
    arrays = ", ".join(f"%({column})s::{_TYPES[type(table.c[column].type)]}[]" for column in _columns(name))
    return f'INSERT INTO "{name}" ({listed}) SELECT * FROM unnest({arrays})'


_TYPES: Final[dict[type, str]] = {sa.Text: "text", sa.BigInteger: "bigint", sa.LargeBinary: "bytea"}
