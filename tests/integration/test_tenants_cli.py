"""The commands of tenants, people, roles and tokens, run as typed, against a served installation."""

import json
import pathlib
import re
from collections.abc import Callable, Iterator

import pytest

from primitives import errors
from store import database as store_database
from tenants import signin
from tests.integration import process
from tests.integration.tenants_server import City, serving

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区, served."""
    with serving(database) as served:
        yield served


@pytest.fixture
def typed(city: City, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Run a command as the person of a context; gives exit code, standard output and standard error."""
    monkeypatch.setenv("GOVPOOL_CONFIG", str(tmp_path / "contexts.json"))
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    for variable in ("GOVPOOL_SERVER", "GOVPOOL_TOKEN", "GOVPOOL_CONTEXT", "GOVPOOL_LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)

    def run(line: str, *, as_: str = "") -> tuple[int, str, str]:
        capsys.readouterr()
        code = process.here([*line.split(), *(["--context", as_] if as_ else [])])
        told = capsys.readouterr()
        return code, told.out, told.err

    for name, client in (("wang", city.system), ("zhao", city.security)):
        assert run(f"context set {name} --server {city.url}")[0] == 0
        book = json.loads((tmp_path / "contexts.json").read_text())
        book["contexts"][name]["token"] = client.token
        (tmp_path / "contexts.json").write_text(json.dumps(book))
    return run


def test_a_department_is_set_up_from_the_command_line(typed: Typed, city: City, tmp_path: pathlib.Path) -> None:
    assert typed("tenant create tax --name 税务局 --parent nanhai --protection-level 3", as_="wang")[0] == 0
    code, out, err = typed("tenant member add tax li.na --name 李娜 --role requester", as_="wang")
    assert (code, err) == (0, "")
    one_use = re.findall(r"gpc_\w+", out)[0]
    assert typed("role grant li.na approver --tenant tax", as_="zhao")[0] == 0
    code, out, err = typed(f"login --code {one_use} --server {city.url}", as_="li")
    assert code == 0
    assert "approver @ tax 税务局" in out
    assert "gp_" not in out + err, "a token is never printed by login"
    assert (tmp_path / "contexts.json").stat().st_mode & 0o777 == 0o600
    assert typed("project create one-window --name 一窗受理平台", as_="li")[0] == 0, "login made tax the default tenant"
    assert typed("project list -o name", as_="li")[1] == "one-window\n"
    who = json.loads(typed("whoami -o json", as_="li")[1])
    assert sorted(held["role"] for held in who["roles"]) == ["approver", "requester"]
    assert typed("logout", as_="li")[0] == 0
    assert typed("whoami", as_="li")[0] == 4


def test_every_reading_command_answers_in_every_form(typed: Typed) -> None:
    typed("tenant create tax --name 税务局 --parent nanhai", as_="wang")
    typed("tenant member add tax li.na --name 李娜 --role viewer", as_="wang")
    for line in [
        "tenant list", "tenant show tax", "tenant show tax --history", "tenant member list tax", "project list", "account list",
        "account show li.na", "person list", "role table", "role table --role operator --kind grant", "role list", "token list",
        "whoami", "context list", "context show wang",
    ]:  # fmt: skip
        for form in ("table", "json", "yaml", "csv", "name"):
            code, out, err = typed(f"{line} -o {form}", as_="wang")
            assert code == 0 and err in ("", "无\n"), (line, form, err)
            if form == "json":
                json.loads(out)
    assert "operator" in typed("role table --kind grant", as_="wang")[1]
    assert "税务局" in typed("tenant list", as_="wang")[1]


def test_refusals_have_their_exit_code_and_a_way_out(typed: Typed) -> None:
    for line, code, words in [
        ("tenant show nowhere", 3, "object.unknown"),
        ("tenant member add nanhai boss --name 某人 --role operator", 5, "role.not_grantable"),
        ("tenant create Tax --name 税务局 --parent nanhai", 2, "input.invalid"),
        ("tenant create tax --name 税务局", 2, "--parent"),
        ("tenant move nanhai --parent nanhai", 7, "tenant.root"),
        ("role grant wang emperor --tenant nanhai", 2, "input.invalid"),
        ("login --code gpc_wrong", 4, "login.code"),
        ("tenant offboard nanhai", 2, "--confirm nanhai"),
        ("context use nowhere", 2, "govpool context list"),
    ]:
        found, out, err = typed(line, as_="wang")
        assert (found, out) == (code, ""), (line, err)
        assert words in err, (line, err)


def test_offboarding_leaves_the_export_behind(typed: Typed, tmp_path: pathlib.Path) -> None:
    typed("tenant create tax --name 税务局 --parent nanhai", as_="wang")
    file = tmp_path / "tax.jsonl"
    assert typed(f"tenant offboard tax --file {file} --confirm tax", as_="wang")[0] == 0
    kinds = [json.loads(line)["kind"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert kinds[0] == "Tenant"
    assert "TenantFact" in kinds
    assert file.stat().st_mode & 0o777 == 0o600
    assert "已注销" in typed("tenant show tax", as_="wang")[1]


def test_a_rotated_token_replaces_the_stored_one(typed: Typed, tmp_path: pathlib.Path) -> None:
    def stored() -> str:
        return str(json.loads((tmp_path / "contexts.json").read_text())["contexts"]["wang"]["token"])

    before = stored()
    code, out, err = typed("token rotate", as_="wang")
    assert code == 0
    assert stored() != before
    assert stored() not in out + err
    assert typed("whoami", as_="wang")[0] == 0
    shown = typed("token rotate --show", as_="wang")[1]
    assert re.search(r"gp_\w{59}", shown)
    token = json.loads(typed("token list -o json", as_="wang")[1])
    assert sum(each["current"] for each in token) == 1
    assert typed(f"token revoke {token[0]['id']}", as_="wang")[0] == 0


def test_a_dry_run_changes_nothing(typed: Typed) -> None:
    assert typed("tenant create tax --name 税务局 --parent nanhai --dry-run", as_="wang")[0] == 0
    assert typed("tenant show tax", as_="wang")[0] == 3


def test_an_installation_begins_at_the_console_and_only_once(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data", str(tmp_path / "data")]
    named = ["--code", "nanhai", "--name", "南海区", "--system-admin", "wang=王芳"]
    assert process.here(["init", *data, *named, "-o", "json"]) == 0
    codes = json.loads(capsys.readouterr().out)
    assert [each["role"] for each in codes] == ["system_admin", "security_admin", "audit_admin"]
    assert codes[0]["account"] == "wang"
    assert process.here(["init", *data, *named]) == 7
    assert "init.done" in capsys.readouterr().err
    assert process.here(["init", *data, "--enrol", "audit-admin", "-o", "json"]) == 0
    fresh = json.loads(capsys.readouterr().out)[0]["code"]
    assert process.here(["init", *data, "--enrol", "nobody"]) == 3
    opened = store_database.open_database(f"sqlite://{tmp_path / 'data' / 'govpool.db'}")
    try:
        assert process.here(["init", *data, "--enrol", "wang"]) == 7, "a running server holds the lock"
        assert "store.locked" in capsys.readouterr().err
        assert opened.lane.run(lambda tx: signin.login(tx, fresh))[1].account == "audit-admin"
        old = next(each["code"] for each in codes if each["account"] == "audit-admin")
        with pytest.raises(errors.GovpoolError, match=r"login\.code"):
            opened.lane.run(lambda tx: signin.login(tx, old))
    finally:
        opened.close()
