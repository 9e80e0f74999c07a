"""The lab cloud's file: one process, one release."""

import pathlib
import sqlite3

import pytest

from provisioners.lab import book


def test_a_file_is_opened_again_by_the_same_release_only(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "lab.db"
    for _ in range(2):
        book.Book(file).close()
    with sqlite3.connect(file) as older:
        older.execute("PRAGMA user_version=7")
    for _ in range(2):  # the lock is free again after the refusal
        with pytest.raises(book.OtherReleaseError, match="another release"):
            book.Book(file)
    with sqlite3.connect(tmp_path / "old.db") as first_release:
        first_release.execute("CREATE TABLE guests (id TEXT)")
    with pytest.raises(book.OtherReleaseError):
        book.Book(tmp_path / "old.db")
