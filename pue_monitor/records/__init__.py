"""SQL of the room: `plant` (halls, meters, swaps), `readings` (raw readings, imports, live), `ledger` (entries, events, checkpoints)."""
