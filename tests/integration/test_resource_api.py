"""Resources over HTTP: who sees which, how one is found, protected, retried and written off; quarantine.  On both databases."""

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from apiclient import client as api
from control import settings
from control.reconciler import engine, sweep
from control.wiring import Wiring
from metering import books
from metering import service as metering
from provisioners import service as provisioners
from quotas import grants
from quotas import model as quotas_model
from store import database as store_database
from store.transaction import Transaction
from tenants import service as tenants
from tests.integration import lab_process, tenants_server
from tests.integration.reconciler_world import GRANT, add_pool, lab_cloud, wait
from tests.integration.tenants_server import City, refused

PRICES = [
    {"sku": f"vm-{name}".lower(), "kind": "VirtualMachine", "name": name, "unit": unit, "price": "0.01"}
    for name, unit in {"cpu_milli": "vCPU-Hours", "ram_mib": "GiB-Hours", "disk_gib": "GiB-Hours"}.items()
]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGovpoolTestKeyGovpoolTestKeyGovpoolTestKey0 a@b"


class Office:
    """A served city with two departments, a pool over a lab cloud, and a guest of the first department."""

    def __init__(self, city: City, lab: lab_process.Lab) -> None:
        self.city, self.lab = city, lab
        self.wiring = Wiring(city.database, settings.Settings())
        for code, name in (("tax", "税务局"), ("credit", "征信中心")):
            city.department(code, name)
        self.requester = city.person("tax", "tax.req", "申请人", "requester")
        self.stranger = city.person("credit", "credit.req", "外单位", "requester")
        self.operator = city.person("nanhai", "ops", "运维", "operator")
        city.database.lane.run(self._equip)
        self.operator.post("/v1/projects", {"tenant": "tax", "code": "service", "name": "一窗受理"})
        self.sweeper = sweep.Sweeper(self.wiring, every_s=0)
        self.sweeper.sweep_all()
        spec = {"name": "web", "size": "tiny", "image": "debian-12", "key": KEY}
        (line,) = self.order({"action": "create", "kind": "VirtualMachine", "spec": spec})
        self.id = line["resource"]
        self.work()

    def order(self, line: dict[str, Any]) -> list[dict[str, Any]]:
        """Order one line; the lines that it came to."""
        order = self.requester.post("/v1/orders", {"tenant": "tax", "project": "service", "lines": [line]})
        lines: list[dict[str, Any]] = order["spec"]["lines"]
        return lines

    def work(self) -> None:
        """Let a reconciler work until nothing is due."""
        reconciler = engine.Reconciler(self.wiring, threads=2, lease_s=5)
        reconciler.start()
        try:
            wait(lambda: all(row["status"]["state"] not in ("creating", "changing", "releasing") for row in self.rows()))
        finally:
            reconciler.stop()

    def rows(self) -> list[dict[str, Any]]:
        """All resources, as the operator sees them."""
        return list(self.operator.pages("/v1/resources"))

    def _equip(self, tx: Transaction) -> None:
        for name, amount in GRANT.items():
            for code in ("nanhai", "tax", "credit"):
                tenant = tenants.by_code(tx, code)
                grants.set_grant(tx, tenant_id=tenant.id, name=name, grant=quotas_model.Grant(granted=amount))
        prices = [books.PriceSpec(**price) for price in PRICES]  # type: ignore[arg-type]
        metering.set_price_book(tx, "2026", books.BookSpec(valid_from="2026-01-01T00:00:00+08:00", currency="CNY", prices=prices))
        add_pool(tx, {"url": self.lab.url, "poll_s": 0, "call_s": 5, "late_s": 2})


@pytest.fixture
def office(database: store_database.Database, tmp_path: pathlib.Path) -> Iterator[Office]:
    """See the class."""
    with lab_cloud(tmp_path) as lab, tenants_server.serving(database) as city:
        yield Office(city, lab)


def path(resource_id: str, more: str = "") -> str:
    """The path of a resource."""
    return api.path("/v1/resources/{}", resource_id) + more


def test_its_department_sees_a_guest_with_addresses_and_how_to_log_in(office: Office) -> None:
    (row,) = office.requester.pages("/v1/resources", tenant="tax", project="service", kind="VirtualMachine")
    guest = office.lab.guests(office.id)[0]
    assert (row["metadata"]["name"], row["status"]["state"]) == ("web", "running")
    assert row["status"]["addresses"] == guest["addresses"]
    assert row["status"]["login"] == f"ssh debian@{guest['addresses'][0]}"
    shown = office.requester.get(path(office.id))
    assert KEY not in str(shown)
    assert "attempts" not in shown["status"]
    assert [one["verb"] for one in office.operator.get(path(office.id))["status"]["attempts"]] == ["advance", "advance", "advance"][
        :2
    ]


def test_a_stranger_gets_the_same_answer_as_for_what_does_not_exist(office: Office) -> None:
    unknown = "vm-" + "0" * 26
    assert refused(office.stranger.get, path(office.id)) == refused(office.stranger.get, path(unknown)) == (404, "resource.unknown")
    assert refused(office.stranger.patch, path(office.id), {"protected": True}) == (404, "resource.unknown")
    assert refused(office.stranger.post, path(office.id, "/retry"), {}) == (404, "resource.unknown")
    assert list(office.stranger.pages("/v1/resources")) == []
    assert refused(office.stranger.get, "/v1/resources", tenant="tax")[0] == 404


def test_an_operator_finds_a_resource_by_name_address_and_id_and_a_department_only_its_own_things(office: Office) -> None:
    address = office.lab.guests(office.id)[0]["addresses"][0]
    for text in ("web", address, office.id):
        assert [row["metadata"]["id"] for row in office.operator.get("/v1/resource-finds", text=text)["items"]] == [office.id]
        assert office.stranger.get("/v1/resource-finds", text=text)["items"] == []
    assert office.operator.get("/v1/resource-finds", text="10.255.255.1")["items"] == []


def test_a_protected_guest_is_not_deleted_and_labels_are_replaced(office: Office) -> None:
    row = office.requester.patch(path(office.id), {"protected": True, "labels": {"系统": "一窗受理"}})
    assert (row["spec"]["protected"], row["metadata"]["labels"]) == (True, {"系统": "一窗受理"})
    line = {"action": "delete", "kind": "VirtualMachine", "resource": office.id}
    assert refused(office.order, line) == (409, "resource.protected")
    office.requester.patch(path(office.id), {"protected": False})
    office.order(line)
    office.work()
    (row,) = office.requester.pages("/v1/resources", deleted=True)
    assert row["status"]["state"] == "bin"
    office.order({"action": "undelete", "kind": "VirtualMachine", "resource": office.id})
    office.work()
    assert list(office.requester.pages("/v1/resources", deleted=True)) == []


def test_only_what_has_work_left_can_be_retried_and_only_by_an_operator(office: Office) -> None:
    assert refused(office.requester.post, path(office.id, "/retry"), {})[0] == 403
    assert refused(office.operator.post, path(office.id, "/retry"), {}) == (409, "resource.not_stuck")
    office.lab.call("DELETE", f"/lab/guests/{office.lab.guests(office.id)[0]['id']}")
    office.sweeper.sweep_all()
    reconciler = engine.Reconciler(office.wiring, threads=2, lease_s=5)
    reconciler.start()
    wait(lambda: office.rows()[0]["status"]["state"] == "lost")
    reconciler.stop()
    (row,) = office.operator.pages("/v1/resources", stuck=True)
    assert row["status"]["conditions"][0]["code"] == "cloud.vanished"
    assert office.operator.post(path(office.id, "/retry"), {})["status"]["state"] == "lost"


def test_two_persons_write_a_resource_off(office: Office) -> None:
    office.lab.stop()
    office.order({"action": "delete", "kind": "VirtualMachine", "resource": office.id, "spec": {"purge": True}})
    body = {"reason": "机房已拆除"}
    assert refused(office.requester.post, path(office.id, "/write-off"), body)[0] == 403
    assert office.operator.post(path(office.id, "/write-off"), body)["status"]["state"] == "releasing"
    assert refused(office.operator.post, path(office.id, "/write-off"), body) == (409, "write_off.second_person")
    assert office.city.system.post(path(office.id, "/write-off"), body)["status"]["state"] == "written_off"
    assert office.rows() == []
    assert [row["metadata"]["id"] for row in office.operator.pages("/v1/resources", ended=True)] == [office.id]


def test_quarantine_is_for_operators_and_foreign_things_are_never_deleted(office: Office) -> None:
    assert refused(office.requester.get, "/v1/quarantine")[0] in (403, 404)
    guest = office.lab.call("POST", "/lab/guests", {"name": "老系统"})
    office.sweeper.sweep_all()
    assert list(office.operator.pages("/v1/quarantine")) == []
    (item,) = office.operator.pages("/v1/quarantine", origin="foreign")
    assert item["id"] == guest["id"]
    item_path = api.path("/v1/quarantine/{}/", guest["id"])
    assert refused(office.operator.post, item_path + "delete", {}) == (409, "quarantine.foreign")
    assert office.operator.post(item_path + "release", {})["decision"] == "release"
    assert refused(office.operator.post, "/v1/quarantine/guest-0/delete", {}) == (404, "quarantine.unknown")


def test_lists_refuse_what_they_do_not_know_and_go_on_behind_their_cursor(office: Office) -> None:
    assert refused(office.requester.get, "/v1/resources", state="heaven") == (400, "input.invalid")
    assert refused(office.requester.get, "/v1/resources", kind="Castle") == (400, "input.invalid")
    assert refused(office.requester.get, "/v1/resources", project="service") == (400, "input.invalid")
    office.order(
        {"action": "create", "kind": "VirtualMachine", "spec": {"name": "more", "size": "tiny", "image": "debian-12", "count": 4}}
    )
    assert len(list(office.requester.pages("/v1/resources", limit=2))) == 5
    work = office.wiring.database.read(provisioners.counts)
    assert work["creating"] == 4
