"""Routes of signing in and out."""

from typing import Annotated, Any

import msgspec

from apiserver import route
from control import case, login


class Code(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A one-use code."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Held(msgspec.Struct, kw_only=True):
    """A role and where it is bound."""

    role: str
    tenant: str
    tenant_name: str


class Who(msgspec.Struct, kw_only=True):
    """Who is signed in."""

    account: str
    kind: str
    person_id: str
    name: str
    tenant: str
    roles: list[Held]
    token_id: str
    token_expires_at: str


class SignedIn(Who, kw_only=True):
    """Who has signed in, with the token, shown once."""

    token: str


class SignedOut(msgspec.Struct, kw_only=True):
    """Who has signed out."""

    account: str


def sign_in(call: route.Call) -> case.OpenCase:
    """Exchange a one-use code for a token."""
    return login.login(call.body.code)


def sign_out(_: route.Call) -> case.UseCase:
    """Revoke the token of this request."""
    return login.logout()


def whoami(tx: Any, call: route.Call) -> Any:
    """The caller, and the roles that count now."""
    return login.whoami(tx, call.who)


ROUTES = [
    route.change("POST", "/v1/login", "token.issue", sign_in, body=Code, answer=SignedIn, open=True),
    route.change("POST", "/v1/logout", "token.logout", sign_out, answer=SignedOut),
    route.read("GET", "/v1/whoami", "account.whoami", whoami, answer=Who),
]
