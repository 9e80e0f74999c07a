"""The OpenAPI document says what the route table does, whole and bounded."""

import json
import re
from collections.abc import Iterator
from typing import Any

from apiserver import openapi, route, routes

API: dict[str, Any] = json.loads(openapi.document(tuple(routes.gathered())))


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of the document."""
    for path, methods in API["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def test_every_route_stands_in_the_document_with_a_sentence() -> None:
    assert API["openapi"] == "3.1.0"
    declared = {(one.method, one.path) for one in routes.gathered()}
    assert {(method, path) for method, path, _ in operations()} == declared
    for method, path, operation in operations():
        assert operation["summary"] != operation["operationId"], f"{method} {path} has no docstring"


def test_paths_are_plural_nouns_under_one_version() -> None:
    for one in routes.gathered():
        assert one.path.startswith("/v1/") or one.path in (
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/docs",
            "/docs/{file}",
        )
        assert re.fullmatch(r"(/[a-z0-9.-]+|/\{[a-z_]+\})+", one.path), one.path


def test_every_change_takes_a_key_and_every_read_takes_none() -> None:
    mutating = {(one.method, one.path) for one in routes.gathered() if one.mutating and not one.open}
    for method, path, operation in operations():
        names = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}
        assert ("Idempotency-Key" in names) == ((method, path) in mutating), f"{method} {path}"
    assert all(one.method != "GET" for one in routes.gathered() if one.mutating)


def test_every_operation_needs_a_token_but_those_that_say_so() -> None:
    assert API["security"] == [{"bearer": []}]
    open_routes = {path for _, path, operation in operations() if operation.get("security") == []}
    assert open_routes <= {"/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/docs/{file}", "/v1/login"}


def test_references_lead_somewhere() -> None:
    text = json.dumps(API)
    for name in re.findall(r'"#/components/schemas/([^"]+)"', text):
        assert name in API["components"]["schemas"], name


def test_every_text_number_and_list_of_a_request_is_bounded() -> None:
    """Input is hostile: no field without a bound."""
    for one in routes.gathered():
        for struct in (one.body, one.query):
            if struct is not None:
                _bounded(f"{one.method} {one.path}", struct)


def _bounded(where: str, struct: Any) -> None:
    import msgspec

    (schema,), components = msgspec.json.schema_components([struct], ref_template="#/{name}")
    for name, found in components.items():
        for field, shape in found.get("properties", {}).items():
            _bounded_shape(f"{where} {name}.{field}", shape)
    assert schema


def _bounded_shape(where: str, shape: dict[str, Any]) -> None:
    for choice in shape.get("anyOf", [shape]):
        kind = choice.get("type")
        if "enum" in choice or "const" in choice or "$ref" in choice:
            continue
        if "anyOf" in choice:
            _bounded_shape(where, choice)
        elif kind == "string":
            assert "maxLength" in choice or "pattern" in choice or "format" in choice, f"{where} has no longest length"
        elif kind == "integer":
            assert "maximum" in choice or "exclusiveMaximum" in choice, f"{where} has no greatest value"
        elif kind == "array":
            assert "maxItems" in choice, f"{where} has no greatest number of items"
            _bounded_shape(f"{where}[]", choice.get("items", {}))
        elif kind == "object":
            assert "maxProperties" in choice, f"{where} has no greatest number of keys"
        else:
            assert kind in ("boolean", "null"), f"{where} takes anything"


def test_two_routes_may_not_claim_the_same_thing() -> None:
    """The mutant: a table that silently lets the last one win."""
    claims = [(one.method, one.path) for one in routes.gathered()] + [one.action for one in routes.gathered()]
    assert len(claims) == len(set(claims))
    assert route.read("GET", "/v1/x", "x.list", lambda tx, call: None).mutating is False
