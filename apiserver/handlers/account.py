"""Routes of accounts, service accounts and tokens."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import account, case, token
from tenants import model

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class AccountQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[str, msgspec.Meta(max_length=63, description="only those at home there and below")] = ""


class TokenQuery(page.Query, kw_only=True):
    """Whose tokens; empty: the caller's own."""

    account: Annotated[str, msgspec.Meta(max_length=63)] = ""


class NewService(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An account for a program of the caller."""

    account: Code
    tenant: Code
    roles: Annotated[list[model.Role], msgspec.Meta(max_length=8, description="of the caller's own roles there")] = []


class Account(msgspec.Struct, kw_only=True):
    """An account; `roles` only where one is shown."""

    account: str
    kind: str
    person_id: str
    name: str
    tenant: str
    state: str
    generation: int
    roles: list[dict[str, str]] = []


class Enrolled(msgspec.Struct, kw_only=True):
    """The one-use code of an account, shown once."""

    account: str
    code: str
    code_expires_at: str


class ServiceMade(msgspec.Struct, kw_only=True):
    """The token of a service account, shown once."""

    account: str
    tenant: str
    roles: list[str]
    token: str


class Disabled(msgspec.Struct, kw_only=True):
    """What ended."""

    account: str
    disabled: list[str]


class Token(msgspec.Struct, kw_only=True):
    """A token without its secret; `used_at` is known to the hour."""

    id: str
    account: str
    state: str
    current: bool
    created_at: str
    used_at: str
    expires_at: str


class Rotated(msgspec.Struct, kw_only=True):
    """The new token, shown once."""

    token: str
    account: str
    old_token_ends_at: str


class Revoked(msgspec.Struct, kw_only=True):
    """The token that ended."""

    id: str
    account: str
    state: str


def list_accounts(tx: Any, call: route.Call) -> Any:
    """Accounts that the caller may list, and his own."""
    return page.whole(account.list_accounts(tx, call.who, tenant=call.query.tenant), call, lambda row: [row["account"]])


def show_account(tx: Any, call: route.Call) -> Any:
    """One account with its roles."""
    return account.show_account(tx, call.who, call.path["account"])


def enrol_account(call: route.Call) -> case.UseCase:
    """A fresh one-use code; everything that was signed in with the account is void."""
    return account.enrol_account(call.path["account"])


def disable_account(call: route.Call) -> case.UseCase:
    """End an account for good."""
    return account.disable_account(call.path["account"])


def create_service(call: route.Call) -> case.UseCase:
    """Make a service account; the answer shows its token once."""
    return account.create_service(call.body.account, call.body.tenant, call.body.roles)


def list_tokens(tx: Any, call: route.Call) -> Any:
    """Tokens of the caller, or of an account."""
    return page.whole(token.list_tokens(tx, call.who, account=call.query.account), call, lambda row: [row["id"]])


def rotate_token(_: route.Call) -> case.UseCase:
    """A new token for the one that asks."""
    return token.rotate_token()


def revoke_token(call: route.Call) -> case.UseCase:
    """Revoke a token at once."""
    return token.revoke_token(call.path["token"])


ROUTES = [
    route.read("GET", "/v1/accounts", "account.list", list_accounts, query=AccountQuery, answer=page.Page[Account]),
    route.read("GET", "/v1/accounts/{account}", "account.show", show_account, answer=Account),
    route.change("POST", "/v1/accounts/{account}/enrol", "account.enrol", enrol_account, answer=Enrolled),
    route.change("POST", "/v1/accounts/{account}/disable", "account.disable", disable_account, answer=Disabled),
    route.change(
        "POST", "/v1/service-accounts", "account.create_service", create_service, body=NewService, answer=ServiceMade, status=201
    ),
    route.read("GET", "/v1/tokens", "token.list", list_tokens, query=TokenQuery, answer=page.Page[Token]),
    route.change("POST", "/v1/tokens/rotate", "token.rotate", rotate_token, answer=Rotated, status=201),
    route.change("DELETE", "/v1/tokens/{token}", "token.revoke", revoke_token, answer=Revoked),
]
