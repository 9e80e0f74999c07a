"""Names that people know for the ids that records keep: login names, resource names, tenant codes.  For lists only; what is hashed keeps ids."""

from collections.abc import Iterable, Mapping
from typing import Final

from provisioners import service as provisioners
from store.transaction import Transaction
from tenants import people
from tenants import service as tenants

_RESOURCES: Final = ("vm-", "vol-", "app-")


def named(tx: Transaction, wanted: Iterable[str]) -> Mapping[str, str]:
    """Name by id; what has no name (system, an order, a resource whose use was imported) is left out."""
    found = sorted(set(wanted))
    accounts = [one for one in found if one.startswith("account-")]
    nodes = [one for one in found if one.startswith("tenant-")]
    return {
        **people.account_codes(tx, accounts),
        **{one: tenant.code for one, tenant in tenants.by_ids(tx, nodes).items()},
        **resources(tx, found),
    }


def resources(tx: Transaction, wanted: Iterable[str]) -> Mapping[str, str]:
    """Name by id of the resources among `wanted`."""
    ids = sorted({one for one in wanted if one.startswith(_RESOURCES)})
    return {one: resource.name for one, resource in provisioners.get_many(tx, ids).items()} if ids else {}
