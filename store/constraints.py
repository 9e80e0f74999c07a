"""The CHECKs of a table asked once more, for a file that somebody wrote to by hand: a database only checks what it writes itself."""

import sqlalchemy as sa

from store.transaction import Transaction


def broken(tx: Transaction, table: sa.Table) -> list[tuple[str, int]]:
    """(name of the constraint, rows that break it) of a table; [] is what a sound database says."""
    found = []
    for check in sorted(
        (each for each in table.constraints if isinstance(each, sa.CheckConstraint)), key=lambda each: str(each.name)
    ):
        query = sa.select(sa.func.count().label("rows")).select_from(table).where(sa.not_(sa.literal_column(f"({check.sqltext})")))
        row = tx.one(query)
        if row is not None and row["rows"]:
            found.append((str(check.name), int(row["rows"])))
    return found
