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

    __slots__ = ("fixed", "key", "stored", "values")

    def __init__(self, key: tuple[str, ...], values: tuple[int, ...], fixed: tuple[int, ...]) -> None:
        self.key = key
        self.values = self.stored = values
        self.fixed = fixed


class Tally:
    """The counters of one table as one batch knows them.  `write` stores lines under their guard and says how many rows it changed."""

    def __init__(self, batch: "Batch", write: Callable[[engines.Connection, Sequence[Line]], int]) -> None:
        self._before = batch.before_lines
        self._write = write
        self.lines: dict[tuple[str, ...], Line] = {}
        self.known: set[Any] = set()
        """What the room has looked up already, found or not."""
        self._changed: set[Line] = set()

    def put(self, line: Line, values: tuple[int, ...]) -> None:
        """Other values for a line; a refused use case takes them back."""
        self._before.append((line, line.values))
        line.values = values
        self._changed.add(line)

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
        self._later: list[tuple[sa.Table, _Row]] = []
        self._unwritten: dict[str, list[_Row]] = {}
        self._mark = 0  # where the rows of the present use case begin
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
        """Everything is read anew: somebody else may have written."""
        self._kept.clear()
        self._keys_of.clear()
        self._tallies = {name: tally for name, tally in self._tallies.items() if tally.unwritten()}

    # -- what is written later -------------------------------------------------------------------------------------------------------

    def tally(self, table: str, write: Callable[[engines.Connection, Sequence[Line]], int]) -> Tally | None:
        """The counters of a table; None where they must be changed by the guard itself, at once."""
        if not self.deferring:
            return None
        found = self._tallies.get(table)
        if found is None:
            found = self._tallies[table] = Tally(self, write)
        return found

    def later(self, table: sa.Table, rows: Sequence[_Row]) -> None:
        """Write rows, in any order among tables, at the latest with the commit.  Raises what the database raises where nothing is deferred."""
        if not self.deferring:
            self.before((), (table.name,))
            self._insert(table, rows)
            return
        self._drop((table.name,))
        self._unwritten.setdefault(table.name, []).extend(rows)
        self._later.extend((table, row) for row in rows)

    def unwritten(self, table: sa.Table) -> Sequence[Mapping[str, Any]]:
        """Rows of a table that are not written yet."""
        return self._unwritten.get(table.name, ())

    def before(self, named: Iterable[str], written: Iterable[str]) -> None:
        """To be called before each statement, with the tables that it names and those that it writes to."""
        if self.deferring:
            if (self._unwritten or self._tallies) and any(map(self._is_unwritten, named)):
                self.write()
            if written and not self._saved:
                self.save()
        for table in written:
            self._tallies.pop(table, None)
        self._drop(written)

    def _drop(self, tables: Iterable[str]) -> None:
        for table in tables:
            for key in self._keys_of.pop(table, ()):
                self._kept.pop(key, None)

    def _is_unwritten(self, table: str) -> bool:
        if table in self._unwritten:
            return True
        tally = self._tallies.get(table)
        return tally is not None and tally.unwritten()

    def write(self) -> None:
        """Write all that was to be written later.  What is the present use case's own is written behind its savepoint."""
        if not self._saved and (len(self._later) > self._mark or self.before_lines):
            self.save()
        self._write(self._later)
        self._later, self._mark = [], 0
        self._unwritten.clear()

    def _write(self, rows: Sequence[tuple[sa.Table, _Row]]) -> None:
        """Counters first, then rows table by table, referenced tables before those that reference them."""
        by_shape: dict[tuple[sa.Table, tuple[str, ...]], list[_Row]] = {}
        for table, row in rows:
            by_shape.setdefault((table, tuple(row)), []).append(row)
        try:
            for tally in self._tallies.values():
                tally.write(self.connection)
            for table, shape in sorted(by_shape, key=lambda each: _ranks()[each[0].name]):
                self._insert(table, by_shape[table, shape])
        except Exception as error:
            self.broken = True
            raise RerunError(str(error)) from error

    def _insert(self, table: sa.Table, rows: Sequence[_Row]) -> None:
        if rows:
            self.connection.bulk(_statement(self.connection.dialect, table, tuple(rows[0])), rows)

    # -- use cases -------------------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A use case begins.  Its savepoint is set once it writes at once: without that there is nothing to go back from."""
        self.before_lines.clear()
        self._before_kept.clear()
        self._mark = len(self._later)
        self._saved = False
        if not self.deferring:
            self.save()

    def save(self) -> None:
        """Set the savepoint of the present use case, behind everything that others left unwritten."""
        self._saved = True
        own = {line: line.values for line, _ in self.before_lines}
        earlier, mine = self._later[: self._mark], self._later[self._mark :]
        if earlier or self._tallies:
            self._take_back_lines()
            self._write(earlier)
            for line, values in own.items():
                line.values = values
            self._later, self._mark = mine, 0
            self._unwritten.clear()
            for table, row in mine:
                self._unwritten.setdefault(table.name, []).append(row)
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
        for table, _ in self._later[self._mark :]:
            left = self._unwritten[table.name]
            left.pop()
            if not left:
                del self._unwritten[table.name]
        del self._later[self._mark :]

    def _take_back_lines(self) -> None:
        for line, values in reversed(self.before_lines):
            line.values = values

    def finish(self) -> None:
        """Every use case ended: write what is left.  The commit follows."""
        self.before_lines.clear()
        self._before_kept.clear()
        self._mark = len(self._later)
        self.write()
        for tally in self._tallies.values():
            tally.settle()


@functools.cache
def _ranks() -> dict[str, int]:
    """Tables in an order in which each stands behind those that it references."""
    return {table.name: rank for rank, table in enumerate(columns.METADATA.sorted_tables)}


@functools.cache
def _statement(dialect: str, table: sa.Table, names: tuple[str, ...]) -> str:
    """An INSERT of many rows: of one row each on SQLite, of one array a column on PostgreSQL."""
    listed = ", ".join(f'"{name}"' for name in names)
    if dialect == engines.SQLITE:
        return f'INSERT INTO "{table.name}" ({listed}) VALUES ({", ".join(f":{name}" for name in names)})'
    arrays = ", ".join(f"%({name})s::{_TYPES[type(table.c[name].type)]}[]" for name in names)
    return f'INSERT INTO "{table.name}" ({listed}) SELECT * FROM unnest({arrays})'


_TYPES: Final[dict[type, str]] = {sa.Text: "text", sa.BigInteger: "bigint", sa.LargeBinary: "bytea"}
