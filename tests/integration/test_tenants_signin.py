"""Codes and tokens: their life, their end, and that nothing stored gives them away; on both databases."""

import datetime
import functools
from typing import Any

import pytest

from primitives import clock
from store import database as store_database
from store import installation, transaction
from tenants import model, people, secret, service, signin
from tests.integration.tenants_world import city_and_bureau, code_of, experiment


@pytest.fixture
def clock_back() -> Any:
    """Set the clock right after a test that moved it."""
    yield
    clock.shift(datetime.timedelta(0))


def signed_in(database: store_database.Database, kind: str = "person") -> tuple[model.Account, str]:
    """An account of a department with a token."""

    def run(tx: transaction.Transaction) -> tuple[model.Account, str]:
        _, bureau = city_and_bureau(tx)
        account = people.create_account(tx, "wang.fang", people.create_person(tx, "王芳"), bureau, kind)
        token, _ = signin.login(tx, signin.new_code(tx, account))
        return account, token

    return database.lane.run(run)


def check(database: store_database.Database, token: str) -> str:
    """'' or why the token is refused, on a read-only snapshot as the server does it."""
    return code_of(database.read, lambda tx: service.authenticate(tx, token))


def test_a_code_works_once_and_for_a_day(database: store_database.Database, clock_back: None) -> None:
    account, _ = signed_in(database)
    code = database.lane.run(lambda tx: signin.new_code(tx, account))
    database.lane.run(lambda tx: signin.login(tx, code))
    assert code_of(database.lane.run, lambda tx: signin.login(tx, code)) == "login.code"
    late = database.lane.run(lambda tx: signin.new_code(tx, account))
    clock.shift(datetime.timedelta(hours=24, seconds=1))
    assert code_of(database.lane.run, lambda tx: signin.login(tx, late)) == "login.code"
    assert code_of(database.lane.run, lambda tx: signin.login(tx, secret.new(secret.CODE))) == "login.code"


def test_an_unused_token_dies_after_twelve_hours_and_a_used_one_after_thirty_days(
    database: store_database.Database, clock_back: None
) -> None:
    _, token = signed_in(database)
    hours = 0
    while not check(database, token):
        who = database.read(lambda tx: service.authenticate(tx, token))
        assert who.needs_renewal == (hours > 0)
        if who.needs_renewal:
            database.lane.run(functools.partial(service.renew, who=who))
        hours += 11
        clock.shift(datetime.timedelta(hours=hours))
    assert 30 * 24 <= hours <= 30 * 24 + 11
    assert check(database, token) == "token.expired"


def test_an_idle_token_dies_and_renewing_does_not_revive_it(database: store_database.Database, clock_back: None) -> None:
    _, token = signed_in(database)
    who = database.read(lambda tx: service.authenticate(tx, token))
    clock.shift(datetime.timedelta(hours=12, seconds=1))
    assert check(database, token) == "token.expired"
    database.lane.run(lambda tx: service.renew(tx, who))
    assert check(database, token) == "token.expired"


def test_a_nightly_job_needs_no_human_for_thirty_days(database: store_database.Database, clock_back: None) -> None:
    _, token = signed_in(database, "service")
    clock.shift(datetime.timedelta(days=29))
    assert check(database, token) == ""
    clock.shift(datetime.timedelta(days=30, seconds=1))
    assert check(database, token) == "token.expired"


def test_the_old_token_outlives_its_rotation_by_ten_minutes_only(database: store_database.Database, clock_back: None) -> None:
    _, old = signed_in(database)
    who = database.read(lambda tx: service.authenticate(tx, old))
    new, _ = database.lane.run(lambda tx: signin.rotate(tx, who))
    assert check(database, old) == check(database, new) == ""
    database.lane.run(lambda tx: service.renew(tx, who))
    clock.shift(datetime.timedelta(minutes=10, seconds=2))
    assert check(database, old) == "token.expired"
    assert check(database, new) == ""


def test_a_revoked_token_is_refused_at_once_and_an_enrolment_voids_the_others(database: store_database.Database) -> None:
    account, token = signed_in(database)
    other = database.lane.run(lambda tx: signin.issue(tx, account))
    who = database.read(lambda tx: service.authenticate(tx, token))
    database.lane.run(lambda tx: people.revoke_token(tx, who.token_id))
    assert check(database, token) == "token.revoked"
    assert check(database, other) == ""
    database.lane.run(lambda tx: signin.enrol(tx, account))
    assert check(database, other) == "token.revoked"


def test_a_restore_voids_every_token_and_code(database: store_database.Database) -> None:
    account, token = signed_in(database)
    code = database.lane.run(lambda tx: signin.new_code(tx, account))
    database.lane.run(installation.raise_epoch)
    assert check(database, token) == "token.revoked"
    assert code_of(database.lane.run, lambda tx: signin.login(tx, code)) == "login.code"
    fresh = database.lane.run(lambda tx: signin.enrol(tx, account, at_console=True))
    assert database.lane.run(lambda tx: signin.login(tx, fresh))


def test_an_administrator_is_enrolled_only_at_the_console(database: store_database.Database) -> None:
    account, _ = signed_in(database)

    def run(tx: transaction.Transaction) -> None:
        people.grant(tx, None, account, model.Role.AUDIT_ADMIN, service.root(tx))
        assert code_of(signin.enrol, tx, account) == "account.administrator"
        assert signin.enrol(tx, account, at_console=True)

    experiment(database, run)


def test_no_secret_lies_in_the_database(database: store_database.Database) -> None:
    account, token = signed_in(database)
    code = database.lane.run(lambda tx: signin.new_code(tx, account))
    stored = database.read(
        lambda tx: str([tx.execute(transaction.sql(f"SELECT * FROM {table}")) for table in ("tokens", "login_codes", "accounts")])
    )
    for text in (token, code):
        assert text not in stored
        assert text[4:30] not in stored
        assert secret.digest(text) in stored


def test_an_unknown_token_is_refused_whatever_it_looks_like(database: store_database.Database) -> None:
    for text in ("", "gp_", "x" * 10_000, "令牌", "gp_' OR 1=1 --", secret.new(secret.TOKEN), secret.new(secret.CODE), "\x00"):
        assert check(database, text) == "token.unknown"
