"""Output: one table for people, four forms for programs; Chinese stays in line."""

import csv
import io
import json
from typing import Any

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from cli import ordering, output, session, texts

ROWS = [
    {"metadata": {"name": "one-window", "tenant": "tax"}, "spec": {"granted": 48, "price": "0.50"}, "labels": {"系统": "一窗"}},
    {"metadata": {"name": "一网统管", "tenant": "police"}, "spec": {"granted": None, "price": "12.00"}, "labels": {}},
]
COLUMNS: list[output.Column] = [
    "metadata.name",
    ("租户", "metadata.tenant"),
    ("GRANTED", "spec.granted"),
    ("价", "spec.price"),
    ("LABELS", "labels"),
]


def shown(form: str, data: Any, capsys: pytest.CaptureFixture[str], columns: list[output.Column] = COLUMNS) -> str:
    """What `show` prints."""
    output.show(_context(form), data, columns)
    return capsys.readouterr().out


def _context(form: str) -> Any:
    class Root:
        obj = session.Session(output=form)

        def find_root(self) -> "Root":
            return self

    return Root()


def test_a_table_counts_chinese_characters_as_two_cells_and_numbers_stand_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown("table", ROWS, capsys) == (
        "NAME        租户    GRANTED     价  LABELS\n"
        "one-window  tax          48   0.50  系统=一窗\n"
        "一网统管    police        -  12.00  -\n"
    )


def test_one_object_is_shown_as_fields(capsys: pytest.CaptureFixture[str]) -> None:
    columns: list[output.Column] = ["metadata.name", ("地址", lambda row: ["10.0.0.1", "fd00::1"]), ("无", "nothing.here")]
    assert shown("table", ROWS[0], capsys, columns) == "NAME  one-window\n地址  10.0.0.1\n      fd00::1\n无    -\n"


def test_machine_forms_hold_the_data_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown("json", iter(ROWS), capsys)) == ROWS
    assert json.loads(shown("json", ROWS[0], capsys)) == ROWS[0]
    assert yaml.safe_load(shown("yaml", ROWS, capsys)) == ROWS
    assert shown("name", ROWS, capsys) == "one-window\n一网统管\n"
    rows = list(csv.reader(io.StringIO(shown("csv", ROWS, capsys))))
    assert rows == [
        ["NAME", "租户", "GRANTED", "价", "LABELS"],
        ["one-window", "tax", "48", "0.50", "系统=一窗"],
        ["一网统管", "police", "", "12.00", "-"],
    ]
    assert shown("json", [], capsys) == "[]\n"


def test_an_escape_sequence_in_data_never_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """The mutant: printing a name as it is lets it move the cursor and forge lines."""
    printed = shown("table", [{"metadata": {"name": "a\x1b[2J\nb\x07"}}], capsys, ["metadata.name"])
    assert "\x1b" not in printed and "\x07" not in printed and printed.count("\n") == 2


@hypothesis.given(st.text(max_size=20))
def test_a_text_is_never_narrower_than_its_letters(text: str) -> None:
    assert 0 <= output.width(text) <= 2 * len(text)
    assert output.width("税务局") == 6 and output.width("ＡＢ") == 4 and output.width("e\u0301") == 1


def test_tables_say_local_time_and_chinese_states_and_programs_get_what_the_api_has(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "running", "state": "running", "since": "2026-09-30T16:00:00.123456Z", "paused": False}]
    columns: list[output.Column] = ["name", ("状态", "state"), ("起", "since"), ("暂停", "paused")]
    texts.settle("zh")
    try:
        assert shown("table", rows, capsys, columns).splitlines()[1] == "running  运行中  2026-10-01T00:00:00+08:00  否"
        assert shown("csv", rows, capsys, columns).splitlines()[1] == "running,running,2026-09-30T16:00:00.123456Z,false"
        assert all(texts.code_of(texts.state(code)) == code for code in ("waiting_for_approval", "running", "ended", "lost"))
    finally:
        texts.settle("en")


def test_an_empty_table_says_so_beside_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(_context("table"), [], COLUMNS)
    captured = capsys.readouterr()
    assert captured.out.startswith("NAME") and captured.err == "none\n"
    output.show(_context("json"), [], COLUMNS)
    assert capsys.readouterr() == ("[]\n", "")


def test_conditions_are_sentences_and_not_their_fields() -> None:
    row = {
        "status": {"conditions": [{"code": "cloud.unreachable", "en": "the cloud cannot be reached", "zh": "云平台暂时无法连接"}]}
    }
    assert ordering.conditions(row) == ["cloud.unreachable: the cloud cannot be reached"]
