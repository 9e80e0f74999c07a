"""A system changes its department and two departments merge, typed at the command line against a real server and a real lab cloud."""

import json
import re

from tests.integration import test_cli_orders
from tests.integration.process import Command
from tests.integration.test_cli_orders import GRANTS, Town

town = test_cli_orders.town
_GRANT = "---\n{{apiVersion: govpool/v1, kind: Grant, metadata: {{name: {}, tenant: health}}, spec: {{granted: {}}}}}\n"


def test_a_machine_then_its_project_then_the_whole_department_go_over(town: Town) -> None:
    chen = _health(town)
    town.li.ok("vm", "create", "web", "--size", "small", "--image", "debian-12", "--wait")
    moved = town.li.run("vm", "move", "web", "--to", "health/hospital", "--reason", "机构改革", "--document-no", "南改〔2026〕3号")
    assert moved.returncode == 9, "it waits for the other department"
    number = re.findall(r"order (\d+) waits for approval \(taker:health\)", moved.stderr)[0]
    own = town.wang.run("order", "approve", number)
    assert (own.returncode, "move.taker_decides" in own.stderr or "approver there" in own.stderr) == (5, True)
    shown = json.loads(chen.ok("order", "show", number, "-o", "json"))
    assert (shown["spec"]["to"], shown["status"]["requester"]) == ("health/hospital", "李娜")
    chen.ok("order", "approve", number, "--reason", "同意接收")
    web = json.loads(chen.ok("vm", "show", "web", "-o", "json"))
    assert (web["metadata"]["tenant"], web["metadata"]["project"], web["status"]["state"]) == ("health", "hospital", "running")
    assert town.li.run("vm", "show", "web").returncode == 3, "the giver sees it no more"
    chen.ok("vm", "resize", "web", "--size", "medium", "--wait")
    use = json.loads(town.zhao.ok("usage", "show", web["metadata"]["id"], "-o", "json"))
    assert {row["tenant"] for row in use} <= {"tax", "health"}

    town.li.ok("vm", "create", "db", "--size", "tiny", "--image", "debian-12", "--wait")
    asked = town.li.run("project", "move", "main", "--to", "health/tax-main", "-o", "name")
    assert asked.returncode == 9
    chen.ok("order", "approve", asked.stdout.strip())
    assert {"hospital", "tax-main"} <= set(chen.ok("project", "list", "-o", "name").split())
    assert json.loads(chen.ok("vm", "show", "db", "--project", "tax-main", "-o", "json"))["status"]["state"] == "running"

    town.li.ok("project", "create", "hospital", "--tenant", "tax", "--name", "税务侧同名项目")
    clash = town.system.run("tenant", "merge", "tax", "--into", "health", "--confirm", "tax")
    assert (clash.returncode, "--prefix" in clash.stderr) == (7, True)
    words = ("tenant", "merge", "tax", "--into", "health", "--prefix", "tax-")
    preview = json.loads(town.system.ok(*words, "--dry-run", "-o", "json"))
    assert {"project": "hospital", "becomes": "tax-hospital"} in preview["projects"]
    assert {"account": "li", "role": "requester"} in preview["roles_ended"]
    assert town.system.run(*words).returncode == 2, "what cannot be undone asks for its name"
    first = town.system.run(*words, "--confirm", "tax", "-o", "json")
    assert (first.returncode, json.loads(first.stdout)["state"]) == (0, "asked")
    assert "another person" in first.stderr
    assert json.loads(town.zhao.ok(*words, "--confirm", "tax", "-o", "json"))["state"] == "merged"
    closed = json.loads(town.system.ok("tenant", "show", "tax", "-o", "json"))
    assert (closed["status"]["state"], closed["status"]["merged_into"]) == ("closed", "health")
    assert json.loads(town.li.ok("whoami", "-o", "json"))["roles"] == []
    chen.ok("vm", "delete", "db", "--project", "tax-main", "--yes", "--wait")


def _health(town: Town) -> Command:
    """The health bureau with somebody who asks and agrees there."""
    town.system.ok("tenant", "create", "health", "--name", "卫生健康局", "--parent", "nanhai")
    made = json.loads(town.system.ok("tenant", "member", "add", "health", "chen", "--name", "陈强", "-o", "json"))
    for role in ("requester", "approver"):
        town.security.ok("role", "grant", "chen", role, "--tenant", "health")
    chen = Command(town.li.home.parent / "chen", town.li.environment["GOVPOOL_SERVER"])
    chen.ok("login", "--code", made["code"])
    town.zhao.ok("apply", "-f", "-", stdin="".join(_GRANT.format(name, amount) for name, amount in GRANTS.items()))
    chen.ok("project", "create", "hospital", "--tenant", "health", "--name", "医院信息系统")
    chen.ok("context", "set", "default", "--tenant", "health", "--project", "hospital")
    return chen
