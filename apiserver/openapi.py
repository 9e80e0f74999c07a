"""OpenAPI 3.1 made from the route table and the structs: nothing is written twice, so nothing can disagree."""

import functools
import inspect
from typing import Any, Final

import msgspec

from apiserver import problem, route
from primitives import version

_REF: Final = "#/components/schemas/"
_PROBLEMS: Final = {
    "400": "the request is wrong",
    "401": "login needed",
    "403": "not allowed",
    "404": "not found",
    "409": "conflict, or quota or budget exceeded",
    "412": "it was changed meanwhile (If-Match)",
    "413": "the body is too large",
    "415": "the body has another media type",
    "428": "If-Match is missing",
    "500": "a defect of govpool",
    "503": "not available right now; repeat with the same Idempotency-Key after Retry-After",
}
_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "the same key for the repetition of the same request; kept 30 days",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
}
_REASON: Final = {
    "name": "X-Govpool-Reason",
    "in": "header",
    "required": False,
    "description": "why, for the audit trail; percent-encoded UTF-8, at most 500 characters",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._~ -]{0,500}$"},
}
_IF_MATCH: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "the ETag that was read",
    "schema": {"type": "string", "pattern": '^"[0-9]{1,15}"$'},
}
_DRY_RUN: Final = {
    "name": "dry_run",
    "in": "query",
    "required": False,
    "description": "decide and answer as usual, but keep nothing",
    "schema": {"type": "boolean", "default": False},
}


@functools.lru_cache(maxsize=4)
def document(declared: tuple[route.Route, ...]) -> bytes:
    """The OpenAPI document of these routes as JSON."""
    by_struct, components = _schemas(declared)
    paths: dict[str, Any] = {}
    for one in declared:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, by_struct, components)
    queries = {_name(by_struct[one.query]) for one in declared if one.query is not None}
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "govpool",
                "version": version.VERSION,
                "description": "The control plane of a pooled government cloud. Errors are problem details (RFC 9457) with a "
                "stable `code` and `mend`, the way out. Every change carries an Idempotency-Key. "
                "Lists come in pages: pass `next` as `cursor`.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"bearer": []}],
            "paths": paths,
            "components": {
                "schemas": {name: schema for name, schema in sorted(components.items()) if name not in queries},
                "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": "a token of `govpool login`"}},
            },
        }
    )


def _schemas(declared: tuple[route.Route, ...]) -> tuple[dict[Any, Any], dict[str, Any]]:
    """The schema of each struct, and the components they refer to, named '<noun>.<Struct>' because several nouns have a `Line`."""
    nouns: dict[str, set[Any]] = {"problem": {problem.Problem}}
    for one in declared:
        noun = one.handler.__module__.rpartition(".")[2]
        nouns.setdefault(noun, set()).update(item for item in (one.query, one.body, one.answer) if item is not None)
    by_struct: dict[Any, Any] = {}
    components: dict[str, Any] = {}
    for noun, structs in nouns.items():
        ordered = sorted(structs, key=str)
        schemas, found = msgspec.json.schema_components(ordered, ref_template=f"{_REF}{noun}.{{name}}")
        by_struct |= dict(zip(ordered, schemas, strict=True))
        components |= {f"{noun}.{name}": schema for name, schema in found.items()}
    return by_struct, components


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).removeprefix(_REF)


def _operation(one: route.Route, by_struct: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    summary, _, description = (inspect.getdoc(one.handler) or one.action).partition("\n")
    operation: dict[str, Any] = {
        "operationId": one.action,
        "tags": [one.action.partition(".")[0]],
        "summary": summary,
        "parameters": _parameters(one, by_struct, components),
        "responses": _responses(one, by_struct),
    }
    if description.strip():
        operation["description"] = description.strip()
    if one.open:
        operation["security"] = []
    if one.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": by_struct[one.body]}}}
    elif one.raw:
        operation["requestBody"] = {"required": True, "content": {one.raw: {"schema": {"type": "string"}}}}
    return operation


def _parameters(one: route.Route, by_struct: dict[Any, Any], components: dict[str, Any]) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1, "maxLength": 128}}
        for name in names
    ]
    if one.query is not None:
        struct = components[_name(by_struct[one.query])]
        required = struct.get("required", [])
        for name, schema in struct["properties"].items():
            found.append({"name": name, "in": "query", "required": name in required, "schema": schema})
    if one.if_match:
        found.append(_IF_MATCH | {"required": True})
    if one.mutating:
        found += [_REASON] if one.open else [_KEY, _REASON, _DRY_RUN]
    return found


def _responses(one: route.Route, by_struct: dict[Any, Any]) -> dict[str, Any]:
    schema = by_struct[one.answer] if one.answer is not None else {} if one.media == "application/json" else {"type": "string"}
    refused = {"description": "", "content": {problem.MEDIA: {"schema": by_struct[problem.Problem]}}}
    answers: dict[str, Any] = {str(one.status): {"description": "done", "content": {one.media: {"schema": schema}}}}
    if one.method == "PUT":
        answers["201"] = answers["200"] | {"description": "made, because it did not exist"}
    return answers | {status: refused | {"description": text} for status, text in _PROBLEMS.items() if status not in answers}
