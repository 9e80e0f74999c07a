"""Room `store`: engines, the lane, transactions, column types, idempotency, installation, migrations.  Knows no table of any other room."""
