"""What a call can raise: the server's problem details, or that no server answered."""

from typing import Any


class ProblemError(Exception):
    """The server refused.  The fields are those of the problem details (RFC 9457)."""

    def __init__(self, problem: dict[str, Any], status: int) -> None:
        self.status = status
        self.code = str(problem.get("code", f"http.{status}"))
        self.kind = str(problem.get("kind", _kind_of(status)))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        self.mend = str(problem.get("mend", ""))
        self.values: dict[str, Any] = problem.get("values") or {}
        self.findings: list[dict[str, str]] = problem.get("findings") or []
        self.trace = str(problem.get("trace", ""))
        super().__init__(f"{self.code}: {self.detail}")


class ConnectionFailedError(Exception):
    """No server answered, or the connection broke and repeating did not help."""

    def __init__(self, server: str, reason: str) -> None:
        self.server = server
        self.reason = reason
        super().__init__(f"{server}: {reason}")


def _kind_of(status: int) -> str:
    known = {
        401: "unauthenticated",
        403: "forbidden",
        404: "not_found",
        409: "conflict",
        412: "stale",
        413: "too_large",
        503: "unavailable",
    }
    return known.get(status, "invalid" if status < 500 else "internal")
