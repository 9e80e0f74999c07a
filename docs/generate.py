"""Writes docs/reference from the code (`make docs`), or says with --check which of its pages are stale.

Every page is a function here that reads what the product itself reads: the table of nouns and the typer apps, the route table, the
catalogue of faults, the settings, the metrics, the role table.  `tests/unit/test_docs.py` runs the check.
"""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

ROOT: Final = pathlib.Path(__file__).resolve().parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"
BY_HAND: Final = frozenset({"benchmarks.md", "conventions.md", "reading-csv.md", "requests-csv.md", "usage-event.md"})
NOTE: Final = "<!-- Written by `make docs` from the code.  Do not edit. -->"


def main() -> int:
    """Write every page, or compare with --check: 1 when one is stale."""
    if sys.argv[1:2] == ["--commands"]:
        sys.stdout.write(commands(sys.argv[2]))
        return 0
    stale = 0
    wanted = pages()
    for path in REFERENCE.iterdir():
        if path.name not in wanted | dict.fromkeys(BY_HAND):
            stale += 1
            print(f"docs/reference/{path.name} belongs to nothing in the code")
    for name, text in wanted.items():
        path = REFERENCE / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"docs/reference/{name} {'is stale' if '--check' in sys.argv else 'written'}")
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    return int(stale > 0 and "--check" in sys.argv)


def pages() -> dict[str, str]:
    """File name and text of every page of the reference."""
    return {
        "commands.md": in_language("en"),
        "commands.zh.md": in_language("zh"),
        "api.md": api(),
        "openapi.json": openapi(),
        "documents.md": documents(),
        "errors.md": faults(),
        "settings.md": settings(),
        "metrics.md": metrics(),
        "roles.md": roles(),
    }


def page(title: str, intro: str, *parts: str) -> str:
    """A page of the reference."""
    return "\n".join([NOTE, "", f"# {title}", "", intro, "", *parts]).rstrip() + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [[*head], ["---"] * len(head), *([cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


# ---------------------------------------------------------------------------------------------------------------- commands


def in_language(lang: str) -> str:
    """The page of the commands; texts are chosen when a command's module is imported, so each language has its own process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    command = [sys.executable, __file__, "--commands", lang]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def commands(lang: str) -> str:
    """Every noun and verb with its arguments and options."""
    from cli import main as front
    from cli import texts

    texts.settle(lang)
    parts = ["```", front.front_page().rstrip(), "```", ""]
    for noun, words in front.NOUNS.items():
        parts += [f"## govpool {noun}", "", words[1] if lang == "en" else words[2], ""]
        for name, command in verbs(noun):
            parts += [f"### {name}", "", (command.help or "").strip(), "", *parameters(command, lang)]
    title, intro = ("Commands", "Every command of `govpool`.") if lang == "en" else ("命令", "`govpool` 的全部命令。")
    return page(title, intro, *parts)


def verbs(noun: str) -> Iterator[tuple[str, Any]]:
    """The full name and the click command of each verb below a noun."""
    import typer.main

    from cli import help
    from cli import main as front

    name = front.MODULES.get(noun, noun)
    app = getattr(importlib.import_module(f"cli.{name}"), "app" if name == noun else noun)
    yield from below(f"govpool {noun}", help.dress(typer.main.get_command(app)))


def below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a tree of commands."""
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for verb in sorted(children):
        yield from below(f"{name} {verb}", children[verb])


def parameters(command: Any, lang: str) -> list[str]:
    """The table of a command's arguments and options; none when it takes nothing."""
    rows = []
    for each in command.params:
        if each.name == "help":
            continue
        shown = (
            f"`{(each.metavar or each.name or '').upper()}`"
            if each.param_type_name == "argument"
            else ", ".join(f"`{one}`" for one in each.opts)
        )
        required = {"en": "required", "zh": "必填"}[lang] if each.required else ""
        default = (
            "" if each.required or each.default in (None, "", False, [], ()) or callable(each.default) else f"`{each.default}`"
        )
        rows.append([shown, required or default, getattr(each, "help", None) or ""])
    head = ["argument or option", "default", "meaning"] if lang == "en" else ["参数", "默认值", "含义"]
    return [table(head, rows)] if rows else []


# --------------------------------------------------------------------------------------------------------------------- API


def api() -> str:
    """Every route."""
    from apiserver import routes

    rows = [
        [
            f"`{each.method} {each.path}`",
            f"`{each.action}`",
            first_sentence(each.handler),
            key(each),
            "yes" if each.if_match else "",
        ]
        for each in routes.gathered()
    ]
    intro = (
        "Requests and answers are JSON documents; [openapi.json](openapi.json) has every field with its bounds, and a server shows the same under\n"
        "`/docs`. Errors are problem details (RFC 9457) with a `code` of [errors.md](errors.md), the values, and `mend`. Lists have a `cursor`."
    )
    return page("API", intro, table(["route", "action", "what it does", "Idempotency-Key", "If-Match"], rows))


def key(route: Any) -> str:
    """Whether a route needs an idempotency key."""
    return "yes" if route.mutating and not route.open else ""


def first_sentence(function: Any) -> str:
    """The first sentence of a docstring."""
    text = " ".join((function.__doc__ or "").split())
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0]


def openapi() -> str:
    """The OpenAPI document, as the server serves it, indented for reading and comparing."""
    from apiserver import openapi as made
    from apiserver import routes

    return json.dumps(json.loads(made.document(tuple(routes.gathered()))), ensure_ascii=False, indent=1) + "\n"


def documents() -> str:
    """Every kind that `apply` takes, with the fields of its spec."""
    import msgspec

    from apiserver import routes
    from control import document

    routes.gathered()
    parts = []
    for kind, registered in sorted(document.KINDS.items()):
        (schema,), components = msgspec.json.schema_components([registered.spec], ref_template="#/{name}")
        after = f"Applied after {', '.join(sorted(registered.after_kinds))}." if registered.after_kinds else ""
        parts += [f"## {kind}", "", *([after, ""] if after else []), *fields(schema, components)]
    intro = (
        "What `govpool apply -f` and `govpool diff -f` read: YAML or JSON, many documents in one file, all or nothing, each checked for its own\n"
        "right. `{apiVersion: govpool/v1, kind, metadata: {name, tenant, project}, spec}`; a `metadata.generation` is checked when it is there, a\n"
        "`status` ignored. Unknown fields are refused. A file has at most 256 KiB, 500 documents and 32 levels, no aliases, no duplicate keys."
    )
    return page("Documents", intro, *parts)


def fields(schema: dict[str, Any], components: dict[str, Any], prefix: str = "") -> list[str]:
    """The table of the fields of a struct; structs within come below it."""
    struct = components[schema["$ref"].removeprefix("#/")] if "$ref" in schema else schema
    required = struct.get("required", [])
    rows, inner = [], []
    for name, each in struct.get("properties", {}).items():
        default = (
            "required"
            if name in required
            else ""
            if each.get("default") in (None, "", [], {})
            else f"`{json.dumps(each['default'])}`"
        )
        rows.append([f"`{prefix}{name}`", shape(each, components), default, each.get("description", "")])
        for ref in sorted({*re.findall(r"'#/([^']+)'", str(each))}):
            if components[ref].get("type") == "object" and "properties" in components[ref]:
                inner += fields({"$ref": f"#/{ref}"}, components, f"{prefix}{name}[]." if "items" in each else f"{prefix}{name}.")
    return [table(["field", "value", "default", "meaning"], rows), *inner]


def shape(schema: dict[str, Any], components: dict[str, Any]) -> str:
    """The type and bounds of a value in a few words."""
    if "$ref" in schema:
        return shape(components[schema["$ref"].removeprefix("#/")], components)
    if "anyOf" in schema:
        return " or ".join(shape(each, components) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {shape(schema.get('items', {}), components)}"
    limits = [
        f"{schema['minimum']} to {schema['maximum']}" if "minimum" in schema and "maximum" in schema else "",
        f"at most {schema['maxLength']} characters" if "maxLength" in schema else "",
        f"`{schema['pattern']}`" if "pattern" in schema else "",
    ]
    names = {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "mapping", "null": "null"}
    return ", ".join([names.get(kind, kind), *filter(None, limits)])


# ------------------------------------------------------------------------------------------------------------------ faults


def faults() -> str:
    """The catalogue of faults with HTTP status and exit code."""
    from apiserver import problem
    from cli import failure
    from primitives import errors

    import_faults()
    rows = [
        [
            f"`{code}`",
            str(problem._STATUS_OF_CODE.get(code, problem.STATUS[fault.kind])),
            str(failure.EXIT.get(fault.kind.value, failure.FAILED)),
            *cells(fault),
        ]
        for code, fault in sorted(errors.CATALOGUE.items())
    ]
    intro = "The `code` never changes; texts are for people. Braces stand for values, which an answer of the API also carries as they are."
    return page("Errors · 错误代码", intro, table(["code", "HTTP", "exit", "what · 说明", "way out · 处理办法"], rows))


def cells(fault: Any) -> list[str]:
    """Both languages of a fault's texts, one cell each for the reason and the way out."""
    return [f"{fault.en}<br>{fault.zh}", f"{fault.mend_en}<br>{fault.mend_zh}"]


def import_faults() -> None:
    """Import every module that declares a fault."""
    from apiserver import routes

    routes.gathered()
    for path in sorted(ROOT.glob("*/**/*.py")):
        inside = path.relative_to(ROOT)
        if not inside.parts[0].startswith((".", "tests", "docs", "build")) and "errors.Fault(" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(inside.with_suffix("").parts))


# ---------------------------------------------------------------------------------------------------- settings, metrics, roles


def settings() -> str:
    """Every setting of the server."""
    from control import settings as declared

    rows = [
        [
            f"`{name}`",
            f"`{str(field.default).lower()}`" if field.default != "" else "",
            bounds(field.metadata),
            *texts_of(field.metadata),
        ]
        for name, field in declared.FIELDS.items()
    ]
    intro = (
        "Flags stand above the environment, that above the file. The file is YAML (`govpool serve --settings FILE`); the variable of `lease_s` is\n"
        "`GOVPOOL_LEASE_S`, its flag `--set lease_s=20`. Names end in their unit."
    )
    return page("Settings · 配置项", intro, table(["setting", "default", "bounds", "what it is for", "用途"], rows))


def bounds(metadata: Mapping[str, Any]) -> str:
    """The values that a setting may have."""
    if among := metadata.get("among"):
        return ", ".join(f"`{each}`" for each in among)
    return "" if metadata["low"] is None else f"{metadata['low']} to {metadata['high']}"


def texts_of(metadata: Mapping[str, Any]) -> list[str]:
    """What a setting is for, in both languages."""
    return [metadata["en"], metadata["zh"]]


def metrics() -> str:
    """Every metric, as a server with an empty database exposes it."""
    import collections

    from control import metrics as exposed
    from control import schema, wiring
    from control import settings as declared
    from store import database

    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}/govpool.db"
        opened = database.open_database(url)
        schema.upgrade(url)
        shared = wiring.Wiring(opened, declared.Settings())
        found = [
            *exposed._process(shared, collections.Counter()),
            *opened.read(lambda tx: [*exposed._quotas(tx), *exposed._work(tx), *exposed._energy(tx)]),
        ]
        opened.close()
    rows = [
        [f"`{metric_name(each)}`", each.type, ", ".join(f"`{one}`" for one in labels(each)), each.documentation] for each in found
    ]
    intro = (
        "`GET /metrics` in the text format of Prometheus, read from the database at each scrape. It names tenants, so it is answered to\n"
        "loopback, or to a token with the right `metrics.read` at the root."
    )
    return page("Metrics", intro, table(["metric", "type", "labels", "meaning"], rows))


def metric_name(metric: Any) -> str:
    """The name as it is exposed."""
    return {"counter": f"{metric.name}_total", "info": f"{metric.name}_info"}.get(metric.type, str(metric.name))


def labels(metric: Any) -> list[str]:
    """The labels of a metric; an info metric has its facts as labels."""
    return list(metric.samples[0].labels) if metric.type == "info" else list(metric._labelnames)


def roles() -> str:
    """The role table: a line per kind and verb, a column per role."""
    from tenants import model, role_table

    rows = [
        [f"`{kind}.{verb}`", *("x" if (kind, verb) in role_table.TABLE[role] else "" for role in model.Role)]
        for kind in role_table.kinds()
        for verb in sorted({verb for pairs in role_table.TABLE.values() for found, verb in pairs if found == kind})
    ]
    everywhere = ", ".join(f"`{kind}.{verb}`" for kind, verb in sorted(role_table.EVERYWHERE))
    own = ", ".join(f"`{kind}.{verb}`" for kind, verb in sorted(role_table.SELF))
    grants = [
        [f"`{role.value}`", ", ".join(f"`{each.value}`" for each in model.Role if each in allowed)]
        for role, allowed in role_table.GRANTABLE.items()
    ]
    intro = (
        "What does not stand here is forbidden. A role is bound at a node of the tenant tree and counts there and below; the trail names the line\n"
        "that allowed an act. `govpool role table` prints the same."
    )
    return page(
        "Roles · 角色权限表",
        intro,
        table(["may", *(f"`{role.value}`" for role in model.Role)], rows),
        "## Everybody\n",
        f"With oneself and one's service accounts: {own}.\n",
        f"With a role bound anywhere, things of the whole installation: {everywhere}.\n",
        "## Who grants which role\n",
        table(["role", "grants"], grants),
        "No person holds two of the three administrators' roles, over all accounts.",
    )


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
