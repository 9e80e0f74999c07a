"""Who may do what: the product's decision beside a naive evaluator that walks the tree by itself and reads the printed table."""

import dataclasses

import hypothesis
import pytest
from hypothesis import strategies

from primitives import errors
from tenants import model, role_table, rules

ROLES = [str(role) for role in model.Role]
PRINTED = {(line["kind"], line["verb"]): set(line["roles"].split()) for line in role_table.lines()}
QUESTIONS = [*sorted(PRINTED), ("vm", "fly"), ("unheard", "list")]
LOOKING = {"list", "show", "read", "export", "verify", "find", "draft", "try", "table", "simulate", "check"}


@dataclasses.dataclass(frozen=True)
class World:
    """parents[i] < i is the parent of tenant i; tenant 0 is the root."""

    parents: list[int]
    states: list[str]
    bindings: list[tuple[str, int]]
    asked: int
    question: tuple[str, str]


@strategies.composite
def worlds(draw: strategies.DrawFn) -> World:
    """A random tree with random states, roles and one question."""
    size = draw(strategies.integers(1, 9))
    parents = [-1] + [draw(strategies.integers(0, node - 1)) for node in range(1, size)]
    nodes = strategies.integers(0, size - 1)
    return World(
        parents=parents,
        states=[draw(strategies.sampled_from(["active", "active", "active", "frozen", "closing", "closed"])) for _ in parents],
        bindings=draw(strategies.lists(strategies.tuples(strategies.sampled_from(ROLES), nodes), max_size=4)),
        asked=draw(nodes),
        question=draw(strategies.sampled_from(QUESTIONS)),
    )


def naive(world: World) -> str:
    """'404', '403', 'frozen' or 'yes', by brute force."""
    above = {world.asked}
    node = world.asked
    while world.parents[node] != -1:
        node = world.parents[node]
        above.add(node)
    roles = [role for role, bound in world.bindings if bound in above]
    if len(roles) == 0:
        return "404"
    allowing = [role for role in roles if role in PRINTED.get(world.question, set())]
    if len(allowing) == 0:
        return "403"
    still = all(world.states[node] == "active" for node in above)
    if still or world.question[1] in LOOKING:
        return "yes"
    mighty = {"operator", "system_admin", "security_admin", "audit_admin"}
    return "yes" if mighty & set(allowing) else "frozen"


def asked(world: World) -> str:
    """The same from the product."""
    path, node = [], world.asked
    while node != -1:
        path.append((f"t{node}", f"code{node}", world.states[node]))
        node = world.parents[node]
    bindings = [model.Binding(role=model.Role(role), tenant_id=f"t{bound}") for role, bound in world.bindings]
    kind, verb = world.question
    try:
        permit = rules.decide(bindings, path, verb, kind)
    except errors.GovpoolError as error:
        return {"object.unknown": "404", "role.forbidden": "403", "tenant.frozen": "frozen"}[error.code]
    assert permit.rule == f"{permit.role}.{kind}.{verb}"
    assert permit.role in PRINTED[world.question]
    assert permit.role in {role for role, _ in world.bindings}
    assert permit.tenant_id == f"t{world.asked}"
    return "yes"


@hypothesis.settings(max_examples=1500, deadline=None)
@hypothesis.given(worlds())
def test_every_decision_equals_the_naive_evaluators(world: World) -> None:
    assert asked(world) == naive(world)


def test_the_naive_evaluator_would_notice_a_role_that_leaks_upward() -> None:
    world = World(parents=[-1, 0], states=["active", "active"], bindings=[("operator", 1)], asked=0, question=("grant", "set"))
    assert naive(world) == asked(world) == "404"


def test_each_line_of_the_table_is_somebodys_and_nobody_may_do_everything() -> None:
    assert all(roles and roles <= set(ROLES) for roles in PRINTED.values())
    assert all(sum(role in roles for roles in PRINTED.values()) < len(PRINTED) for role in ROLES)


@pytest.mark.parametrize(
    ("role", "never"),
    [
        ("requester", ["order.approve", "grant.set", "price.set", "audit.read", "person.list"]),
        ("approver", ["order.submit", "vm.create", "grant.set", "statement.issue"]),
        (
            "operator",
            ["binding.grant", "account.enrol", "tenant.create", "price.set", "statement.issue", "audit.read", "person.show"],
        ),
        ("finance", ["usage.import", "vm.create", "grant.set", "reading.import", "audit.read"]),
        ("viewer", ["person.show", "account.list", "audit.read", "member.list", "binding.list", "vm.create", "grant.set"]),
        (
            "system_admin",
            ["binding.revoke", "audit.read", "statement.issue", "vm.create", "grant.set", "price.set", "order.approve"],
        ),
        (
            "security_admin",
            ["account.enrol", "member.add", "audit.read", "vm.create", "grant.set", "backup.create", "tenant.create"],
        ),
        ("audit_admin", ["binding.grant", "account.enrol", "vm.create", "grant.set", "tenant.freeze", "order.approve"]),
    ],
)
def test_duties_are_separate(role: str, never: list[str]) -> None:
    for pair in never:
        kind, verb = pair.split(".")
        assert role not in PRINTED[(kind, verb)], pair


def test_viewers_and_audit_administrators_change_nothing() -> None:
    changes = {
        pair for pair in PRINTED if pair[1] not in LOOKING and pair not in {("backup", "accept"), ("account", "create_service")}
    }
    assert not {pair for pair in changes if {"viewer", "audit_admin"} & PRINTED[pair]}


def test_a_role_and_a_new_login_never_come_from_one_hand() -> None:
    """Who can print a code for a new account can give it nothing that decides, approves or pays."""
    for role, grantable in role_table.GRANTABLE.items():
        if role in PRINTED[("account", "enrol")] | PRINTED[("member", "add")]:
            assert grantable == {"requester", "viewer"}
