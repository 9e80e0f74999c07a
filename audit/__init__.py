"""Room `audit`: the append-only, hash-chained trail of every effect and every refusal."""
