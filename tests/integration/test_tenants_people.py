"""People, accounts and roles: what may never come together, and what everyone may see; on both databases."""

import collections
import dataclasses

import hypothesis
import pytest
from hypothesis import strategies

from primitives import errors, ids
from store import database as store_database
from store import installation, transaction
from tenants import model, people, role_table, service, signin, tree
from tests.integration.tenants_world import QUICK, city_and_bureau, code_of, experiment, principal, someone

ADMINISTRATORS = ["system_admin", "security_admin", "audit_admin"]


HISTORY = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["grant", "grant", "grant", "revoke", "disable"]),
        strategies.integers(0, 4),
        strategies.sampled_from([*ADMINISTRATORS, "requester", "operator"]),
        strategies.integers(0, 1),
    ),
    max_size=25,
)


@QUICK
@hypothesis.given(history=HISTORY)
def test_no_person_is_ever_two_of_the_three_administrators(
    database: store_database.Database, history: list[tuple[str, int, str, int]]
) -> None:
    def run(tx: transaction.Transaction) -> None:
        nodes = city_and_bureau(tx)
        zhang, li = people.create_person(tx, "张伟"), people.create_person(tx, "李娜")
        accounts = [people.create_account(tx, f"acct{n}", [zhang, zhang, zhang, li, li][n], nodes[0]) for n in range(5)]
        for verb, who, role, where in history:
            account = people.account(tx, accounts[who].code)
            if verb == "grant":
                code = code_of(people.grant, tx, None, account, model.Role(role), nodes[where])
                assert code in ("", "role.combined", "role.bound", "account.disabled")
            elif verb == "revoke":
                assert code_of(people.revoke, tx, account, model.Role(role), nodes[where]) in (
                    "",
                    "object.unknown",
                    "role.last",
                )
            else:
                assert code_of(people.disable, tx, account) in ("", "account.disabled", "role.last")
            held = collections.Counter(
                row["person_id"]
                for row in tx.execute(transaction.sql("SELECT person_id, role FROM bindings WHERE revoked_at IS NULL"))
                if row["role"] in ADMINISTRATORS
            )
            assert all(count == 1 for count in held.values())

    experiment(database, run)


@pytest.mark.parametrize("second", ADMINISTRATORS)
def test_the_database_itself_refuses_two_administrators_in_one_person(database: store_database.Database, second: str) -> None:
    """Past every rule, with plain SQL and over two accounts."""

    def run(tx: transaction.Transaction) -> None:
        city, _ = city_and_bureau(tx)
        zhang = people.create_person(tx, "张伟")
        for number, role in enumerate(["system_admin", second]):
            account = people.create_account(tx, f"zhang{number}", zhang, city)
            row = {"account": account.id, "person": zhang.id, "role": role, "tenant": city.id, "id": ids.new("binding")}
            tx.execute(
                transaction.sql(
                    "INSERT INTO bindings (id, account_id, person_id, kind, role, tenant_id, granted_by_id, granted_at, revoked_at)"
                    " VALUES (:id, :account, :person, 'person', :role, :tenant, '', 1, NULL)"
                ),
                **row,
            )

    with pytest.raises(Exception, match=r"(?i)unique"):
        database.lane.run(run)


@pytest.mark.parametrize(("kind", "role"), [("service", "audit_admin"), ("person", "audit_admin"), ("person", "emperor")])
def test_the_database_itself_refuses_a_program_as_administrator_and_a_role_that_is_none(
    database: store_database.Database, kind: str, role: str
) -> None:
    """The key over account, person and kind stops a service account that claims to be a person."""

    def run(tx: transaction.Transaction) -> None:
        city, _ = city_and_bureau(tx)
        account = people.create_account(tx, "robot", people.create_person(tx, "王芳"), city, "service")
        tx.execute(
            transaction.sql(
                "INSERT INTO bindings (id, account_id, person_id, kind, role, tenant_id, granted_by_id, granted_at, revoked_at)"
                " VALUES ('b', :account, :person, :kind, :role, :tenant, '', 1, NULL)"
            ),
            account=account.id,
            person=account.person_id,
            kind=kind,
            role=role,
            tenant=city.id,
        )

    with pytest.raises(Exception, match=r"(?i)constraint"):
        database.lane.run(run)


def test_nobody_grants_himself_nor_what_the_table_does_not_allow(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        accounts = {role: someone(tx, f"{role}员", role.replace("_", "-"), city) for role in [*ADMINISTRATORS, "operator"]}
        for role, account in accounts.items():
            people.grant(tx, None, account, model.Role(role), city)
        li = someone(tx, "李娜", "li.na", bureau)
        security, system = principal(tx, accounts["security_admin"]), principal(tx, accounts["system_admin"])
        second = people.create_account(tx, "security-too", people.person(tx, security.person_id), city)
        assert code_of(people.grant, tx, security, second, model.Role.OPERATOR, city) == "role.self"
        for role in model.Role:
            granted = code_of(people.grant, tx, system, li, role, bureau)
            assert granted == ("" if role in ("requester", "viewer") else "role.not_grantable"), role
        for who in (principal(tx, accounts["audit_admin"]), principal(tx, accounts["operator"])):
            assert code_of(people.grant, tx, who, li, model.Role.APPROVER, bureau) == "role.not_grantable"
        people.grant(tx, security, li, model.Role.APPROVER, bureau)
        assert code_of(people.grant, tx, security, li, model.Role.APPROVER, bureau) == "role.bound"

    experiment(database, run)


def test_the_last_administrator_of_a_kind_stays(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, _ = city_and_bureau(tx)
        first = someone(tx, "陈强", "chen", city)
        people.grant(tx, None, first, model.Role.AUDIT_ADMIN, city)
        for ending in (
            lambda: people.revoke(tx, first, model.Role.AUDIT_ADMIN, city),
            lambda: people.remove(tx, first, city),
            lambda: people.disable(tx, first),
        ):
            assert code_of(ending) == "role.last"
        second = someone(tx, "刘洋", "liu", city)
        people.grant(tx, None, second, model.Role.AUDIT_ADMIN, city)
        assert code_of(people.revoke, tx, first, model.Role.AUDIT_ADMIN, city) == ""

    experiment(database, run)


def test_a_service_account_never_holds_more_than_its_owner(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        li = someone(tx, "李娜", "li.na", bureau)
        people.grant(tx, None, li, model.Role.REQUESTER, bureau)
        robot = people.create_account(tx, "exchange-job", people.person(tx, li.person_id), bureau, "service")
        owner = principal(tx, li)
        people.grant(tx, owner, robot, model.Role.REQUESTER, bureau)
        assert code_of(people.grant, tx, None, robot, model.Role.APPROVER, bureau) == "role.service"
        assert code_of(people.grant, tx, None, robot, model.Role.REQUESTER, city) == "role.service"
        assert code_of(people.grant, tx, None, robot, model.Role.SYSTEM_ADMIN, bureau) == "role.service"
        token = signin.issue(tx, robot)
        assert [binding.role for binding in signin.authenticate(tx, token).bindings] == ["requester"]
        people.revoke(tx, li, model.Role.REQUESTER, bureau)
        assert signin.authenticate(tx, token).bindings == (), "who loses a role takes it from his programs"
        assert {account.code for account in people.disable(tx, people.account(tx, "li.na"))} == {"li.na", "exchange-job"}
        assert code_of(signin.authenticate, tx, token) == "token.revoked"

    experiment(database, run)


def test_a_stranger_and_an_unknown_id_get_the_same_answer(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        other = tree.create(tx, tree.NewTenant(code="police", name="公安局", parent=city))
        li = someone(tx, "李娜", "li.na", bureau)
        people.grant(tx, None, li, model.Role.REQUESTER, bureau)
        who = principal(tx, li)
        answers = []
        for tenant_id in (other.id, city.id, ids.new("tenant"), "nonsense"):
            with pytest.raises(errors.GovpoolError) as refusal:
                service.require(tx, who, "show", "vm", tenant_id=tenant_id)
            answers.append((refusal.value.code, refusal.value.text("zh"), refusal.value.mend("en"), refusal.value.values))
        assert all(answer == answers[0] for answer in answers)
        assert answers[0][0] == "object.unknown"

    experiment(database, run)


def test_a_scope_is_what_stands_at_and_below_the_roles_that_allow_it(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        branch = tree.create(tx, tree.NewTenant(code="branch", name="大沥分局", parent=bureau))
        tree.create(tx, tree.NewTenant(code="police", name="公安局", parent=city))
        li = someone(tx, "李娜", "li.na", bureau)
        people.grant(tx, None, li, model.Role.VIEWER, bureau)
        who = principal(tx, li)
        assert set(service.scope(tx, who).tenant_ids) == {bureau.id, branch.id}
        assert service.scope(tx, who, verb="list", kind="vm").tenant_ids == service.scope(tx, who).tenant_ids
        assert service.scope(tx, who, verb="list", kind="person") == model.Scope(tenant_ids=(), everything=False)
        assert [tenant.code for tenant in tree.tenants(tx, service.scope(tx, who))] == ["branch", "tax"]
        people.grant(tx, None, li, model.Role.OPERATOR, city)
        assert service.scope(tx, principal(tx, li)).everything
        tree.move(tx, branch, city)
        people.revoke(tx, li, model.Role.OPERATOR, city)
        assert set(service.scope(tx, principal(tx, li)).tenant_ids) == {bureau.id}, "a move takes a branch out of the scope at once"

    experiment(database, run)


def test_things_of_the_installation_need_a_role_at_its_root(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        li = someone(tx, "李娜", "li.na", bureau)
        people.grant(tx, None, li, model.Role.OPERATOR, bureau)
        who = principal(tx, li)
        assert service.require(tx, who, "list", "pool", tenant_id=None).rule == "operator.pool.list"
        assert code_of(service.require, tx, who, "set", "pool", tenant_id=None) == "role.forbidden"
        people.grant(tx, None, li, model.Role.OPERATOR, city)
        assert service.require(tx, principal(tx, li), "set", "pool", tenant_id=None).tenant_id == city.id
        nobody = someone(tx, "赵敏", "zhao", bureau)
        assert code_of(service.require, tx, principal(tx, nobody), "list", "pool", tenant_id=None) == "role.forbidden"
        assert service.own(principal(tx, nobody), "rotate", "token").rule == "self.token.rotate"

    experiment(database, run)


def test_a_frozen_department_reads_but_changes_nothing_until_operators_free_it(database: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city, bureau = city_and_bureau(tx)
        branch = tree.create(tx, tree.NewTenant(code="branch", name="大沥分局", parent=bureau))
        li, ops = someone(tx, "李娜", "li.na", branch), someone(tx, "周杰", "ops", city)
        people.grant(tx, None, li, model.Role.REQUESTER, branch)
        people.grant(tx, None, ops, model.Role.OPERATOR, city)
        who, operator = principal(tx, li), principal(tx, ops)
        bureau = tree.set_state(tx, bureau, model.State.FROZEN)
        assert code_of(service.require, tx, who, "submit", "order", tenant_id=branch.id) == "tenant.frozen"
        assert service.require(tx, who, "list", "vm", tenant_id=branch.id)
        assert service.require(tx, operator, "delete", "vm", tenant_id=branch.id)
        tree.set_state(tx, bureau, model.State.ACTIVE)
        assert service.require(tx, who, "submit", "order", tenant_id=branch.id)

    experiment(database, run)


WORLDS = strategies.tuples(
    strategies.lists(strategies.integers(0, 5), min_size=1, max_size=7),  # parent of tenant n + 1, modulo
    strategies.lists(strategies.tuples(strategies.sampled_from(list(model.Role)), strategies.integers(0, 7)), max_size=4),
    strategies.sets(strategies.integers(1, 7), max_size=2),  # frozen
    strategies.sampled_from([("show", "vm"), ("submit", "order"), ("set", "grant"), ("read", "audit"), ("list", "person")]),
)


@QUICK
@hypothesis.given(world=WORLDS)
def test_require_and_scope_equal_a_naive_walk_up_the_tree(
    database: store_database.Database,
    world: tuple[list[int], list[tuple[model.Role, int]], set[int], tuple[str, str]],
) -> None:
    wishes, bound, frozen, (verb, kind) = world
    printed = {(line["verb"], line["kind"]): line["roles"].split() for line in role_table.lines()}[verb, kind]

    def run(tx: transaction.Transaction) -> None:
        installation.create(tx)
        nodes = [tree.create(tx, tree.NewTenant(code="root", name="市", parent=None))]
        parents = [-1]
        for number, wish in enumerate(wishes, 1):
            parents.append(wish % number)
            nodes.append(tree.create(tx, tree.NewTenant(code=f"t{number}", name="局", parent=nodes[parents[number]])))
        holdings = [(role, at % len(nodes)) for role, at in bound]
        person = people.create_person(tx, "张伟")
        bindings = tuple(model.Binding(role=role, tenant_id=nodes[at].id) for role, at in holdings)
        who = dataclasses.replace(principal(tx, people.create_account(tx, "zhang", person, nodes[0])), bindings=bindings)
        cold = {number for number in frozen if number < len(nodes)}
        for number in cold:
            tree.set_state(tx, nodes[number], model.State.FROZEN)
        visible = set()
        for asked in range(len(nodes)):
            up, node = {asked}, asked
            while parents[node] >= 0:
                node = parents[node]
                up.add(node)
            roles = {str(role) for role, at in holdings if at in up}
            allowing = roles & set(printed)
            strong = allowing & {"operator", "system_admin", "security_admin", "audit_admin"}
            expected = "object.unknown" if not roles else "role.forbidden" if not allowing else ""
            if not expected and up & cold and verb in ("submit", "set") and not strong:
                expected = "tenant.frozen"
            assert code_of(service.require, tx, who, verb, kind, tenant_id=nodes[asked].id) == expected
            if allowing:
                visible.add(nodes[asked].id)
        scope = service.scope(tx, who, verb=verb, kind=kind)
        assert (visible == {node.id for node in nodes}) if scope.everything else (visible == set(scope.tenant_ids))

    experiment(database, run)
