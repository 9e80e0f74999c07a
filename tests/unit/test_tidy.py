"""The house style as a test: sizes, names, words, floats, clocks, and modules that nothing imports.

Each rule is a function from a parsed source to what it finds; `test_each_rule_catches_its_mutant` shows that it finds anything.
"""

import ast
import collections
import dataclasses
import functools
import importlib
import pathlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator

import pytest

from primitives import errors

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOMS: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
    "wheel"
]["packages"]
BESIDE = ["tests", "benchmarks", "demo", "docs", "deploy"]

LINES_MAX = 400
FUNCTION_LINES_MAX = 70
POSITIONAL_MAX = 5
GENERATED = ("store", "migrations", "versions")  # written by Alembic; long by nature
BANNED_FILES = {"utils", "util", "common", "helpers", "helper", "misc", "core", "base"}
BANNED_WORDS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b|NotImplemented" + "Error")
EXACT_ROOMS = {"metering", "quotas", "pools", "orders", "pue_monitor"}  # money, quota and energy: integers and Decimal only

# Modules that are started rather than imported.
ENTRY_POINTS = {
    "cli.main": "the console script",
    "provisioners.lab.cloud": "the process of the lab cloud",
}
# Modules that are found by their name at run time: pattern and who finds them.
FOUND_BY_NAME = {
    r"cli\.\w+": "cli/session.py, by the noun of the command",
    r"provisioners\.[\w.]+": "provisioners/registry.py, by the name of the driver",
    r"apiserver\.handlers\.\w+": "apiserver/routes.py, by the list of nouns",
    r"store\.migrations\.[\w.]+": "Alembic, by the revision",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """One Python file of this checkout."""

    path: pathlib.PurePosixPath
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first folder of the path."""
        return self.path.parts[0]

    @property
    def module(self) -> str:
        """'quotas.rules'; a package has the name of its folder."""
        return ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")

    @property
    def is_product(self) -> bool:
        """Whether it is part of the wheel."""
        return self.room in ROOMS


def source(path: str, text: str) -> Source:
    """A source from its text."""
    return Source(pathlib.PurePosixPath(path), text, ast.parse(text))


@functools.cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the rooms and beside them."""
    paths = [path for folder in [*ROOMS, *BESIDE] for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(
        source(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for path in paths
        if "__pycache__" not in path.parts and path.relative_to(ROOT).parts[:2] != ("demo", "out")
    )


def functions(of: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls(of: Source) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each call whose target is a plain name or attribute chain."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ast.unparse(node.func)


def long_modules(of: Source) -> Iterator[str]:
    """More than 400 lines."""
    if of.path.parts[:3] == GENERATED:
        return
    lines = of.text.count("\n")
    if lines > LINES_MAX:
        yield f"{lines} lines; at most {LINES_MAX}"


def long_functions(of: Source) -> Iterator[str]:
    """More than 70 lines."""
    if of.path.parts[:3] == GENERATED:
        return
    for node in functions(of):
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield f"{node.lineno}: {node.name} has {lines} lines; at most {FUNCTION_LINES_MAX}"


def many_positional_parameters(of: Source) -> Iterator[str]:
    """More than five positional parameters (self and cls not counted).  Tests take fixtures, commands their options: both by name."""
    for node in functions(of):
        if of.room == "cli" and any(".command(" in ast.unparse(each) for each in node.decorator_list):
            continue
        names = [each.arg for each in [*node.args.posonlyargs, *node.args.args] if each.arg not in ("self", "cls")]
        if len(names) > POSITIONAL_MAX and of.room != "tests":
            yield f"{node.lineno}: {node.name} takes {len(names)} positional parameters; at most {POSITIONAL_MAX}"


def silent_modules(of: Source) -> Iterator[str]:
    """No docstring at the top; an empty `__init__.py` has nothing to say."""
    if of.text.strip() and not ast.get_docstring(of.tree):
        yield "opens without a docstring of what it is for"


def vague_names(of: Source) -> Iterator[str]:
    """File names that say nothing."""
    if of.path.stem in BANNED_FILES:
        yield f"{of.path.name}: name it after what it holds"


def unfinished_work(of: Source) -> Iterator[str]:
    """Marks of unfinished work, and errors that are swallowed without a word."""
    for number, line in enumerate(of.text.splitlines(), 1):
        if found := BANNED_WORDS.search(line):
            yield f"{number}: {found.group()}"
    for node in ast.walk(of.tree):
        if isinstance(node, ast.ExceptHandler) and len(node.body) == 1 and isinstance(node.body[0], ast.Pass):
            yield f"{node.lineno}: except ...: pass"


def floats(of: Source) -> Iterator[str]:
    """Float literals, `float(...)` and true division in the rooms of money, quota and energy."""
    if of.room not in EXACT_ROOMS:
        return
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{node.lineno}: the float {node.value}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            yield f"{node.lineno}: float(...)"


def foreign_clocks(of: Source) -> Iterator[str]:
    """The clock is read in primitives/clock.py and primitives/ids.py only."""
    if not of.is_product or str(of.path) in ("primitives/clock.py", "primitives/ids.py"):
        return
    for line, name in calls(of):
        if re.search(r"\b(datetime|date)\.(now|utcnow|today)$|\btime\.(time|time_ns)$", name):
            yield f"{line}: {name}(); take primitives.clock or tx.now()"


def in_lists(of: Source) -> Iterator[str]:
    """`in_()` of a list makes a new statement for each length; columns.among does not.  `in_()` of a subquery is one statement."""
    if not of.is_product:
        return
    queries = {
        target.id
        for node in ast.walk(of.tree)
        if isinstance(node, ast.Assign) and "select(" in ast.unparse(node.value)
        for target in ast.walk(node.targets[0])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("in_", "not_in", "notin_"):
            argument = ast.unparse(node.args[0]) if node.args else ""
            if "select(" not in argument and argument not in queries:
                yield f"{node.lineno}: {ast.unparse(node.func)}({argument}); use store.columns.among"


def foreign_places(of: Source) -> Iterator[str]:
    """Paths outside the checkout."""
    for number, line in enumerate(of.text.splitlines(), 1):
        if re.search(r"/wor" + r"k/|\.\./sha" + r"red", line) or (
            of.room not in ("tests", "benchmarks") and "GOVPOOL_SHA" + "RED" in line
        ):
            yield f"{number}: a place outside the checkout"


def skipped_tests(of: Source) -> Iterator[str]:
    """A test may skip only for the large outside data sets (openb, SPECpower), which are not part of the checkout."""
    for number, line in enumerate(of.text.splitlines(), 1):
        if re.search(
            r"pytest\.(sk" + r"ip|importorsk" + r"ip|xfa" + r"il)\b|mark\.(sk" + r"ip|sk" + r"ipif|xfa" + r"il)\b", line
        ) and not re.search(r"openb|specpower", line):
            yield f"{number}: a test that can be skipped"


RULES: list[tuple[Callable[[Source], Iterator[str]], str, str]] = [
    (long_modules, "quotas/rules.py", '"""Long."""\n' + "\n" * 400),
    (long_functions, "quotas/rules.py", "def long() -> None:\n" + "    print()\n" * 70),
    (many_positional_parameters, "quotas/rules.py", "def many(a, b, c, d, e, f): ..."),
    (silent_modules, "quotas/rules.py", "import os\n"),
    (vague_names, "quotas/utils.py", ""),
    (unfinished_work, "quotas/rules.py", "# TO" + "DO later\n"),
    (unfinished_work, "quotas/rules.py", "try:\n    f()\nexcept OSError:\n    pass\n"),
    (floats, "metering/rules.py", "PRICE = 0.1\n"),
    (floats, "pue_monitor/rules.py", "value = float(text)\n"),
    (foreign_clocks, "control/order.py", "at = datetime.datetime.now(datetime.UTC)\n"),
    (foreign_clocks, "control/order.py", "at = time.time()\n"),
    (in_lists, "quotas/records.py", "sa.select(T).where(T.c.id.in_(ids))\n"),
    (in_lists, "quotas/records.py", "sa.select(T).where(T.c.id.in_(['a', 'b']))\n"),
    (foreign_places, "demo/run.py", "open('/wor" + "k/data')\n"),
    (skipped_tests, "tests/unit/test_x.py", "@pytest.mark.sk" + "ip\ndef test(): ...\n"),
]


@pytest.mark.parametrize("rule", list(dict.fromkeys(rule for rule, _, _ in RULES)), ids=lambda rule: str(rule.__name__))
def test_the_tree_keeps_the_rule(rule: Callable[[Source], Iterator[str]]) -> None:
    found = [f"{each.path}: {finding}" for each in sources() for finding in rule(each)]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(("rule", "path", "text"), RULES, ids=[f"{rule.__name__}-{n}" for n, (rule, _, _) in enumerate(RULES)])
def test_each_rule_catches_its_mutant(rule: Callable[[Source], Iterator[str]], path: str, text: str) -> None:
    assert list(rule(source(path, text)))


def imported(of: Source) -> set[str]:
    """Every module that a source may import, also the names in `from package import module`."""
    found: set[str] = set()
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"\w+(\.\w+)+(:\w+)?", node.value):
            found.add(node.value.partition(":")[0])  # a module named in a table, such as that of the drivers
    return found


def test_no_module_of_the_product_is_imported_by_nothing() -> None:
    importers: dict[str, set[str]] = collections.defaultdict(set)
    for each in sources():
        if each.is_product:
            for name in imported(each) - {each.module}:
                importers[name].add(each.module)
    dead = [
        each.module
        for each in sources()
        if each.is_product
        and each.path.name != "__init__.py"
        and not importers[each.module]
        and each.module not in ENTRY_POINTS
        and not any(re.fullmatch(pattern, each.module) for pattern in FOUND_BY_NAME)
    ]
    assert not dead, f"nothing imports {dead}"


def test_each_noun_of_the_command_line_has_its_module_and_no_other_module_hides_there() -> None:
    from cli import main

    modules = {each.path.stem for each in sources() if each.room == "cli"}
    nouns = {main.MODULES.get(noun, noun) for noun in main.NOUNS}
    assert nouns <= modules, f"without a module: {sorted(nouns - modules)}"
    used = {
        name.removeprefix("cli.") for each in sources() if each.room == "cli" for name in imported(each) if name.startswith("cli.")
    }
    assert modules - nouns - used - {"__init__", "main"} == set()


def test_each_handler_module_is_in_the_list_of_routes() -> None:
    from apiserver import routes

    found = {each.path.stem for each in sources() if each.path.parts[:2] == ("apiserver", "handlers")} - {"__init__"}
    assert found == set(routes.MODULES)


def all_faults() -> dict[str, errors.Fault]:
    """The catalogue after every module that declares faults was imported."""
    for each in sources():
        if each.is_product and re.search(r"errors\.Fault\(", each.text):
            importlib.import_module(each.module)
    return errors.CATALOGUE


def test_each_fault_speaks_both_languages_and_says_the_way_out() -> None:
    faults = all_faults()
    assert len(faults) > 20
    for code, fault in faults.items():
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)*", code), code
        assert all((fault.en, fault.mend_en, fault.mend_zh)), f"{code}: a text is missing"
        words = re.sub(r"{[^}]*}", "", fault.en)
        assert re.search(r"[\u4e00-\u9fff]", fault.zh) or not re.search("[a-z]", words), f"{code}: no Chinese text"
        assert set(re.findall(r"{(\w+)", fault.en)) == set(re.findall(r"{(\w+)", fault.zh)), (
            f"{code}: the texts name different values"
        )


def test_help_loads_nothing_heavy() -> None:
    heavy = [
        "openstack",
        "kubernetes",
        "pulumi",
        "sqlalchemy",
        "starlette",
        "yaml",
        "msgspec",
        "uvicorn",
        "rich",
        "ssl",
        "http.client",
    ]
    program = (
        "import sys\nfrom cli import main\n"
        "assert main.run(['--help']) == 0\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "govpool" in done.stdout
