"""Errors to HTTP: the one map from a fault's kind to a status, and the problem details of RFC 9457.

Every error of the API has this shape, in the language of Accept-Language; `code` never changes and is what programs read.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from apiserver import wording
from primitives import errors
from primitives.errors import Kind

MEDIA: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2
STATUS: Final = {
    Kind.INVALID: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.FORBIDDEN: 403,
    Kind.NOT_FOUND: 404,
    Kind.CONFLICT: 409,
    Kind.STALE: 412,
    Kind.QUOTA: 409,
    Kind.TOO_LARGE: 413,
    Kind.UNAVAILABLE: 503,
    Kind.INTERNAL: 500,
}
_STATUS_OF_CODE: Final = {"route.method": 405, "input.content_type": 415, "precondition.missing": 428}
_TITLES: Final = {
    Kind.INVALID: ("The request is wrong", "请求有误"),
    Kind.UNAUTHENTICATED: ("Login needed", "需要登录"),
    Kind.FORBIDDEN: ("Not allowed", "无权操作"),
    Kind.NOT_FOUND: ("Not found", "未找到"),
    Kind.CONFLICT: ("Conflict", "冲突"),
    Kind.STALE: ("It was changed meanwhile", "内容已被他人修改"),
    Kind.QUOTA: ("Quota or budget exceeded", "超出配额或预算"),
    Kind.TOO_LARGE: ("Too large", "内容过大"),
    Kind.UNAVAILABLE: ("Not available right now", "暂不可用"),
    Kind.INTERNAL: ("Internal error", "内部错误"),
}


class Finding(msgspec.Struct, kw_only=True):
    """One finding in the data sent: where, and what is wrong."""

    place: str
    code: str
    detail: str


class Problem(msgspec.Struct, kw_only=True):
    """Problem details (RFC 9457) with govpool's code, values and way out."""

    type: str
    title: str
    status: Annotated[int, msgspec.Meta(ge=400, le=599)]
    code: Annotated[str, msgspec.Meta(description="stable; programs read this")]
    kind: Annotated[str, msgspec.Meta(description="the family of the fault; decides status and exit code")]
    detail: str
    mend: Annotated[str, msgspec.Meta(description="the way out, a ready command where there is one")]
    values: dict[str, Any]
    findings: list[Finding]
    trace: Annotated[str, msgspec.Meta(description="also in X-Request-Id and in the server's log")]


def status_of(error: errors.GovpoolError) -> int:
    """The HTTP status of an error."""
    return _STATUS_OF_CODE.get(error.code, STATUS[error.fault.kind])


def of(error: errors.GovpoolError, lang: str, trace: str) -> Problem:
    """The problem details of an error in 'zh' or 'en'."""
    kind = error.fault.kind
    if error.fault is errors.INVALID and lang == "zh":
        error = errors.INVALID(**(error.values | {"reason": wording.chinese(str(error.values["reason"]))}), findings=error.findings)
    return Problem(
        type=f"urn:govpool:problem:{error.code}",
        title=_TITLES[kind][1 if lang == "zh" else 0],
        status=status_of(error),
        code=error.code,
        kind=kind.value,
        detail=_detail(error, lang),
        mend=error.mend(lang),
        values=_jsonable(error.values),
        findings=[
            Finding(place=f.place, code=f.code, detail=wording.chinese(f.detail) if lang == "zh" else f.detail)
            for f in error.findings
        ],
        trace=trace,
    )


def _detail(error: errors.GovpoolError, lang: str) -> str:
    if lang == "zh" and error.code in ("object.unknown", "role.forbidden"):
        return errors.GovpoolError(error.fault, error.values | {"kind": wording.noun(str(error.values["kind"]))}).text(lang)
    return error.text(lang)


def headers(error: errors.GovpoolError) -> dict[str, str]:
    """The headers that belong to an error: Retry-After, WWW-Authenticate, Allow."""
    if error.fault.kind is Kind.UNAVAILABLE:
        return {"Retry-After": str(error.values.get("retry_after_s", RETRY_AFTER_S))}
    if error.fault.kind is Kind.UNAUTHENTICATED:
        return {"WWW-Authenticate": 'Bearer realm="govpool"'}
    if error.code == "route.method":
        return {"Allow": str(error.values["allow"])}
    return {}


def _jsonable(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, str | int | bool | list | dict | None) else str(value) for key, value in values.items()}
