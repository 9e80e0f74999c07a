"""The open transaction that every service verb takes first.  Core builds and compiles, the driver's connection runs, all rows are fetched."""

import datetime
import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import compiler

from primitives import clock
from store import engines

_Forms = dict[tuple[str, frozenset[str]], tuple[str, dict[str, Any]]]
_COMPILED: "weakref.WeakKeyDictionary[sa.Executable, _Forms]" = weakref.WeakKeyDictionary()
"""statement -> its compiled forms by dialect and names of parameters; gone with the statement, so one built per call leaves nothing."""


class Transaction:
    """What a use case may do with the database.  Valid only inside the use case it was given to."""

    def __init__(self, connection: engines.Connection, now_us: int) -> None:
        self._connection = connection
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
        text, values = compiled(statement, self.dialect, parameters)
        return self._connection.rows(text, values)

    def one(self, statement: sa.Executable, **parameters: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        rows = self.execute(statement, **parameters)
        return rows[0] if rows else None

    def changed(self, statement: sa.Executable, **parameters: Any) -> int:
        """Run a statement and say how many rows it changed."""
        text, values = compiled(statement, self.dialect, parameters)
        return self._connection.changed(text, values)

    def many(self, statement: sa.Executable, rows: Sequence[dict[str, Any]]) -> None:
        """Run a statement for each of `rows`, which all have the same keys."""
        if rows:
            text, _ = compiled(statement, self.dialect, rows[0])
            self._connection.many(text, rows)


@functools.lru_cache(maxsize=512)
def sql(text: str) -> sa.TextClause:
    """Hand-written SQL with `:name` binds, the same object for the same text, so that it is compiled once."""
    return sa.text(text)


def compiled(statement: sa.Executable, dialect: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """SQL text and its parameters for `dialect`.  A statement kept at module level is compiled once, with the values written into it."""
    forms = _COMPILED.get(statement)
    if forms is None:
        forms = _COMPILED.setdefault(statement, {})
    key = (dialect, frozenset(parameters))
    known = forms.get(key)
    if known is None:
        known = forms[key] = _compile(statement, dialect, parameters)
    text, inlined = known
    return text, {**inlined, **parameters} if inlined else parameters


def _compile(statement: sa.Executable, dialect: str, parameters: dict[str, Any]) -> tuple[str, dict[str, Any]]:
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
