"""Documents become one use case: whole, in the right order, with every mistake and its line."""

from typing import Annotated, Any

import msgspec
import pytest

from control import case, document
from primitives import errors


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A spec with a bound."""

    size: Annotated[int, msgspec.Meta(ge=0, le=9)]


def planned(one: document.Document[Any]) -> case.UseCase:
    """A use case that answers with what it was given."""
    return case.UseCase(action="thing.put", permit=lambda tx, who: None, effect=lambda tx, who, p: case.Answer(after=one.spec.size))  # type: ignore[arg-type,return-value]


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds, of which Leaf builds on Root."""
    monkeypatch.setattr(document, "KINDS", {})
    document.register("Leaf", Spec, planned, after_kinds={"Root"})
    document.register("Root", Spec, planned)


def text(kind: str, name: str, size: Any = 1, more: str = "") -> str:
    """A document."""
    return f"apiVersion: govpool/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{size: {size}}}\n{more}"


def test_kinds_come_after_the_kinds_they_build_on_and_else_as_written() -> None:
    content = "---\n".join([text("Leaf", "a"), text("Root", "b"), text("Leaf", "c"), text("Root", "d")])
    placed = document._ordered(document.read(content.encode()))
    assert [one.document.metadata.name for one in placed] == ["b", "d", "a", "c"]


def test_all_mistakes_of_all_documents_are_named_with_their_lines() -> None:
    parts = [
        text("Leaf", "a", 10),
        text("Leaf", "b", "x"),
        text("Nothing", "c"),
        "- 1\n",
        text("Leaf", "d", more="extra: 1\n"),
        text("Root", "ok"),
    ]
    with pytest.raises(errors.GovpoolError) as raised:
        document.read("---\n".join(parts).encode())
    assert raised.value.code == "document.invalid"
    assert [(finding.place, finding.code) for finding in raised.value.findings] == [
        ("line 4", "input.invalid"),
        ("line 9", "input.invalid"),
        ("line 12", "document.kind"),
        ("line 16", "document.shape"),
        ("line 18", "input.invalid"),
    ]


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"---\n---\n"])
def test_a_file_without_a_document_is_a_mistake(content: bytes) -> None:
    with pytest.raises(errors.GovpoolError) as raised:
        document.read(content)
    assert raised.value.findings[0].code == "document.empty"


def test_what_a_read_showed_can_be_applied_again() -> None:
    """`status`, id and generation come back with `-o yaml`; they must not stand in the way."""
    content = "apiVersion: govpool/v1\nkind: Leaf\nmetadata: {name: a, id: leaf-1, generation: 3}\nspec: {size: 1}\n"
    content += "status: {state: active}\n"
    assert document.read(content.encode())[0].document.metadata.generation == 3


def test_changes_are_named_by_path() -> None:
    before = {"spec": {"a": 1, "b": [1]}, "x": None}
    after = {"spec": {"a": 2, "b": [1]}, "y": 3}
    assert list(document.changes(before, after)) == [
        {"path": "spec.a", "before": 1, "after": 2},
        {"path": "y", "before": None, "after": 3},
    ]


def test_the_outcome_follows_from_before_and_after() -> None:
    assert document.outcome(case.Answer(before=None, after={})) == "created"
    assert document.outcome(case.Answer(before={"a": 1}, after={"a": 1})) == "unchanged"
    assert document.outcome(case.Answer(before={"a": 1}, after={"a": 2})) == "changed"
