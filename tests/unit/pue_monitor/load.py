"""Real hourly load for the tests, read from the demo's copy of the Cambridge archive."""

import gzip
import pathlib

FOLDER = pathlib.Path(__file__).parents[3] / "demo" / "data" / "cambridge"


def hourly_wh(name: str) -> list[int]:
    """Wh of each hour of a file such as 'b33-2013', in order."""
    with gzip.open(FOLDER / f"{name}.csv.gz", "rt", encoding="utf-8") as file:
        return [round(float(line.rstrip().rpartition(",")[2]) * 1000) for line in list(file)[1:]]
