"""The whole API against its own OpenAPI document: whatever is sent, right or wrong, no 5xx, and answers are as declared.

Schemathesis makes the requests.  Half of them name things that exist and are sent by people who may do much, so that they get
behind the first check.  Bounded: a few examples for each operation, the same ones in every run.
"""

import json
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis import checks

from apiserver import openapi, routes
from store import database as store_database
from tests.integration.tenants_server import City, serving

EXAMPLES = 12


@schemathesis.serializer("application/x-ndjson")
def lines(context: Any, value: Any) -> bytes:
    """A body of JSON lines: whatever text it was given."""
    return str(value).encode(errors="surrogatepass")


API = schemathesis.openapi.from_dict(json.loads(openapi.document(tuple(routes.gathered()))))
_ALL: Any = API.get_all_operations()
OPERATIONS: dict[str, Any] = {one.definition.raw["operationId"]: one for one in (found.ok() for found in _ALL)}
ENDS_THE_SESSION = {"token.logout", "backup.create"}  # the first would end the fuzzing, the second fills the disk
KNOWN = {
    "tenant": ["tax", "police"],
    "project": ["one-window"],
    "account": ["victim"],
    "person": ["victim"],
    "file": ["docs.css"],
    "role": ["viewer"],
    "order": ["1"],
    "name": ["cpu_milli", "dear"],
    "month": ["2026-10"],
}
RIGHT, WRONG = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
CASES = [
    (name, mode)
    for name, operation in OPERATIONS.items()
    for mode in (RIGHT, WRONG)
    if name not in ENDS_THE_SESSION and (mode is RIGHT or operation.definition.raw["parameters"] or operation.body)
]
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def city(sqlite_template: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """南海区 with two departments and an operator, served from SQLite."""
    path = tmp_path_factory.mktemp("fuzz") / "govpool.db"
    shutil.copy(sqlite_template, path)
    database = store_database.open_database(f"sqlite://{path}")
    with serving(database) as running:
        for code, name in (("tax", "税务局"), ("police", "公安局")):
            running.department(code, name)
        running.person("tax", "victim", "受试者", "viewer")
        running.person("tax", "li.na", "李娜", "requester", "approver").post(
            "/v1/projects", {"tenant": "tax", "code": "one-window", "name": "一窗受理平台"}
        )
        running.person("nanhai", "zhao", "赵敏", "operator", "finance")
        yield running
    database.close()


@pytest.mark.parametrize(("name", "mode"), sorted(CASES, key=str))
def test_no_request_gives_a_5xx_and_answers_are_as_declared(name: str, mode: schemathesis.GenerationMode, city: City) -> None:
    operation = OPERATIONS[name]
    tokens = [client.token for client in city.clients if client.token]

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), token=st.sampled_from(tokens), data=st.data())
    def sent(case: Any, token: str, data: st.DataObject) -> None:
        for parameter in case.path_parameters or {}:
            if parameter in KNOWN and data.draw(st.booleans(), label=parameter):
                case.path_parameters[parameter] = data.draw(st.sampled_from(KNOWN[parameter]))
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {token}"}
        response = case.call(base_url=city.url, timeout=30)
        if response.status_code != 503 or "Retry-After" not in response.headers:
            case.validate_response(response, checks=CHECKS)

    sent()
