"""Room `tenants` (row 4): the tree of authorities and departments, their projects, people, accounts, roles and tokens."""
