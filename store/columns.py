"""How tables are declared: INTEGER, TEXT and BLOB columns, named constraints, STRICT on SQLite, and triggers that forbid.

Rooms call `table(...)` in their `tables.py`; everything lands in one `METADATA`, from which the migrations are drawn and against
which they are compared.
"""

import dataclasses
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext import compiler
from sqlalchemy.sql import elements

METADATA: Final = sa.MetaData(naming_convention={"pk": "%(table_name)s_pkey", "fk": "%(table_name)s_%(column_0_name)s_fkey"})
INTEGER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


@dataclasses.dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that refuses `event` ('UPDATE' or 'DELETE') on rows of `table` for which `when` (SQL over OLD and NEW) holds."""

    name: str
    table: str
    event: str
    when: str  # '' = always


TRIGGERS: Final[dict[str, Trigger]] = {}


def table(name: str, *items: Any) -> sa.Table:
    """A STRICT table.  `items` are columns and named constraints of this module."""
    return sa.Table(name, METADATA, *items, sqlite_strict=True)


def text(name: str, *, primary_key: bool = False, null: bool = False, references: str | None = None) -> sa.Column[str]:
    """A TEXT column; `references` is 'table.column'."""
    return _column(name, sa.Text(), primary_key, null, references)


def integer(name: str, *, primary_key: bool = False, null: bool = False, references: str | None = None) -> sa.Column[int]:
    """An INTEGER (BIGINT) column: amounts, generations, 0/1 booleans, microseconds since 1970 in `..._at`."""
    return _column(name, INTEGER, primary_key, null, references)


def blob(name: str, *, primary_key: bool = False, null: bool = False) -> sa.Column[bytes]:
    """A BLOB (BYTEA) column."""
    return _column(name, sa.LargeBinary(), primary_key, null, None)


def check(name: str, condition: str) -> sa.CheckConstraint:
    """A named CHECK."""
    return sa.CheckConstraint(condition, name=name)


def unique(name: str, *columns: str) -> sa.UniqueConstraint:
    """A named UNIQUE constraint."""
    return sa.UniqueConstraint(*columns, name=name)


def index(name: str, *columns: Any, unique: bool = False, where: str | None = None) -> sa.Index:
    """A named index, partial when `where` is given (the same condition on both databases)."""
    condition = None if where is None else sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def forbid(table: sa.Table, event: str, when: str = "") -> None:
    """Forbid `event` ('UPDATE' or 'DELETE') by a trigger on both databases, for rows where `when` holds, such as "OLD.state = 'issued'"."""
    name = f"{table.name}_no_{event.lower()}" + (f"_{len(TRIGGERS)}" if f"{table.name}_no_{event.lower()}" in TRIGGERS else "")
    TRIGGERS[name] = Trigger(name, table.name, event, when)


def append_only(table: sa.Table) -> None:
    """Neither UPDATE nor DELETE, ever."""
    forbid(table, "UPDATE")
    forbid(table, "DELETE")


class among(elements.ColumnElement[bool]):
    """`column` is in the list parameter `parameter`: json_each on SQLite, ANY on PostgreSQL.  Never a bind per element."""

    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, column: Any, parameter: str) -> None:
        self.column = column
        self.bind = sa.bindparam(parameter, type_=sa.types.NullType())

    def self_group(self, against: Any = None) -> Any:
        """Itself: SQLAlchemy would write `... = 1` around a condition on SQLite, and no index would serve it."""
        return self

    __visit_name__ = "among"
    _traverse_internals: Any = [  # noqa: RUF012 -- SQLAlchemy reads the list as it is
        ("column", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("bind", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]


@compiler.compiles(among)
def _among_sqlite(element: among, compiling: Any, **kw: Any) -> str:
    return f"{compiling.process(element.column, **kw)} IN (SELECT value FROM json_each({compiling.process(element.bind, **kw)}))"


@compiler.compiles(among, "postgresql")
def _among_postgresql(element: among, compiling: Any, **kw: Any) -> str:
    return f"{compiling.process(element.column, **kw)} = ANY({compiling.process(element.bind, **kw)})"


def _column(name: str, kind: Any, primary_key: bool, null: bool, references: str | None) -> sa.Column[Any]:
    links = [] if references is None else [sa.ForeignKey(references)]
    return sa.Column(name, kind, *links, primary_key=primary_key, nullable=null, autoincrement=False)
