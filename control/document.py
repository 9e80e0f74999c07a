"""Documents of `apply` and `diff`: which kinds there are, and how a file of them becomes one use case, all or nothing.

A room of `control` makes its noun declarable in its own file:

    class GrantSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):      # bounds on every field, as in the API
        granted: Annotated[int, msgspec.Meta(ge=0, le=10**15)]

    def planned(document: document.Document) -> case.UseCase:        # the same use case that the API runs
        return set_grant(document.metadata.tenant, document.metadata.name, document.spec.granted)

    document.register("Grant", GrantSpec, planned, after_kinds={"Tenant"})

The effect of the use case looks at the present and creates, changes or leaves it; its answer says which by `before` and `after`:
before None is created, before == after is unchanged (write nothing then), anything else is changed.  `diff` is the same run, rolled
back.  Numbers with a point arrive as text, exactly as written, so money is never a float.  Kinds are applied in the order of
`after_kinds`.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Final, Generic, TypeVar

import msgspec

from control import case, yaml_text
from primitives import errors
from primitives.errors import Kind

S = TypeVar("S")
API_VERSION: Final = "govpool/v1"
DOCUMENTS_MAX: Final = 500
_Name = Annotated[str, msgspec.Meta(max_length=128)]

WRONG: Final = errors.Fault(
    "document.invalid",
    Kind.INVALID,
    en="mistakes in the documents: {count}; nothing was changed",
    zh="文档中有 {count} 处错误，未作任何更改",
    mend_en="correct the lines named and apply again",
    mend_zh="请更正所列各行后重新提交",
)
UNKNOWN_KIND: Final = "document.kind"


class Metadata(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Who the object is.  `tenant` and `project` are codes; `id` and `generation` are what a read gave, checked when present."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    tenant: _Name = ""
    project: _Name = ""
    labels: Annotated[dict[_Name, _Name], msgspec.Meta(max_length=32)] = {}
    id: _Name = ""
    generation: Annotated[int, msgspec.Meta(ge=0, le=10**15)] | None = None


class Document(msgspec.Struct, Generic[S], forbid_unknown_fields=True, kw_only=True):
    """One document.  `status` is what a read showed; it is ignored, so that the output of `-o yaml` can be applied again."""

    apiVersion: str
    kind: str
    metadata: Metadata
    spec: S
    status: dict[str, Any] | None = None


Planned = Callable[[Document[Any]], case.UseCase]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A kind that can be declared."""

    kind: str
    spec: type[msgspec.Struct]
    planned: Planned
    after_kinds: frozenset[str]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A document with its place in the file."""

    document: Document[Any]
    line: int

    @property
    def title(self) -> str:
        """How findings name it."""
        return f"line {self.line} ({self.document.kind} {self.document.metadata.name})"


KINDS: Final[dict[str, Registered]] = {}


def register(
    kind: str,
    spec: type[msgspec.Struct],
    planned: Planned,
    *,
    after_kinds: Mapping[str, Any] | set[str] | frozenset[str] = frozenset(),
) -> None:
    """Make `kind` declarable.  `after_kinds` are kinds that must be applied before it when both are in one file."""
    if kind in KINDS:
        raise ValueError(f"kind {kind} is registered twice")
    KINDS[kind] = Registered(kind=kind, spec=spec, planned=planned, after_kinds=frozenset(after_kinds))


def read(content: bytes) -> list[Placed]:
    """The documents of a YAML (or JSON) text, decoded and bounded.  Raises document.invalid with every finding and its line."""
    parsed, findings = yaml_text.load_all(content)
    placed = []
    if len(parsed) > DOCUMENTS_MAX:
        findings.append(
            errors.Finding(f"line {parsed[DOCUMENTS_MAX].line}", "document.count", f"more than {DOCUMENTS_MAX} documents")
        )
        parsed = parsed[:DOCUMENTS_MAX]
    for one in parsed:
        try:
            placed.append(Placed(document=_converted(one.value), line=one.line))
        except _Wrong as wrong:
            findings.append(errors.Finding(f"line {one.line_of(wrong.path)}", wrong.code, wrong.detail))
    if not parsed and not findings:
        findings.append(errors.Finding("line 1", "document.empty", "there is no document"))
    if findings:
        raise WRONG(count=len(findings), findings=tuple(findings))
    return placed


def applied(content: bytes, *, dry_run: bool = False) -> case.UseCase:
    """One use case out of all documents of `content`: all or nothing, each checked for its own right.  Raises document.invalid."""
    placed = _ordered(read(content))
    parts = [_at(one, KINDS[one.document.kind].planned) for one in placed]
    return case.together("document.apply", parts, lambda answers: _answer(placed, answers), dry_run=dry_run)


def changes(before: Any, after: Any, path: str = "") -> Iterator[dict[str, Any]]:
    """The differences of two JSON values as {path, before, after}, in the order of paths."""
    if isinstance(before, Mapping | None) and isinstance(after, Mapping | None) and (before or after):
        old, new = before or {}, after or {}
        for key in sorted({*old, *new}):
            yield from changes(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif before != after:
        yield {"path": path, "before": before, "after": after}


def outcome(answer: case.Answer) -> str:
    """'created', 'changed' or 'unchanged'."""
    if answer.before is None:
        return "created"
    return "unchanged" if answer.before == answer.after else "changed"


def _answer(placed: list[Placed], answers: list[case.Answer]) -> case.Answer:
    rows = [
        {
            "kind": one.document.kind,
            "name": one.document.metadata.name,
            "tenant": one.document.metadata.tenant,
            "project": one.document.metadata.project,
            "outcome": outcome(answer),
            "changes": list(changes(answer.before, answer.after)),
        }
        for one, answer in zip(placed, answers, strict=True)
    ]
    counts = {name: sum(row["outcome"] == name for row in rows) for name in ("created", "changed", "unchanged")}
    return case.Answer(body={"documents": rows, "counts": counts}, kind="document", after=counts)


def _ordered(placed: list[Placed]) -> list[Placed]:
    """Documents so that every kind comes after the kinds it builds on; within a kind as written."""
    rank: dict[str, int] = {}

    def ranked(kind: str, seen: frozenset[str] = frozenset()) -> int:
        if kind in seen or kind not in KINDS:
            return 0
        if kind not in rank:
            rank[kind] = max((ranked(earlier, seen | {kind}) + 1 for earlier in KINDS[kind].after_kinds), default=0)
        return rank[kind]

    return sorted(placed, key=lambda one: ranked(one.document.kind))


def _at(one: Placed, planned: Planned) -> case.UseCase:
    """The use case of a document; a fault in it also names the document's place."""
    with _naming(one):
        inner = planned(one.document)

    def permit(tx: Any, who: Any) -> Any:
        with _naming(one):
            return inner.permit(tx, who)

    def effect(tx: Any, who: Any, allowed: Any) -> case.Answer:
        with _naming(one):
            return inner.effect(tx, who, allowed)

    return dataclasses.replace(inner, permit=permit, effect=effect)


@contextlib.contextmanager
def _naming(one: Placed) -> Iterator[None]:
    try:
        yield
    except errors.GovpoolError as error:
        error.findings = (*error.findings, errors.Finding(one.title, error.code, error.text("en")))
        raise


class _Wrong(Exception):
    def __init__(self, path: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.path, self.code, self.detail = path, code, detail


def _converted(value: Any) -> Document[Any]:
    if not isinstance(value, dict):
        raise _Wrong("", "document.shape", "a document is a mapping with apiVersion, kind, metadata and spec")
    if value.get("apiVersion") != API_VERSION:
        raise _Wrong("apiVersion", "document.version", f"apiVersion must be {API_VERSION}")
    kind = value.get("kind")
    registered = KINDS.get(kind) if isinstance(kind, str) else None
    if registered is None:
        raise _Wrong("kind", UNKNOWN_KIND, f"kind must be one of {', '.join(sorted(KINDS))}")
    try:
        return msgspec.convert(value, Document[registered.spec])  # type: ignore[name-defined]
    except msgspec.ValidationError as error:
        reason, _, where = str(error).partition(" - at `$")
        raise _Wrong(
            where.rstrip("`").removeprefix("."), errors.INVALID.code, f"{where.rstrip('`').removeprefix('.') or kind}: {reason}"
        ) from error
