"""What the tests of metering share: a city in which it is 24 November 2026, with departments, an operator and a finance officer."""

import contextlib
import dataclasses
import datetime
import json
from collections.abc import Iterator
from typing import Any

from apiclient import client as api
from primitives import clock
from store import database as store_database
from tests.integration.tenants_server import City, serving

NOW = datetime.datetime(2026, 11, 24, 4, 0, tzinfo=clock.UTC)
BOOK = """\
apiVersion: govpool/v1
kind: PriceBook
metadata: {name: "%s"}
spec:
  valid_from: "%s"
  currency: CNY
  prices:
    - {sku: vm-vcpu, kind: VirtualMachine, name: cpu_milli, unit: vCPU-Hours, price: "0.09"}
    - {sku: vm-ram, kind: VirtualMachine, name: ram_mib, unit: GiB-Hours, price: "0.0437"}
    - {sku: vm-disk, kind: VirtualMachine, name: disk_gib, unit: GiB-Hours, price: "%s", states: [running, stopped]}
"""


@dataclasses.dataclass
class Market:
    """The served city and the people who deal with use and money."""

    city: City
    operator: api.Client
    finance: api.Client
    head: api.Client  # looks after the tax office only

    def prices(self, name: str, valid_from: str, disk: str = "0.0008") -> Any:
        """Make a price book as a document."""
        content = (BOOK % (name, valid_from, disk)).encode()
        return self.finance.post("/v1/apply", raw=content, media="application/yaml")

    def report(self, *events: dict[str, Any], key: str = "") -> Any:
        """Import events."""
        return self.operator.post("/v1/usage-imports", raw=lines(*events), media="application/x-ndjson", key=key)

    def close(self, month: str = "2026-10", key: str = "") -> Any:
        """Close a month."""
        return self.finance.post("/v1/statement-closes", {"month": month}, key=key)

    def issue(self, month: str = "2026-10", tenant: str = "") -> Any:
        """Issue a month."""
        return self.finance.post("/v1/statement-issues", {"month": month, "tenant": tenant})

    def statement(self, tenant: str = "tax", month: str = "2026-10") -> Any:
        """A statement as finance sees it."""
        return self.finance.get(f"/v1/statements/{tenant}/{month}")


@contextlib.contextmanager
def november(step: int = 0) -> Iterator[None]:
    """It is 24 November 2026, and so many `step`s of ten minutes: in no process of a test does the clock run backwards."""
    clock.shift(NOW + datetime.timedelta(minutes=10 * step) - clock.now() + clock.offset())
    try:
        yield
    finally:
        clock.shift(datetime.timedelta(0))


@contextlib.contextmanager
def market(database: store_database.Database) -> Iterator[Market]:
    """南海区 with 税务局, its 稽查分局, and 公安局; each with the project 'window'."""
    with november(), serving(database) as city:
        for code, name, parent in (
            ("tax", "税务局", "nanhai"),
            ("audit-branch", "稽查分局", "tax"),
            ("police", "公安局", "nanhai"),
        ):
            city.department(code, name, parent)
            city.system.post("/v1/projects", {"tenant": code, "code": "window", "name": "一窗受理平台"})
        yield Market(
            city=city,
            operator=city.person("nanhai", "zhou", "周运维", "operator"),
            finance=city.person("nanhai", "qian", "钱会计", "finance"),
            head=city.person("tax", "li.na", "李娜", "viewer"),
        )


def event(number: int, time: str, state: str = "running", **changes: Any) -> dict[str, Any]:
    """An event of vm-1 of the tax office: 4 vCPU, 8 GiB, 100 GiB."""
    made = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "urn:测试采集器",
        "type": "govpool.usage.state",
        "subject": changes.pop("subject", "vm-1"),
        "time": time,
        "sequence": changes.pop("sequence", 0),
        "data": {
            "tenant": "tax",
            "project": "window",
            "kind": "VirtualMachine",
            "state": state,
            "amounts": {"cpu_milli": 4000, "ram_mib": 8192, "disk_gib": 100},
            "dimensions": {"pool": "gov", "zone": "z1", "class": "", "hall": "h1"},
            "labels": {"系统": "一窗通办"},
        },
    }
    made["data"] |= changes
    return made


def lines(*events: dict[str, Any]) -> bytes:
    """A file of events."""
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in events)
