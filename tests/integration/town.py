"""A served town: a `govpool serve` process with its backups, restored at the console, its people signed in over HTTP."""

import contextlib
import csv
import io
import pathlib
from collections.abc import Iterator

from apiclient import client as api
from tests.integration.process import Command, Server, initialised, serving
from tests.integration.tenants_server import City

WORKING = ("--set", "workers=4", "--set", "sweep_s=1", "--set", "lease_s=5", "--set", "log_level=error")
IDLE = ("--set", "workers=0", "--set", "log_level=error")
POOL = """\
{apiVersion: govpool/v1, kind: Pool, metadata: {name: gov}, spec: {name: 市级资源池, driver: lab, driver_settings: {url: "%s", poll_s: 0}}}
"""
GRANT = "---\n{apiVersion: govpool/v1, kind: Grant, metadata: {name: %s, tenant: %s}, spec: {granted: %d}}\n"
PRICES = """\
apiVersion: govpool/v1
kind: PriceBook
metadata: {name: "2026"}
spec:
  valid_from: "2026-01-01T00:00:00+08:00"
  currency: CNY
  prices:
    - {sku: vm-vcpu, kind: VirtualMachine, name: cpu_milli, unit: vCPU-Hours, price: "900"}
    - {sku: vm-ram, kind: VirtualMachine, name: ram_mib, unit: GiB-Hours, price: "300"}
    - {sku: vm-disk, kind: VirtualMachine, name: disk_gib, unit: GiB-Hours, price: "7", states: [running, stopped]}
    - {sku: volume-disk, kind: Volume, name: disk_gib, unit: GiB-Hours, price: "6", states: [running, stopped]}
"""


class Town:
    """A served installation with the folder of its backups, and people who sign in to it again after a restore."""

    def __init__(self, url: str, folder: pathlib.Path) -> None:
        self.url, self.folder = url, folder
        self.backups = folder / "backups"
        self.codes = initialised(folder, "--database", url, "--code", "nanhai")

    @contextlib.contextmanager
    def served(self, *options: str) -> Iterator[City]:
        """A server process; its three administrators signed in with the codes at hand."""
        with serving(self.folder, "--database", self.url, "--set", f"backup_folder={self.backups}", *(options or IDLE)) as server:
            city = City(server.url, None, *(api.Client(server.url) for _ in range(3)))  # type: ignore[arg-type]
            city.system, city.security, city.audit = (
                city.login(self.codes[f"{role}_admin"]) for role in ("system", "security", "audit")
            )
            self.server: Server = server
            try:
                yield city
            finally:
                for client in city.clients:
                    client.close()

    def restore(self, path: pathlib.Path, *options: str) -> None:
        """`govpool restore run` at the console; keeps the new codes."""
        text = Command(self.folder).ok("restore", "run", str(path), "--database", self.url, *options, "--yes", "-o", "csv")
        self.codes = {role: code for _, role, code in list(csv.reader(io.StringIO(text)))[1:]}
