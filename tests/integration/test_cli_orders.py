"""A department's work at the command line: real server, real lab cloud, real processes; golden output in both languages."""

import csv
import dataclasses
import datetime
import io
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.process import Command, initialised, serving

POOL = """
apiVersion: govpool/v1
kind: Pool
metadata: {name: gov}
spec: {name: 政务云, driver: lab, driver_settings: {url: "@LAB@", poll_s: 0}, protection_level: 3}
---
apiVersion: govpool/v1
kind: PriceBook
metadata: {name: "2026"}
spec:
  valid_from: "2026-01-01T00:00:00+08:00"
  currency: CNY
  prices:
    - {sku: vcpu, kind: VirtualMachine, name: cpu_milli, unit: vCPU-Hours, price: 0.09}
    - {sku: ram, kind: VirtualMachine, name: ram_mib, unit: GiB-Hours, price: 0.03}
    - {sku: disk, kind: VirtualMachine, name: disk_gib, unit: GiB-Hours, price: 0.0007, states: [running, stopped]}
    - {sku: vol, kind: Volume, name: disk_gib, unit: GiB-Hours, price: 0.0006, states: [running, stopped]}
    - {sku: app-vcpu, kind: ContainerApp, name: cpu_milli, unit: vCPU-Hours, price: 0.08}
    - {sku: app-ram, kind: ContainerApp, name: ram_mib, unit: GiB-Hours, price: 0.02}
    - {sku: app-disk, kind: ContainerApp, name: disk_gib, unit: GiB-Hours, price: 0.0007}
"""
GRANTS = {"cpu_milli": 16000, "ram_mib": 65536, "disk_gib": 2000, "instances": 20, "pods": 20}
RULE = """
apiVersion: govpool/v1
kind: ApprovalRule
metadata: {name: dear, tenant: tax}
spec: {monthly_over: "500.00", deadline_h: 72}
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """Who sits at the keyboards."""

    li: Command  # requester and approver of the tax bureau
    wang: Command  # approver of the tax bureau
    zhao: Command  # operator of the cloud
    system: Command
    security: Command
    lab: "subprocess.Popen[bytes]"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A city whose tax bureau may order from a pool over a lab cloud."""
    home = tmp_path_factory.mktemp("town")
    lab = subprocess.Popen(
        [sys.executable, "-m", "provisioners.lab.cloud", "--file", str(home / "lab.db")], stdout=subprocess.PIPE, env=_environment()
    )
    assert lab.stdout
    place = ["--data", str(home / "data")]
    codes = initialised(home, *place, "--code", "nanhai", "--name", "南海区")
    with serving(home, *place, "--set", "sweep_s=1", "--set", "recycle_days=1") as server:
        people = {name: Command(home / name, server.url) for name in ("li", "wang", "zhao", "system", "security")}
        town = Town(**people, lab=lab)
        town.system.ok("login", "--code", codes["system_admin"])
        town.security.ok("login", "--code", codes["security_admin"])
        town.system.ok("tenant", "create", "tax", "--name", "税务局", "--parent", "nanhai")
        for name, person, tenant, roles in (
            ("li", "李娜", "tax", ["requester", "approver"]),
            ("wang", "王芳", "tax", ["approver"]),
            ("zhao", "赵敏", "nanhai", ["operator", "finance"]),
        ):
            made = json.loads(town.system.ok("tenant", "member", "add", tenant, name, "--name", person, "-o", "json"))
            for role in roles:
                town.security.ok("role", "grant", name, role, "--tenant", tenant)
            people[name].ok("login", "--code", made["code"])
        grants = "".join(
            f"---\n{{apiVersion: govpool/v1, kind: Grant, metadata: {{name: {name}, tenant: {at}}}, spec: {{granted: {amount}}}}}\n"
            for at in ("nanhai", "tax")
            for name, amount in GRANTS.items()
        )
        lab_url = json.loads(lab.stdout.readline())["url"]
        town.zhao.ok("apply", "-f", "-", stdin=POOL.replace("@LAB@", lab_url) + grants)
        town.security.ok("apply", "-f", "-", stdin=RULE)
        town.li.ok("project", "create", "main", "--tenant", "tax", "--name", "一窗受理平台")
        town.li.ok("context", "set", "default", "--tenant", "tax", "--project", "main")
        _until(lambda: town.zhao.ok("host", "list", "-o", "name"))
        yield town
        assert server.stop() == 0
    lab.send_signal(signal.SIGTERM)
    lab.wait(30)
    lab.stdout.close()


def _environment() -> dict[str, str]:
    root = pathlib.Path(__file__).resolve().parents[2]
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root)}


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def masked(text: str) -> str:
    """Output without what differs from run to run: ids, addresses, times, the money of the rest of the year."""
    text = re.sub(r"\b(vm|vol|app|ord|guest)-[0-9a-v]{26,32}\b", r"\1-ID", text)
    text = re.sub(r"\b10\.0\.\d+\.\d+,fd00:[0-9a-f:]+", "ADDRESSES", text)
    text = re.sub(r" +\n", "\n", re.sub(r"  +", "  ", text))
    return re.sub(r"(ENCUMBERS CNY  )\d+\.\d\d", r"\1MONEY", text)


def test_a_machine_is_ordered_shown_stopped_started_and_resized(town: Town) -> None:
    li = town.li
    assert masked(li.ok("vm", "create", "web", "--size", "small", "--image", "openeuler-24.03", "--wait")) == (
        "ORDER  1\nSTATE  delivered\nPROJECT  main\nLINES  create VirtualMachine web\nMONTHLY CNY  244.55\nENCUMBERS CNY  MONEY\nAPPROVAL BY  -\n"
    )
    assert masked(li.ok("vm", "list")) == (
        "NAME  STATE  SIZE  ADDRESSES  POOL  ZONE  TENANT  PROJECT  ID\n"
        "web  running  small  ADDRESSES  gov  az1  tax  main  vm-ID\n"
    )
    assert masked(li.ok("vm", "list", "--lang", "zh")).splitlines()[0] == "名称  状态  规格  地址  资源池  可用区  单位  项目  编号"
    shown = json.loads(li.ok("vm", "show", "web", "-o", "json"))
    assert shown["kind"] == "VirtualMachine" and shown["status"]["addresses"] and shown["status"]["login"]
    for verb, state in (("stop", "stopped"), ("start", "running"), ("restart", "running")):
        li.ok("vm", verb, "web", "--wait")
        assert json.loads(li.ok("vm", "show", "web", "-o", "json"))["status"]["state"] == state
    li.ok("vm", "resize", "web", "--size", "tiny", "--wait")
    assert json.loads(li.ok("vm", "show", "web", "-o", "json"))["spec"]["amounts"]["cpu_milli"] == 1000
    assert li.ok("vm", "list", "-o", "name") == "web\n"
    vm_id = shown["metadata"]["id"]
    assert json.loads(li.ok("vm", "show", vm_id, "-o", "json"))["metadata"]["name"] == "web", "an id is as good as a name"


def test_a_rehearsal_shows_price_quota_and_approvals_and_orders_nothing(town: Town) -> None:
    before = town.li.ok("order", "list", "-o", "name")
    shown = town.li.ok("vm", "create", "big", "--size", "medium", "--image", "openeuler-24.03", "--count", "2", "--dry-run")
    assert re.search(r"MONTHLY CNY +\d+\.\d\d\n", shown) and re.search(r"APPROVAL BY +dear\n", shown)
    assert re.search(r"cpu_milli [\d.]+ vCPU of 16 vCPU", shown)
    assert town.li.ok("order", "list", "-o", "name") == before


def test_what_is_dear_waits_for_another_person(town: Town) -> None:
    li, wang = town.li, town.wang
    asked = li.run(
        "vm", "create", "db", "--size", "medium", "--image", "openeuler-24.03", "--count", "2", "--reason", "上线", "--wait"
    )
    assert asked.returncode == 9 and "waits for approval (dear)" in asked.stderr
    number = li.ok("order", "list", "--state", "waiting_for_approval", "-o", "name").strip()
    assert f"order {number} waits" in wang.ok("inbox", "list", "--unread")
    own = li.run("order", "approve", number)
    assert own.returncode == 5 and "order.own" in own.stderr
    assert li.ok("vm", "list", "-o", "name").split().count("db-1") == 0
    wang.ok("order", "approve", number, "--document-no", "税办〔2026〕7号", "--wait")
    shown = wang.ok("order", "show", number)
    assert "delivered" in shown and "王芳" in shown and "税办〔2026〕7号" in shown
    assert {"db-1", "db-2"} <= set(li.ok("vm", "list", "-o", "name").split())
    again = wang.run("order", "refuse", number, "--reason", "晚了")
    assert again.returncode == 7 and "order.decided" in again.stderr
    refused = li.run("vm", "create", "db3", "--size", "medium", "--image", "openeuler-24.03", "--count", "2")
    assert refused.returncode in (6, 9)


def test_more_than_the_quota_is_exit_6_with_the_numbers(town: Town) -> None:
    done = town.li.run("vm", "create", "huge", "--size", "xlarge", "--image", "openeuler-24.03", "--count", "4")
    lines = done.stderr.splitlines()
    assert done.returncode == 6 and done.stdout == "" and len(lines) == 4
    assert lines[0] == "error: govpool vm create: Quota or budget exceeded (quota.exceeded)"
    assert "asked 64 vCPU" in lines[1] and "of 16 vCPU" in lines[1] and "govpool quota show" in lines[2] and "req-" in lines[3]
    chinese = town.li.run("vm", "create", "huge", "--size", "xlarge", "--image", "openeuler-24.03", "--count", "4", "--lang", "zh")
    assert chinese.stderr.splitlines()[0].startswith("错误：govpool vm create: 超出配额或预算")


def test_deleting_asks_first_and_the_bin_gives_back(town: Town) -> None:
    li = town.li
    li.ok("vm", "create", "gone", "--size", "tiny", "--image", "openeuler-24.03", "--wait")
    asked = li.run("vm", "delete", "gone")
    assert asked.returncode == 2 and "--yes" in asked.stderr and "gone" in li.ok("vm", "list", "-o", "name").split()
    li.ok("vm", "delete", "gone", "--yes", "--wait")
    assert "gone" in li.ok("vm", "list", "--deleted", "-o", "name").split()
    li.ok("vm", "undelete", "gone", "--wait")
    assert "gone" in li.ok("vm", "list", "-o", "name").split()
    li.ok("vm", "create", "kept", "--size", "tiny", "--image", "openeuler-24.03", "--protect", "--wait")
    protected = li.run("vm", "delete", "kept", "--yes")
    assert protected.returncode == 7 and "protected" in protected.stderr


def test_volumes_and_containers_are_ordered_alike(town: Town) -> None:
    li = town.li
    li.ok("volume", "create", "archive", "--size-gib", "40", "--wait")
    assert json.loads(li.ok("volume", "show", "archive", "-o", "json"))["spec"]["amounts"] == {"disk_gib": 40}
    li.ok("volume", "resize", "archive", "--size-gib", "60", "--wait")
    assert json.loads(li.ok("volume", "show", "archive", "-o", "json"))["spec"]["amounts"] == {"disk_gib": 60}
    li.ok("container", "create", "portal", "--size", "tiny", "--image", "nginx-1.26", "--replicas", "2", "--port", "80", "--wait")
    assert json.loads(li.ok("container", "show", "portal", "-o", "json"))["spec"]["amounts"]["pods"] == 2
    li.ok("container", "scale", "portal", "--replicas", "3", "--wait")
    assert json.loads(li.ok("container", "show", "portal", "-o", "json"))["spec"]["amounts"]["pods"] == 3


def test_a_lease_is_ordered_listed_shown_and_extended(town: Town) -> None:
    li = town.li
    today = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=8)).date()
    until, later, soon = (str(today + datetime.timedelta(days=days)) for days in (20, 200, -1))
    li.ok("volume", "create", "exam", "--size-gib", "5", "--until", until, "--wait")
    assert re.search(rf"END +{today + datetime.timedelta(days=21)}T00:00:00\+08:00", li.ok("volume", "show", "exam"))
    assert li.ok("lease", "list", "--within", "30d", "-o", "name") == "exam\n"
    assert li.ok("lease", "list", "--tenant", "tax", "--within", "5d", "-o", "name") == ""
    assert li.ok("lease", "list", "--ended", "-o", "name") == ""
    assert li.ok("resource", "list", "--ending-within", "30d", "-o", "name") == "exam\n"
    past = li.run("lease", "extend", "exam", "--until", soon)
    assert past.returncode == 2 and "is past" in past.stderr and past.stdout == ""
    extended = li.ok("lease", "extend", "exam", "--until", later, "--reason", "延长考试系统", "--wait")
    assert "delivered" in extended
    ends = [f"{today + datetime.timedelta(days=days)}T00:00:00+08:00" for days in (201, 21)]
    assert f"extend Volume exam until {ends[0]} (before {ends[1]})" in extended
    shown = json.loads(li.ok("lease", "show", "exam", "-o", "json"))
    assert (shown["status"]["state"], shown["status"]["days_left"]) == ("running", 201)
    assert shown["status"]["next_notice_at"] < shown["spec"]["end_at"]
    li.ok("lease", "extend", "exam", "--until", "none")
    assert json.loads(li.ok("lease", "show", "exam", "-o", "json"))["status"]["state"] == "open_ended"
    odd = li.run("lease", "list", "--within", "soon")
    assert odd.returncode == 2 and "--within 30d" in odd.stderr
    missing = li.run("lease", "extend", "nothing", "--until", later)
    assert missing.returncode == 3


def test_what_does_not_exist_and_who_is_not_signed_in(town: Town, tmp_path: pathlib.Path) -> None:
    missing = town.li.run("vm", "show", "nothing")
    assert missing.returncode == 3 and "govpool vm list" in missing.stderr
    stranger = Command(tmp_path, town.li.environment["GOVPOOL_SERVER"])
    assert stranger.run("vm", "list").returncode == 4
    assert stranger.run("vm", "list", GOVPOOL_TOKEN="gp_nonsense").returncode == 4
    assert (
        town.wang.run(
            "vm", "create", "x", "--size", "tiny", "--image", "openeuler-24.03", "--tenant", "tax", "--project", "main"
        ).returncode
        == 5
    )


def test_a_project_of_another_tenant_is_found_with_its_tenant(town: Town) -> None:
    lost = town.zhao.run("vm", "list", "--project", "main")
    assert lost.returncode == 3 and "nanhai has no project main" in lost.stderr and "--tenant" in lost.stderr
    assert town.zhao.run("vm", "list", "--project", "main", "--tenant", "tax").returncode == 0


def test_output_in_a_pipe_has_no_escape_codes_and_is_the_same_for_every_form(town: Town) -> None:
    for form in ("table", "json", "yaml", "csv", "name"):
        text = town.li.ok("vm", "list", "-o", form)
        assert "\x1b" not in text and "\r" not in text and text.endswith("\n")
    rows = json.loads(town.li.ok("vm", "list", "-o", "json"))
    assert [row["metadata"]["name"] for row in rows] == town.li.ok("vm", "list", "-o", "name").split()


def test_waiting_ends_with_8_and_ctrl_c_with_130_and_both_say_how_to_go_on(town: Town) -> None:
    order = ["vm", "create", "--size", "tiny", "--image", "openeuler-24.03", "--wait"]
    town.lab.send_signal(signal.SIGSTOP)
    try:
        late = town.li.run(*order, "slow", "--timeout", "1")
        assert late.returncode == 8 and re.search(r"still delivering after 1 s; see: govpool order show \d+ --wait", late.stderr)
        waiting = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *order, "slower"],
            env=town.li.environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        assert waiting.stderr and waiting.stderr.readline() == b"delivering\n"
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(30) == 130 and b"it goes on without you; see: govpool order show" in waiting.stderr.read()
        waiting.stderr.close()
    finally:
        town.lab.send_signal(signal.SIGCONT)
    number = town.li.ok("order", "list", "-o", "name").split()[0]
    town.li.ok("order", "show", number, "--wait")
    assert {"slow", "slower"} <= set(town.li.ok("vm", "list", "-o", "name").split())


def test_the_trail_and_the_bill_speak_of_people_and_machines_by_name(town: Town) -> None:
    town.li.ok(
        "volume", "create", "named", "--size-gib", "5", "--reason", "急用", "--wait"
    )  # other tests of this town use its vCPU
    lines = json.loads(town.wang.ok("audit", "list", "--action", "order.submit", "--actor", "li", "-o", "json"))
    asked = next(line for line in lines if line["reason"] == "急用")
    assert (asked["outcome"], asked["actor_name"], asked["tenant"]) == ("done", "li", "tax")
    assert asked["actor"].startswith("account-"), "what was hashed stays beside it"
    delivered = town.wang.ok("audit", "list", "--action", "resource.deliver")
    assert "named" in delivered.split() and "system" in delivered.split()
    month = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=8)).strftime("%Y-%m")
    bill, end = "", time.monotonic() + 30
    while "named" not in bill.split() and time.monotonic() < end:  # a draft speaks of whole seconds
        bill = town.wang.ok("statement", "show", "tax", "--month", month)
    assert "named" in bill.split() and "vm-0" not in bill
    rows = list(csv.DictReader(io.StringIO(town.wang.ok("statement", "show", "tax", "--month", month, "-o", "csv"))))
    assert rows and all(row["RESOURCE"].partition("-")[0] in ("vm", "vol", "app") for row in rows)


def test_the_trail_of_all_this_verifies_from_its_export(town: Town, tmp_path: pathlib.Path) -> None:
    export = tmp_path / "audit.jsonl"
    refused = town.li.run("audit", "verify")
    assert refused.returncode == 5
    town.li.ok("audit", "export", str(export))
    assert all(json.loads(line)["content"] for line in export.read_text(encoding="utf-8").splitlines())
