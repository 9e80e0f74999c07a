"""The process that a test kills: one import or one close against a database, under the key 'k'.  Prints the answer's body."""

import dataclasses
import json
import pathlib
import sys

from control import case, statement, usage
from store import database as store_database
from tests.integration import metering_world


@dataclasses.dataclass
class Wiring:
    """What running a use case needs."""

    database: store_database.Database


def main(what: str, url: str, token: str, file: str, step: str) -> None:
    """Run `what` ('import' or 'close') so many steps after the city was made."""
    with metering_world.november(int(step)):
        database = store_database.open_database(url)
        content = pathlib.Path(file).read_bytes()
        plain = case.Context(request_id="r", method="POST", path=f"/{what}", token=token, idempotency_key="k")
        context = case.with_body(plain, content)
        wiring, importing = Wiring(database), what == "import"
        answer = usage.import_usage(wiring, context, content) if importing else statement.close(wiring, context, "2026-10")
        print(json.dumps(answer.body))
        database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
