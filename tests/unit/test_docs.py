"""The documents: links resolve, the reference is what the code says, and nothing that people can meet is left out of it."""

import importlib
import pathlib
import re
import subprocess
import sys
import types
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [path for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("demo/*.md")] if path.is_file()]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def generate() -> types.ModuleType:
    """The generator of the reference."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: pathlib.Path) -> None:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), f"{target} in {page.name}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}, target


def test_every_page_is_reached_from_the_index() -> None:
    seen: set[pathlib.Path] = set()
    open_pages = [ROOT / "docs" / "index.md", ROOT / "README.md"]
    while open_pages:
        page = open_pages.pop().resolve()
        if page in seen or page.suffix != ".md" or not page.exists():
            continue
        seen.add(page)
        open_pages += [
            page.parent / target.partition("#")[0] for target in re.findall(r"\]\(([^)\s:]+)\)", page.read_text("utf-8"))
        ]
    assert [str(page.relative_to(ROOT)) for page in PAGES if page not in seen] == []


def test_every_page_that_the_code_names_exists() -> None:
    named = {
        page
        for path in ROOT.glob("*/**/*.py")
        if not path.relative_to(ROOT).parts[0].startswith((".", "build"))
        for page in re.findall(r"docs/[a-z0-9./-]+\.md", path.read_text(encoding="utf-8"))
    }
    assert sorted(page for page in named if not (ROOT / page).exists()) == []


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"run `make docs`:\n{done.stdout}{done.stderr[-2000:]}"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_command_says_what_it_does_and_so_does_every_option(generate: Any, lang: str) -> None:
    page = (REFERENCE / ("commands.md" if lang == "en" else "commands.zh.md")).read_text(encoding="utf-8")
    silent = [
        f"{name} {row}".strip()
        for name, body in re.findall(r"^### (.+?)\n\n(.*?)(?=^##|\Z)", page, flags=re.MULTILINE | re.DOTALL)
        for row in (
            [""] if body.startswith(("|", "#")) or not body.strip() else re.findall(r"^\| (`.+?) \|.*\|  \|$", body, re.MULTILINE)
        )
    ]
    assert silent == []
    if lang == "zh":
        chinese = re.findall(r"^### (.+?)\n\n(.*?)$", page, flags=re.MULTILINE)
        assert [name for name, text in chinese if not re.search(r"[\u4e00-\u9fff]", text)] == []


def test_every_command_that_a_fault_or_a_page_names_exists(generate: Any) -> None:
    from cli import main
    from primitives import errors

    generate.import_faults()
    everywhere = {*main._FLAGS, *main._VALUES, "--help"}
    options: dict[str, set[str]] = {}
    for noun in main.NOUNS:
        for name, command in generate.verbs(noun):
            options[name] = {option for each in command.params for option in [*each.opts, *each.secondary_opts]} | everywhere
    groups = {" ".join(name.split()[:length]) for name in options for length in range(2, name.count(" ") + 1)}
    texts = {code: f"{fault.mend_en}\n{fault.mend_zh}" for code, fault in errors.CATALOGUE.items()}
    texts |= {str(page.relative_to(ROOT)): page.read_text("utf-8") for page in PAGES if page.parent != REFERENCE}
    wrong = []
    for place, text in texts.items():
        for line in re.findall(r"govpool [a-z][^\n`|;，。；（）()]*", text):
            words = line.split()
            if words[1] not in main.NOUNS:  # prose about govpool
                continue
            prefixes = [" ".join(words[:length]) for length in range(min(4, len(words)), 1, -1)]
            name = next((prefix for prefix in prefixes if prefix in options), "")
            group = next((prefix for prefix in prefixes if prefix in groups), "")
            if not name and (not group or re.fullmatch("[a-z-]{3,}", "".join(words[len(group.split()) : len(group.split()) + 1]))):
                wrong.append(f"{place}: there is no {prefixes[0]}")
            if name and name != "govpool lab":  # hands its options on to the lab cloud's own process
                wrong += [
                    f"{place}: {name} has no {one}" for one in re.findall(r" (--?[a-z][a-z-]*)", line) if one not in options[name]
                ]
    assert not wrong, "\n".join(["", *wrong])


def test_every_route_says_what_it_does(generate: Any) -> None:
    from apiserver import routes

    assert [each.action for each in routes.gathered() if not generate.first_sentence(each.handler)] == []


def test_the_glossary_has_each_word_once_and_in_both_languages() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE)
    rows = [row for row in rows if row[0] not in ("English", "---")]
    words = [word.strip() for row in rows for word in row[0].split(",")]
    assert len(words) > 100
    assert sorted({word for word in words if words.count(word) > 1}) == []
    assert [row[0] for row in rows if not re.search(r"[\u4e00-\u9fff]", row[1]) or not row[2].strip()] == []


def test_decision_records_have_a_number_of_their_own_and_a_date() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    numbers = [path.name[:4] for path in records]
    assert len(set(numbers)) == len(numbers)
    for path in records[1:]:
        text = path.read_text("utf-8")
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        assert re.search(r"^Date: 20\d\d-\d\d-\d\d\. Status: (proposed|accepted|replaced by \d{4})\.$", text, re.MULTILINE), (
            path.name
        )
