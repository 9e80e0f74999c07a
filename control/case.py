"""One mutating request from token to durable answer, in one transaction on the lane.

token -> principal -> `permit` -> a stored answer for the key? -> `effect` -> audit line -> stored answer.  Every door (API, apply, jobs of persons)
comes through here, so permission, audit and idempotency can never be passed by.  A refusal is audited in a savepoint of its own; a request without
a valid principal is counted, not chained.
"""

import concurrent.futures
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from audit import model as audit_model
from audit import service as audit
from primitives import errors
from store import database as store_database
from store import idempotency, lane, text
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants


class Wired(Protocol):
    """What running a use case needs of the wiring."""

    @property
    def database(self) -> store_database.Database:
        """The open database."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What came with the request beside its body."""

    request_id: str
    method: str
    path: str
    token: str = ""
    idempotency_key: str = ""
    if_match: int | None = None  # the generation the caller has seen
    lang: str = "en"
    source: str = ""
    reason: str = ""
    request_hash: str = ""

    def part(self, name: str) -> "Context":
        """The context of one step of a longer work: the same request under a key of its own, so that the step can be resumed."""
        return dataclasses.replace(self, idempotency_key=f"{self.idempotency_key}/{name}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a use case gives back, with the facts that its audit line needs."""

    status: int = 200
    body: Any = None  # JSON-able builtins
    kind: str = ""
    object_id: str = ""
    generation: int | None = None
    tenant_id: str = ""
    before: Any = None  # JSON-able, hashed into the trail
    after: Any = None
    facts: dict[str, str] = dataclasses.field(default_factory=dict)
    secret: bool = False  # the body is shown once and never stored
    actor: str = ""  # account id, where the principal comes out of the effect (login)
    replayed: bool = False
    parts: Sequence[audit_model.Line] = ()  # lines of changes that this one is made of; each is written before its own


Permit = Callable[[Transaction, tenants_model.Principal], tenants_model.Permit]
Effect = Callable[[Transaction, tenants_model.Principal, tenants_model.Permit], Answer]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """One change as its room of `control` describes it.  `effect` raises a fault to refuse; everything is then rolled back."""

    action: str  # '<kind>.<verb>'
    permit: Permit
    effect: Effect
    dry_run: bool = False  # do everything, answer, and roll back
    permit_again: Callable[[Transaction, tenants_model.Principal], None] | None = None  # what `permit` left to the effect to ask


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    """A change for which nobody is signed in yet: login with a one-use code.  The effect names the account in `Answer.actor`."""

    action: str
    effect: Callable[[Transaction], Answer]


def with_body(context: Context, raw: bytes) -> Context:
    """The context with the hash that idempotency compares: body and If-Match."""
    return dataclasses.replace(context, request_hash=hashlib.sha256(raw + b"\x00" + str(context.if_match).encode()).hexdigest())


def who(tx: Transaction, context: Context) -> tenants_model.Principal:
    """Who asks.  Raises token.unknown, token.expired, token.revoked."""
    return tenants.authenticate(tx, context.token)


def perform(wiring: Wired, use_case: UseCase | OpenCase, context: Context) -> Answer:
    """Run a use case on the lane and wait for its durable commit."""
    return submit(wiring, use_case, context).result()


def submit(wiring: Wired, use_case: UseCase | OpenCase, context: Context) -> "concurrent.futures.Future[Answer]":
    """Queue a use case on the lane; the future ends after the durable commit."""
    run = _Run(use_case, context)
    return wiring.database.lane.submit(run.carry_out, run.record_refusal)


def together(action: str, parts: Sequence[UseCase], answer: Callable[[list[Answer]], Answer], *, dry_run: bool = False) -> UseCase:
    """Several changes as one, all or nothing, each checked for its own right in its turn and with its own audit line.

    A later part may need what an earlier one made, so rights are asked in order.  Raises the first part's fault.
    """

    def effect(tx: Transaction, principal: tenants_model.Principal, permit: tenants_model.Permit) -> Answer:
        answers: list[Answer] = []
        lines: list[audit_model.Line] = []
        for part in parts:
            allowed = part.permit(tx, principal)
            made = part.effect(tx, principal, allowed)
            lines += [*made.parts, _line(part.action, made, principal, allowed)]
            answers.append(made)
        return dataclasses.replace(answer(answers), parts=lines)

    def permit_again(tx: Transaction, principal: tenants_model.Principal) -> None:
        for part in parts:
            part.permit(tx, principal)

    return UseCase(action=action, permit=_anyone, effect=effect, dry_run=dry_run, permit_again=permit_again)


def _anyone(tx: Transaction, principal: tenants_model.Principal) -> tenants_model.Permit:
    return tenants_model.Permit(role="self", rule="each part for itself", tenant_id=principal.tenant_id)


class _Run:
    """One passage of one use case; remembers who asked, for the line of a refusal."""

    def __init__(self, use_case: UseCase | OpenCase, context: Context) -> None:
        self.use_case = use_case
        self.context = context
        self.principal: tenants_model.Principal | None = None
        self.permit: tenants_model.Permit | None = None

    def carry_out(self, tx: Transaction) -> Answer:
        self.principal = self.permit = None
        if isinstance(self.use_case, OpenCase):
            answer = self.use_case.effect(tx)
            audit.append(tx, self._signed(_line(self.use_case.action, answer, None, None)))
            return answer
        return self._carry_out_for(tx, self.use_case)

    def _carry_out_for(self, tx: Transaction, use_case: UseCase) -> Answer:
        self.principal = principal = who(tx, self.context)
        self.permit = permit = use_case.permit(tx, principal)
        request = self._request(principal)
        stored = None if use_case.dry_run else idempotency.recall(tx, request)
        if stored is not None:
            if use_case.permit_again is not None:
                use_case.permit_again(tx, principal)
            generation = None if stored.etag is None else int(stored.etag)
            return Answer(status=stored.status, body=stored.body, generation=generation, replayed=True)
        answer = use_case.effect(tx, principal, permit)
        if use_case.dry_run:
            raise lane.RehearsedError(answer)
        if principal.needs_renewal:
            tenants.renew(tx, principal)
        for part in answer.parts:
            audit.append(tx, self._signed(part))
        said = text.of(answer.body) if answer.body is not None and answer.body is answer.after else None
        audit.append(tx, _line(use_case.action, answer, principal, permit, context=self.context, said=said))
        etag = None if answer.generation is None else str(answer.generation)
        idempotency.keep(tx, request, idempotency.Stored(answer.status, answer.body, etag), secret=answer.secret, said=said)
        return answer

    def record_refusal(self, tx: Transaction, error: BaseException) -> None:
        if self.principal is None:
            return
        known = isinstance(error, errors.GovpoolError)
        rehearsed = isinstance(self.use_case, UseCase) and self.use_case.dry_run
        permit = self.permit
        line = audit_model.Line(
            actor=self.principal.account_id,
            on_behalf_of=self.principal.person_id,
            action=self.use_case.action,
            outcome=audit_model.Outcome.REFUSED if known else audit_model.Outcome.FAILED,
            code=error.code if isinstance(error, errors.GovpoolError) else errors.INTERNAL.code,
            role=permit.role if permit else "",
            rule=permit.rule if permit else "",
            tenant_id=permit.tenant_id if permit else "",
            facts={"dry_run": "true"} if rehearsed else {},
        )
        audit.append(tx, self._signed(line))

    def _request(self, principal: tenants_model.Principal) -> idempotency.Request:
        context = self.context
        return idempotency.Request(
            principal.account_id, context.method, context.path, context.idempotency_key, context.request_hash
        )

    def _signed(self, line: audit_model.Line) -> audit_model.Line:
        context = self.context
        return dataclasses.replace(
            line,
            request_id=context.request_id,
            idempotency_key=context.idempotency_key,
            source=context.source,
            reason=line.reason or context.reason,
        )


def _line(
    action: str,
    answer: Answer,
    principal: tenants_model.Principal | None,
    permit: tenants_model.Permit | None,
    *,
    context: Context | None = None,
    said: str | None = None,
) -> audit_model.Line:
    """The line of an answer; `said` is `after` as canonical text, where that is at hand."""
    return audit_model.Line(
        actor=principal.account_id if principal else answer.actor,
        on_behalf_of=principal.person_id if principal else "",
        action=action,
        role=permit.role if permit else "",
        rule=permit.rule if permit else "",
        tenant_id=answer.tenant_id or (permit.tenant_id if permit else ""),
        kind=answer.kind,
        object_id=answer.object_id,
        generation=answer.generation or 0,
        before_digest="" if answer.before is None else text.digest(answer.before),
        after_digest="" if answer.after is None else text.digest(answer.after, said),
        facts=answer.facts,
        request_id=context.request_id if context else "",
        idempotency_key=context.idempotency_key if context else "",
        source=context.source if context else "",
        reason=context.reason if context else "",
    )
