"""A city of any size for `make bench-quota`: bureaus and departments as rows, each with all six grants, so that 100,000 stand in seconds."""

from typing import Any, Final

from control import init, schema
from primitives import clock, ids
from quotas import tables as quotas_tables
from store import database as store_database
from store.transaction import Transaction
from tenants import service as tenants
from tenants import tables

NAMES: Final = ("cpu_milli", "ram_mib", "disk_gib", "instances", "public_ips", "gpus")
ENOUGH: Final = 10**12
BUREAUS: Final = 10
AT_ONCE: Final = 5_000


def plant(url: str, departments: int, *, bureaus: int = BUREAUS) -> list[str]:
    """Make the schema, a city, its bureaus and departments in an empty database; the ids of the departments."""
    schema.upgrade(url)
    opened = store_database.open_database(url)
    try:
        init.initialise(opened, code="city", name="清河市")
        city = opened.read(tenants.root)
        opened.lane.run(lambda tx: tx.later(quotas_tables.GRANTS, *_grants(city.id)))
        above = [_node(f"b{n}", city.id, [city.id]) for n in range(bureaus)]
        below = [_node(f"d{n}", above[n % bureaus][0], [above[n % bureaus][0], city.id]) for n in range(departments)]
        for some in [above, *(below[first : first + AT_ONCE] for first in range(0, departments, AT_ONCE))]:
            opened.lane.run(lambda tx, some=some: _insert(tx, some))  # type: ignore[misc]
        if opened.dialect == "postgresql":
            connection = store_database.connect(url)
            connection.rows("ANALYZE", None)
            connection.close()
    finally:
        opened.close()
    return [node[0] for node in below]


_Node = tuple[str, str, str, list[str]]
"""Id, code, parent, ancestors from the parent to the root."""


def _node(code: str, parent_id: str, above: list[str]) -> _Node:
    return ids.new("tenant"), code, parent_id, above


def _insert(tx: Transaction, nodes: list[_Node]) -> None:
    now = clock.to_us(tx.now())
    for tenant_id, code, parent_id, above in nodes:
        tx.later(
            tables.TENANTS,
            {
                "id": tenant_id,
                "code": code,
                "parent_id": parent_id,
                "name": f"单位{code}",
                "payer_id": tenant_id,
                "budget_unit": "",
                "credit_code": "",
                "protection_level": 2,
                "state": "active",
                "generation": 1,
                "created_at": now,
            },
        )
        pairs = [tenant_id, *above]
        tx.later(tables.ANCESTORS, *[{"tenant_id": tenant_id, "ancestor_id": node, "distance": n} for n, node in enumerate(pairs)])
        facts = {"parent": parent_id, "name": f"单位{code}", "payer": tenant_id}
        ends = {"tenant_id": tenant_id, "valid_from_at": now, "valid_to_at": tables.FOREVER_US}
        tx.later(tables.FACTS, *[{**ends, "fact": fact, "value": value} for fact, value in facts.items()])
        tx.later(quotas_tables.GRANTS, *_grants(tenant_id))


def _grants(tenant_id: str) -> list[dict[str, Any]]:
    return [
        {
            "tenant_id": tenant_id,
            "name": name,
            "granted": ENOUGH,
            "lending_limit": None,
            "borrowing_limit": 0,
            "subtree_quota": ENOUGH,
            "local_quota": 0,
            "drawn": 0,
            "over_by": 0,
            "generation": 1,
        }
        for name in NAMES
    ]
