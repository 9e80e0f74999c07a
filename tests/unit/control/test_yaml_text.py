"""YAML from strangers: the core schema, its limits, and a line for every mistake."""

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from control import yaml_text


def loaded(text: str) -> Any:
    """The one value of a text that has no mistake."""
    parsed, findings = yaml_text.load_all(text.encode())
    assert not findings and len(parsed) == 1
    return parsed[0].value


def finding(content: bytes | str) -> tuple[str, str]:
    """(code, place) of the first mistake."""
    _, findings = yaml_text.load_all(content if isinstance(content, bytes) else content.encode())
    return findings[0].code, findings[0].place


def test_only_the_core_schema_has_types() -> None:
    text = "[1, -2, +3, 0x10, 0o7, 1.50, 1e3, .inf, true, False, yes, off, ~, null, 2026-10-01, 12:30, '1', \"true\", 0012]"
    want: list[Any] = [1, -2, 3, "0x10", "0o7", "1.50", "1e3", ".inf", True, False, "yes", "off", None, None]
    assert loaded(text) == [*want, "2026-10-01", "12:30", "1", "true", 12]


def test_a_price_stays_exactly_as_written() -> None:
    """The mutant: a float, which has no 0.10."""
    assert loaded("price: 0.10") == {"price": "0.10"}


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\na: 2", "yaml.duplicate", 2),
        ("a: 1\nb: {c: 1, c: 2}", "yaml.duplicate", 2),
        ("a: &x 1\nb: *x", "yaml.alias", 1),
        ("a: 1\nb: *x", "yaml.alias", 2),
        ("a: !!python/object/apply:os.system ['id']", "yaml.tag", 1),
        ("a: !!str 1", "yaml.tag", 1),
        ("a: [1,\nb", "yaml.syntax", 3),
        ("a: b: c", "yaml.syntax", 1),
        ("a:\n\t- b", "yaml.syntax", 2),
        ("%YAML 9.9\n---\na: 1", "yaml.syntax", 1),
        ("? [a]\n: b", "yaml.key", 1),
        ("? {a: 1}\n: b", "yaml.key", 1),
        ('"": 1', "yaml.key", 1),
        ("a: " + "9" * 19, "yaml.number", 1),
        ('a: "\\0"', "yaml.character", 1),
        ("a: b\n" + "x" * yaml_text.BYTES_MAX, "yaml.size", 1),
        ("\n".join("- " * n + "a" for n in (34,)), "yaml.depth", 1),
        ("[" * 900, "yaml.depth", 1),
        ("{a: " * 200, "yaml.depth", 1),
        ("[" + "1," * 60_000 + "]", "yaml.nodes", 1),
    ],
)
def test_every_mistake_has_its_code_and_its_line(text: str, code: str, line: int) -> None:
    assert finding(text) == (code, f"line {line}")


def test_a_billion_laughs_are_refused_at_the_first_alias() -> None:
    text = "a: &a [x, x]\n" + "\n".join(f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]" for n in range(20))
    assert finding(text)[0] == "yaml.alias"


def test_text_that_is_not_utf8_names_its_line() -> None:
    assert finding("a: 1\nb: 税务局".encode("gb18030")) == ("yaml.encoding", "line 2")
    assert finding(b"\x00")[0] == "yaml.syntax"


def test_documents_before_a_mistake_are_still_read() -> None:
    parsed, findings = yaml_text.load_all(b"a: 1\n---\n# only a remark\n---\nb: [")
    assert [one.value for one in parsed] == [{"a": 1}]
    assert len(findings) == 1


def test_the_line_of_a_path_is_known() -> None:
    parsed, _ = yaml_text.load_all(b"a: 1\n---\nkind: Grant\nspec:\n  lines:\n    - x\n    - granted: 3\n")
    one = parsed[1]
    assert one.line == 3
    assert [one.line_of(path) for path in ("kind", "spec.lines[1].granted", "spec.lines[7]", "spec.nothing", "")] == [3, 7, 5, 4, 3]


@hypothesis.given(st.binary(max_size=300) | st.text(alphabet="ab:-[]{}\n &*!?|>'\"#%~1. \t,", max_size=60).map(str.encode))
def test_no_bytes_make_an_exception(content: bytes) -> None:
    yaml_text.load_all(content)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(st.characters(exclude_categories=["C"]), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc税", min_size=1, max_size=4), inner, max_size=4),
    max_leaves=12,
)


@hypothesis.given(_json.filter(lambda value: value is not None))
def test_json_is_read_as_it_is(value: Any) -> None:
    assert loaded(json.dumps(value, ensure_ascii=False)) == value
