"""A request repeated under its key: the first answer to whoever may still have it, nothing twice; and what the trail says of it."""

import json
from typing import Any

import pytest

from audit import service as audit
from control import case, document, member, project  # noqa: F401 -- member and project declare the kinds of the file
from control.settings import Settings
from control.wiring import Wiring
from primitives import errors
from store import database as store_database
from store.transaction import Transaction
from tenants import model, people, signin
from tests.integration.tenants_world import city_and_bureau, someone

FILE = """
apiVersion: govpool/v1
kind: Project
metadata: {name: one-window, tenant: tax}
spec: {name: 一窗受理平台}
---
apiVersion: govpool/v1
kind: Person
metadata: {name: li.na, tenant: tax}
spec: {name: 李娜}
"""


class City:
    """南海区 with a system administrator who is signed in."""

    def __init__(self, database: store_database.Database) -> None:
        self.wiring = Wiring(database, Settings())
        self.token = database.lane.run(self._found)

    def _found(self, tx: Transaction) -> str:
        self.city, _ = city_and_bureau(tx)
        self.account = someone(tx, "系统管理员", "sys.admin", self.city)
        people.grant(tx, None, self.account, model.Role.SYSTEM_ADMIN, self.city)
        other = someone(tx, "副系统管理员", "sys.second", self.city)
        people.grant(tx, None, other, model.Role.SYSTEM_ADMIN, self.city)
        return signin.issue(tx, self.account)

    def apply(self, key: str, *, dry_run: bool = False, text: str = FILE) -> case.Answer:
        """Apply a file under an idempotency key."""
        context = case.Context(
            request_id="req-1", method="POST", path="/v1/apply", token=self.token, idempotency_key=key, source="10.1.2.3", reason="迁移"
        )  # fmt: skip
        described = document.applied(text.encode(), dry_run=dry_run)
        return case.perform(self.wiring, described, case.with_body(context, text.encode()))

    def trail(self) -> list[dict[str, Any]]:
        """The lines of the trail as they were hashed."""
        return self.wiring.database.read(lambda tx: [json.loads(record.content) for record in audit.records(tx)])


@pytest.fixture
def city(database: store_database.Database) -> City:
    """南海区."""
    return City(database)


def test_a_file_applied_again_gets_the_first_answer_and_changes_nothing(city: City) -> None:
    first = city.apply("k-1")
    lines = len(city.trail())
    again = city.apply("k-1")
    assert (again.body, again.replayed, len(city.trail())) == (first.body, True, lines)


def test_a_stored_answer_is_kept_from_whoever_lost_the_right_to_it(city: City) -> None:
    city.apply("k-1")
    city.wiring.database.lane.run(lambda tx: people.revoke(tx, city.account, model.Role.SYSTEM_ADMIN, city.city))
    with pytest.raises(errors.GovpoolError) as caught:
        city.apply("k-1")
    assert caught.value.fault.kind in (errors.Kind.FORBIDDEN, errors.Kind.NOT_FOUND)


def test_every_document_of_a_file_stands_in_the_trail_with_its_request(city: City) -> None:
    city.apply("k-1")
    lines = city.trail()
    assert [line["action"] for line in lines] == ["project.put", "member.put", "document.apply"]
    assert {(line["request_id"], line["idempotency_key"], line["source"], line["reason"]) for line in lines} == {
        ("req-1", "k-1", "10.1.2.3", "迁移")
    }


def test_a_rehearsal_leaves_no_trace_and_its_refusal_says_that_it_was_one(city: City) -> None:
    city.apply("k-1", dry_run=True)
    assert city.trail() == []
    with pytest.raises(errors.GovpoolError):
        city.apply("k-2", dry_run=True, text=FILE.replace("tenant: tax", "tenant: nobody"))
    (line,) = city.trail()
    assert (line["outcome"], line["facts"]) == ("refused", {"dry_run": "true"})
    assert city.apply("k-1").replayed is False
