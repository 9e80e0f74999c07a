"""Migrations (Alembic): expand first, contract in a later release.  `store/migrate.py` runs them; `draw.py` writes a new one."""
