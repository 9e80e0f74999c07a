"""Pure decisions of the room: sound values, a sound dated tree, who may do what.  No clock, no database, no network."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from stdnum import exceptions
from stdnum.cn import uscc

from primitives import clock, errors, ids
from tenants import faults, model, role_table

LEVELS_MAX: Final = 8
ADMINISTRATORS: Final = role_table.ADMINISTRATORS
_CODE: Final = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_ACCOUNT: Final = re.compile(r"[a-z]([a-z0-9._-]{0,61}[a-z0-9])?")
_BUDGET_UNIT: Final = re.compile(r"[0-9A-Za-z-]{0,32}")


def code(text: str, field: str = "code") -> str:
    """`text` if it is a lower-case DNS label that cannot be taken for an id.  Raises input.invalid."""
    if not _CODE.fullmatch(text) or ids.kind_of(text):
        raise errors.INVALID(
            field=field, reason=f"{text[:40]!r} is not a code: 1 to 63 of a-z, 0-9 and '-', a letter first, such as tax-bureau"
        )
    return text


def account_code(text: str) -> str:
    """`text` if it is a login name: like a code, dots and underscores allowed.  Raises input.invalid."""
    if not _ACCOUNT.fullmatch(text) or ids.kind_of(text):
        raise errors.INVALID(
            field="account", reason=f"{text[:40]!r} is not a login name: 1 to 63 of a-z, 0-9, '.', '_' and '-', a letter first"
        )
    return text


def label(text: str, field: str, longest: int = 100) -> str:
    """`text` trimmed and in Unicode form C: 1 to `longest` characters, none of them a control or direction mark.  Raises
    input.invalid.
    """
    clean = unicodedata.normalize("NFC", text).strip()
    if not 0 < len(clean) <= longest or any(
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for character in clean
    ):
        raise errors.INVALID(field=field, reason=f"must be 1 to {longest} printable characters")
    return clean


def budget_unit(text: str) -> str:
    """`text` if it can be a budget unit's code, '' allowed.  Raises input.invalid."""
    if not _BUDGET_UNIT.fullmatch(text):
        raise errors.INVALID(
            field="budget_unit", reason=f"{text[:40]!r} is not a budget unit code: at most 32 letters, digits and '-'"
        )
    return text


def credit_code(text: str) -> str:
    """The unified social credit code of GB 32100 in compact form, check digit proved; '' allowed.  Raises input.invalid."""
    if not text:
        return ""
    try:
        return str(uscc.validate(text[:40]))
    except exceptions.ValidationError as error:
        raise errors.INVALID(field="credit_code", reason=f"{text[:40]!r} is not a unified social credit code: {error}") from error


def protection_level(level: int) -> int:
    """`level` if graded protection knows it, 1 to 4.  Raises input.invalid."""
    if not 1 <= level <= 4:
        raise errors.INVALID(field="protection_level", reason=f"{level} is not a level of graded protection, 1 to 4")
    return level


def valid_from(asked_us: int, *, now_us: int, not_before_us: int | None) -> int:
    """`asked_us` if a dated change may start then: not in the future, no issued statement covers it.  Raises
    input.invalid, dated.issued.
    """
    if asked_us > now_us:
        raise errors.INVALID(field="valid_from", reason=f"{_time(asked_us)} lies in the future")
    if not_before_us is not None and asked_us < not_before_us:
        raise faults.ISSUED(not_before=_time(not_before_us), valid_from=_time(asked_us))
    return asked_us


def appended(subject: str, fact: str, latest_from_us: int, first_from_us: int, asked_us: int) -> None:
    """A dated fact grows at its end only: the change must not lie before its first row or its latest.  Raises dated.early,
    dated.later.
    """
    if asked_us < first_from_us:
        raise faults.EARLY(subject=subject, known_from=_time(first_from_us), valid_from=_time(asked_us))
    if asked_us < latest_from_us:
        raise faults.LATER(subject=subject, fact=fact, changed_at=_time(latest_from_us), valid_from=_time(asked_us))


def placed(tenant: str, parent: str, tenant_id: str, above: Sequence[model.Span], below: Iterable[model.Span]) -> None:
    """A tenant may stand under a parent if at no moment it would stand below itself or on a level beyond the eighth.

    `above` are the parent (level 0) and its ancestors, `below` the tenant (level 0) and its descendants, each with the time during
    which it is so, from the change on.  Raises tenant.cycle, tenant.too_deep.
    """
    if any(span.tenant_id == tenant_id for span in above):
        raise faults.CYCLE(tenant=tenant, parent=parent)
    heights = sorted({(span.level, span.start_us, span.end_us) for span in below}, reverse=True)
    for span in above:
        for height, start_us, end_us in heights:
            levels = span.level + height + 2
            if levels > LEVELS_MAX and max(start_us, span.start_us) < min(end_us, span.end_us):
                raise faults.TOO_DEEP(parent=parent, levels=levels, limit=LEVELS_MAX)


def decide(
    bindings: Sequence[model.Binding], path: Sequence[tuple[str, str, str]], verb: str, kind: str, *, anywhere: bool = False
) -> model.Permit:
    """The one decision about rights.

    `path` is (id, code, state) of the tenant and its ancestors, leaf first; a binding counts if it is bound on the path (or,
    with `anywhere`, at all).  Raises object.unknown to those who hold no role there, role.forbidden, tenant.frozen.
    """
    nodes = {tenant_id for tenant_id, _, _ in path}
    held = {binding.role for binding in bindings if anywhere or binding.tenant_id in nodes}
    if not held:
        raise faults.UNKNOWN(kind=kind)
    allowing = [role for role in role_table.roles_for(kind, verb) if role in held]
    if not allowing:
        needed = role_table.roles_for(kind, verb)
        raise faults.FORBIDDEN(roles=_names(held), verb=verb, kind=kind, needed=_names(needed) or "nobody")
    unmoved = [(code_, state) for _, code_, state in path if state != model.State.ACTIVE]
    if unmoved and verb not in role_table.READING:
        allowing = [role for role in allowing if role in role_table.UNFROZEN]
        if not allowing:
            raise faults.FROZEN(tenant=unmoved[0][0], state=unmoved[0][1])
    return model.Permit(role=str(allowing[0]), rule=f"{allowing[0]}.{kind}.{verb}", tenant_id=path[0][0])


def grantable(permit_roles: Iterable[str], role: model.Role) -> None:
    """One of the roles held at the node must be allowed to grant `role`.  Raises role.not_grantable."""
    held = [model.Role(name) for name in permit_roles]
    if not any(role in role_table.GRANTABLE.get(name, ()) for name in held):
        needed = [name for name in model.Role if role in role_table.GRANTABLE.get(name, ())]
        raise faults.NOT_GRANTABLE(by=_names(held), role=str(role), needed=_names(needed))


def held_at(bindings: Iterable[model.Binding], path_ids: Iterable[str]) -> set[model.Role]:
    """The roles that count at the node whose path (itself and ancestors) is `path_ids`."""
    nodes = set(path_ids)
    return {binding.role for binding in bindings if binding.tenant_id in nodes}


def _names(roles: Iterable[model.Role]) -> str:
    known = set(roles)
    return ", ".join(role for role in model.Role if role in known)


def _time(us: int) -> str:
    return clock.text(clock.from_us(us))
