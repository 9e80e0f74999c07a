"""How a tenant stands among those around it: what it lends and borrows now, and what it could still borrow.  `quotas.borrowing` has the rule."""

from collections.abc import Mapping, Sequence

from quotas import borrowing, incoming, model, records, rules
from store.transaction import Transaction
from tenants import service as tenants


def pools(tx: Transaction, path: Sequence[str]) -> Mapping[str, list[borrowing.Pool]]:
    """name -> the pools that the leaf of `path` stands in, from its parent's up to the root's; [] for the root itself."""
    children = tenants.children_of(tx, path[1:])
    known = records.by_key(tx, sorted({*path, *(child for below in children.values() for child in below)}))
    return {
        name: [
            borrowing.Pool(
                parent=rules.at(known, node, name),
                children=[known[child, name] for child in children[node] if (child, name) in known],
            )
            for node in path[1:]
        ]
        for name in sorted({name for node, name in known if node == path[0]})
    }


def explained(tx: Transaction, tenant_id: str) -> list[model.Explained]:
    """How a tenant stands for every name that it was ever granted, by name, with what follows for it from those around it."""
    path = tenants.path_ids(tx, tenant_id)
    known = records.by_key(tx, [*path, *tenants.children_of(tx, [tenant_id])[tenant_id]])
    coming = bool(incoming.expected(tx))
    found = []
    for name, above in pools(tx, path).items():
        standing = known[tenant_id, name]
        available = rules.available([rules.at(known, node, name) for node in path])
        if coming:
            available = min(available, incoming.left(tx, path, name))
        promised = sum(each.granted for (node, of), each in known.items() if of == name and node not in path)
        found.append(
            model.Explained(
                standing=standing,
                available=available,
                promised=promised,
                lent=borrowing.lent(above, tenant_id),
                borrowable=max(0, available - max(0, standing.subtree_quota - standing.drawn)),
                lenders=borrowing.lenders(above, tenant_id) if standing.borrowed else {},
            )
        )
    return found
