"""The open transaction that every service verb takes first.  Core builds and compiles, the driver's connection runs, all rows are fetched."""

import dataclasses
import datetime
import functools
import re
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.sql import compiler

from primitives import clock
from store import batch as store_batch
from store import columns, engines

T = TypeVar("T")

_NAMED: Final = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE)\s+"?(\w+)', re.IGNORECASE)
_WRITTEN: Final = re.compile(r'\b(?:INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+(?:ONLY\s+)?"?(\w+)', re.IGNORECASE)
_READS: Final = re.compile(r"\s*(?:SELECT|WITH|EXPLAIN)\b", re.IGNORECASE)
_WORD: Final = re.compile(r"\w+")


@dataclasses.dataclass(frozen=True, slots=True)
class _Form:
    """A statement compiled for one database and the names of its parameters."""

    text: str
    inlined: dict[str, Any]
    named: frozenset[str]  # every table whose name stands in it, and those that what it writes to references
    written: frozenset[str]  # those that it writes to; never empty for what is not plainly a query


_COMPILED: "weakref.WeakKeyDictionary[sa.Executable, dict[tuple[str, ...], _Form]]" = weakref.WeakKeyDictionary()
"""statement -> its compiled forms by dialect and names of parameters; gone with the statement, so one built per call leaves nothing."""


class Transaction:
    """What a use case may do with the database.  Valid only inside the use case it was given to."""

    def __init__(self, connection: engines.Connection, now_us: int, batch: store_batch.Batch | None = None) -> None:
        self._connection = connection
        self._batch = batch or store_batch.Batch(connection)
        self._now = clock.from_us(now_us)
        self.dialect = connection.dialect
        self.after_commit: list[Callable[[], None]] = []
        """Hints to run once the commit is durable, such as waking a worker.  Never needed for correctness."""
        self.kept: dict[Any, Any] = {}
        """What a room read and keeps for the rest of this use case, so that it asks once; it clears this when it writes there itself."""

    def now(self) -> datetime.datetime:
        """The time of this use case, aware UTC: the database's clock on PostgreSQL, ours on SQLite."""
        return self._now

    def execute(self, statement: sa.Executable, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of a statement as dictionaries; [] if it returns none."""
        form = _form(statement, self.dialect, parameters)
        self._batch.before(form.named, form.written)
        return self._connection.rows(form.text, {**form.inlined, **parameters} if form.inlined else parameters)

    def one(self, statement: sa.Executable, **parameters: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        rows = self.execute(statement, **parameters)
        return rows[0] if rows else None

    def changed(self, statement: sa.Executable, **parameters: Any) -> int:
        """Run a statement and say how many rows it changed."""
        form = _form(statement, self.dialect, parameters)
        self._batch.before(form.named, form.written)
        return self._connection.changed(form.text, {**form.inlined, **parameters} if form.inlined else parameters)

    def many(self, statement: sa.Executable, rows: Sequence[dict[str, Any]]) -> None:
        """Run a statement for each of `rows`, which all have the same keys."""
        if rows:
            form = _form(statement, self.dialect, rows[0])
            self._batch.before(form.named, form.written)
            self._connection.many(form.text, rows)

    # -- what the use cases of a batch share (`store.batch`) ---------------------------------------------------------------------------

    def known(self, statement: sa.Executable, make: Callable[[list[dict[str, Any]]], T], **parameters: Any) -> T:
        """What `make` makes of the rows, asked once as long as no statement writes to a table that this one names.  Frozen values only."""
        key: Any = (statement, make)
        if parameters:
            key += tuple([(name, tuple(value) if type(value) is list else value) for name, value in parameters.items()])
        found: T | None = self._batch.kept(key)
        if found is None:
            form = _form(statement, self.dialect, parameters)
            found = make(self.execute(statement, **parameters))
            self._batch.keep(key, found, form.named)
        return found

    @property
    def deferring(self) -> bool:
        """Whether `later` defers: what the database refuses then is seen when the batch runs again, with every statement at once."""
        return self._batch.deferring

    def recall(self, key: Any) -> Any:
        """What was kept under a key, or None."""
        return self._batch.kept(key)

    def keep(self, key: Any, value: Any, *tables: sa.Table) -> None:
        """Keep a value until a statement writes to one of `tables`."""
        self._batch.keep(key, value, [table.name for table in tables])

    def forget(self) -> None:
        """Read everything from the database again: a hand may have been in it, of which the lane knows nothing."""
        self._batch.before(columns.METADATA.tables, columns.METADATA.tables)

    def later(self, table: sa.Table, *rows: dict[str, Any]) -> None:
        """Insert rows of which nobody asks whether they could be, with others of their table, at the latest with the commit.

        A column that a row does not name is NULL.
        """
        self._batch.later(table, rows)

    def stored(self, statement: sa.Executable, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query without what is still to be written: whoever asks so looks at `unwritten`, too."""
        form = _form(statement, self.dialect, parameters)
        return self._connection.rows(form.text, {**form.inlined, **parameters} if form.inlined else parameters)

    def unwritten(self, table: sa.Table, **asked: Any) -> Mapping[str, Any] | None:
        """A row of a table that is still to be written, with these values."""
        return self._batch.unwritten(table, asked)

    def tally(
        self, table: sa.Table, write: Callable[[engines.Connection, Sequence[store_batch.Line]], int]
    ) -> store_batch.Tally | None:
        """The counters of a table, decided in memory and written by `write` under their guard; None where the guard must be asked at once."""
        return self._batch.tally(table.name, write)


@functools.lru_cache(maxsize=512)
def sql(text: str) -> sa.TextClause:
    """Hand-written SQL with `:name` binds, the same object for the same text, so that it is compiled once."""
    return sa.text(text)


def compiled(statement: sa.Executable, dialect: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """SQL text and its parameters for `dialect`.  A statement kept at module level is compiled once, with the values written into it."""
    form = _form(statement, dialect, parameters)
    return form.text, {**form.inlined, **parameters}


def _form(statement: sa.Executable, dialect: str, parameters: Mapping[str, Any]) -> _Form:
    forms = _COMPILED.get(statement)
    if forms is None:
        forms = _COMPILED.setdefault(statement, {})
    key = (dialect, *parameters)
    found = forms.get(key)
    if found is None:
        text, inlined = _compile(statement, dialect, parameters)
        tables = {*_NAMED.findall(text), *(word for word in _WORD.findall(text) if word in columns.METADATA.tables)}
        written = {*_WRITTEN.findall(text), *([] if _READS.match(text) else ["?"])}
        tables.update(*(_referenced(name) for name in written))
        found = forms[key] = _Form(text, inlined, frozenset(tables), frozenset(written))
    return found


def _referenced(name: str) -> set[str]:
    """The tables that must hold a row before this one may: theirs may still be unwritten."""
    table = columns.METADATA.tables.get(name)
    return set() if table is None else {key.target_fullname.rpartition(".")[0] for key in table.foreign_keys}


def _compile(statement: sa.Executable, dialect: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    form: Any = statement
    options: dict[str, Any] = {}
    if isinstance(statement, sa.Insert):
        form = statement.inline()
        if not statement._values and not statement._multi_values and statement.select is None:
            options["column_keys"] = list(parameters)
    made = form.compile(dialect=engines.DIALECTS[dialect], **options)
    if not isinstance(made, compiler.SQLCompiler):
        raise TypeError(f"not a statement: {statement!r}")
    inlined = {name: bind.value for bind, name in made.bind_names.items() if name not in parameters and not bind.required}
    missing = [name for bind, name in made.bind_names.items() if bind.required and name not in parameters]
    if missing:
        raise TypeError(f"no value for {', '.join(missing)} in {made.string}")
    return made.string, inlined
