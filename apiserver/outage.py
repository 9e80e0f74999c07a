"""Whether an exception means that the database is away or busy for the moment: the caller may repeat, and it is no defect."""

import sqlite3
from typing import Final

from primitives import errors
from store import faults as store_faults

_BUSY: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
)
_PSYCOPG: Final = frozenset({"OperationalError", "InterfaceError"})
"""psycopg's classes by name: it is an extra and may not be installed."""


def is_one(error: BaseException) -> bool:
    """Whether the database, not the request, is the reason."""
    if isinstance(error, errors.GovpoolError):
        return error.fault is store_faults.UNREACHABLE
    if isinstance(error, sqlite3.OperationalError):
        return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _BUSY
    return any(kind.__module__.startswith("psycopg") and kind.__name__ in _PSYCOPG for kind in type(error).__mro__)
