"""Errors with a stable code, both languages and a way out.  The lowest floor: every room declares its faults with `Fault`.

A room keeps its faults in `faults.py`:

    EXCEEDED = errors.Fault("quota.exceeded", errors.Kind.QUOTA, en="...{asked}...", zh="...{asked}...",
                            mend_en="govpool quota show {tenant}", mend_zh="govpool quota show {tenant}")
    raise EXCEEDED(asked=16, used=40, limit=48, tenant="tax")

The code is what machines read and never changes; the texts are for people.  `apiserver/problem.py` is the one map from `Kind`
to an HTTP status, `cli/failure.py` the one map to an exit code.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


class Kind(enum.Enum):
    """The family of a fault; decides HTTP status and exit code."""

    INVALID = "invalid"  # 400, exit 2: the request itself is wrong
    UNAUTHENTICATED = "unauthenticated"  # 401, exit 4
    FORBIDDEN = "forbidden"  # 403, exit 5
    NOT_FOUND = "not_found"  # 404, exit 3
    CONFLICT = "conflict"  # 409, exit 7
    STALE = "stale"  # 412, exit 7: If-Match does not match
    QUOTA = "quota"  # 409, exit 6
    TOO_LARGE = "too_large"  # 413, exit 2
    UNAVAILABLE = "unavailable"  # 503 with Retry-After, exit 1
    INTERNAL = "internal"  # 500, exit 1: a defect of govpool


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One finding in imported data: where it is and what is wrong.  Findings are collected and returned together."""

    place: str  # 'line 12', 'documents[3].spec.name'
    code: str
    detail: str


class GovpoolError(Exception):
    """What is raised.  `fault` is its declaration, `values` fill the texts and travel to the client as they are."""

    def __init__(self, fault: "Fault", values: Mapping[str, Any], findings: tuple[Finding, ...] = ()) -> None:
        self.fault = fault
        self.values = dict(values)
        self.findings = findings
        super().__init__(f"{fault.code}: {self.text('en')}")

    @property
    def code(self) -> str:
        """The stable code, such as 'quota.exceeded'."""
        return self.fault.code

    def text(self, lang: str) -> str:
        """What happened and why, in 'zh' or 'en'."""
        return _filled(self.fault.zh if lang == "zh" else self.fault.en, self.values)

    def mend(self, lang: str) -> str:
        """The way out, in 'zh' or 'en'."""
        return _filled(self.fault.mend_zh if lang == "zh" else self.fault.mend_en, self.values)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """The declaration of one kind of error.  Calling it makes the exception; each code is declared once."""

    code: str
    kind: Kind
    en: str
    zh: str
    mend_en: str
    mend_zh: str

    def __post_init__(self) -> None:
        if self.code in CATALOGUE:
            raise ValueError(f"fault {self.code} is declared twice")
        CATALOGUE[self.code] = self

    def __call__(self, *, findings: tuple[Finding, ...] = (), **values: Any) -> GovpoolError:
        return GovpoolError(self, values, findings)


CATALOGUE: dict[str, Fault] = {}


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "{" + key + "}"


def _filled(template: str, values: Mapping[str, Any]) -> str:
    return template.format_map(_Known(values))


INVALID = Fault(
    "input.invalid",
    Kind.INVALID,
    en="{field}: {reason}",
    zh="{field}：{reason}",
    mend_en="correct the value and send it again",
    mend_zh="更正该值后重新提交",
)
INTERNAL = Fault(
    "internal",
    Kind.INTERNAL,
    en="something went wrong inside govpool; nothing was changed",
    zh="系统内部错误，未作任何更改",
    mend_en="report the trace id to cloud operations",
    mend_zh="请将追踪号告知云平台运维人员",
)
