"""The tables of the room.  What must never happen is forbidden here as well as in the rules: three administrators in one
person above all.
"""

from typing import Final

import sqlalchemy as sa

from store import columns

FOREVER_US: Final = 10**16
"""`valid_to_at` of a fact that holds until further notice (the year 2286): one open row per fact is then a UNIQUE constraint."""

_ADMINISTRATORS: Final = "role IN ('system_admin', 'security_admin', 'audit_admin')"

TENANTS: Final = columns.table(
    "tenants",
    columns.text("id", primary_key=True),
    columns.text("code"),
    columns.text("parent_id"),  # the present place, '' at the root; what was is in tenant_facts
    columns.text("name"),
    columns.text("payer_id"),  # no key: a restore loads rows in the order of ids, and a payer may be younger
    columns.text("budget_unit"),
    columns.text("credit_code"),
    columns.integer("protection_level"),
    columns.text("state"),
    columns.integer("generation"),
    columns.integer("created_at"),
    columns.unique("tenants_code_key", "code"),
    columns.check("tenants_protection_level_range", "protection_level BETWEEN 1 AND 4"),
    columns.check("tenants_state_known", "state IN ('active', 'frozen', 'closing', 'closed')"),
    columns.index("tenants_one_root", "parent_id", unique=True, where="parent_id = ''"),
    columns.index("tenants_parent", "parent_id"),
)
columns.forbid(TENANTS, "DELETE")  # a code is never used again

ANCESTORS: Final = columns.table(
    "tenant_ancestors",  # the present tree as pairs, each tenant its own ancestor at distance 0
    columns.text("tenant_id", primary_key=True, references="tenants.id"),
    columns.text("ancestor_id", primary_key=True, references="tenants.id"),
    columns.integer("distance"),
    columns.check("tenant_ancestors_distance_range", "distance BETWEEN 0 AND 7"),
    columns.index("tenant_ancestors_ancestor", "ancestor_id"),
)

FACTS: Final = columns.table(
    "tenant_facts",  # [valid_from_at, valid_to_at)
    columns.text("tenant_id", primary_key=True, references="tenants.id"),
    columns.text("fact", primary_key=True),
    columns.integer("valid_from_at", primary_key=True),
    columns.integer("valid_to_at"),
    columns.text("value"),
    columns.unique("tenant_facts_end_key", "tenant_id", "fact", "valid_to_at"),
    columns.check("tenant_facts_fact_known", "fact IN ('parent', 'name', 'payer')"),
    columns.check("tenant_facts_order", "valid_from_at < valid_to_at"),
    columns.index("tenant_facts_value", "value", where="fact = 'parent'"),
)

PROJECTS: Final = columns.table(
    "projects",
    columns.text("id", primary_key=True),
    columns.text("tenant_id", references="tenants.id"),
    columns.text("code"),
    columns.text("name"),
    columns.integer("generation"),
    columns.integer("created_at"),
    columns.unique("projects_code_key", "tenant_id", "code"),
)

PROJECT_OWNERS: Final = columns.table(
    "project_owners",
    columns.text("project_id", primary_key=True, references="projects.id"),
    columns.integer("valid_from_at", primary_key=True),
    columns.integer("valid_to_at"),
    columns.text("tenant_id", references="tenants.id"),
    columns.unique("project_owners_end_key", "project_id", "valid_to_at"),
    columns.check("project_owners_order", "valid_from_at < valid_to_at"),
)

MERGES: Final = columns.table(
    "tenant_merges",  # asked for by one person, agreed to by another; a tenant that was merged is closed for ever
    columns.text("tenant_id", primary_key=True, references="tenants.id"),
    columns.text("into_id", references="tenants.id"),
    columns.text("terms"),
    columns.text("asked_by"),
    columns.integer("asked_at"),
    columns.text("agreed_by"),
    columns.integer("valid_from_at", null=True),
    columns.integer("merged_at", null=True),
    columns.check("tenant_merges_two_persons", "asked_by <> agreed_by"),
    columns.check("tenant_merges_two_tenants", "tenant_id <> into_id"),
    columns.check("tenant_merges_agreed", "(merged_at IS NULL) = (agreed_by = '')"),
)

PERSONS: Final = columns.table(
    "persons",
    columns.text("id", primary_key=True),
    columns.text("name"),
    columns.text("contact"),
    columns.text("salt"),  # 128 random bits, hex: the trail holds salted commitments of personal data, void when the row is erased
    columns.integer("created_at"),
)

ACCOUNTS: Final = columns.table(
    "accounts",
    columns.text("id", primary_key=True),
    columns.text("code"),
    columns.text("kind"),
    columns.text("person_id", references="persons.id"),
    columns.text("tenant_id", references="tenants.id"),
    columns.integer("disabled_at", null=True),
    columns.integer("generation"),
    columns.integer("created_at"),
    columns.unique("accounts_code_key", "code"),
    columns.unique("accounts_owner_key", "id", "person_id", "kind"),  # the target of the bindings' key
    columns.check("accounts_kind_known", "kind IN ('person', 'service')"),
    columns.index("accounts_person", "person_id"),
    columns.index("accounts_tenant", "tenant_id"),
)
columns.forbid(ACCOUNTS, "DELETE")

BINDINGS: Final = columns.table(
    "bindings",
    columns.text("id", primary_key=True),
    columns.text("account_id"),
    columns.text("person_id"),
    columns.text("kind"),
    columns.text("role"),
    columns.text("tenant_id", references="tenants.id"),
    columns.text("granted_by_id"),  # person; '' for the three of init
    columns.integer("granted_at"),
    columns.integer("revoked_at", null=True),
    sa.ForeignKeyConstraint(
        ["account_id", "person_id", "kind"], ["accounts.id", "accounts.person_id", "accounts.kind"], name="bindings_owner_fkey"
    ),
    columns.check(
        "bindings_role_known",
        f"role IN ('requester', 'approver', 'operator', 'finance', 'viewer') OR {_ADMINISTRATORS}",
    ),
    columns.check("bindings_service_no_administrator", f"kind = 'person' OR NOT {_ADMINISTRATORS}"),
    columns.check("bindings_not_himself", "granted_by_id <> person_id OR kind = 'service'"),
    columns.index("bindings_living", "account_id", "role", "tenant_id", unique=True, where="revoked_at IS NULL"),
    columns.index("bindings_one_administrator", "person_id", unique=True, where=f"revoked_at IS NULL AND {_ADMINISTRATORS}"),
    columns.index("bindings_tenant", "tenant_id"),
)
columns.forbid(BINDINGS, "DELETE")

TOKENS: Final = columns.table(
    "tokens",
    columns.text("id", primary_key=True),
    columns.text("account_id", references="accounts.id"),
    columns.text("hash"),  # hex SHA-256 of the token; 256 random bits need no slow hash
    columns.integer("epoch"),
    columns.integer("created_at"),
    columns.integer("used_at"),
    columns.integer("expires_at"),
    columns.integer("ends_at"),  # renewing never goes beyond
    columns.integer("revoked_at", null=True),
    columns.unique("tokens_hash_key", "hash"),
    columns.check("tokens_life", "created_at < expires_at AND expires_at <= ends_at"),
    columns.index("tokens_account", "account_id"),
)

CODES: Final = columns.table(
    "login_codes",
    columns.text("id", primary_key=True),
    columns.text("account_id", references="accounts.id"),
    columns.text("hash"),
    columns.integer("epoch"),
    columns.integer("created_at"),
    columns.integer("expires_at"),
    columns.integer("used_at", null=True),
    columns.unique("login_codes_hash_key", "hash"),
    columns.index("login_codes_account", "account_id"),
)
