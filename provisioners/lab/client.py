"""HTTP calls to a lab cloud: each on a connection of its own, each ending as an answer, a refusal of the contract, or AnswerLost.

A call that could not be sent is a TemporaryError; a read that was lost changed nothing and is one too; only a change whose answer
did not come is AnswerLost.
"""

import http.client
import urllib.parse
from typing import Final, TypeVar

import msgspec

from provisioners import contract
from provisioners.lab import wire

_ANSWER_MAX: Final = 64 * 1024 * 1024
_LOST: Final = frozenset({500, 502, 504})

_Answer = TypeVar("_Answer")


class RefusedError(Exception):
    """A 4xx answer with the cloud's own code, for the driver to read before it becomes an error of the contract."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status} {code}: {message}")


class Client:
    """One lab cloud at `url`; thread-safe, holds no connection."""

    def __init__(self, url: str, call_s: int) -> None:
        parts = urllib.parse.urlsplit(url)
        self._host, self._port, self._call_s = parts.hostname or "", parts.port or 80, call_s

    def read(self, path: str, answer: type[_Answer], **query: object) -> _Answer | None:
        """GET; None for 404.  Raises TemporaryError and RefusedError."""
        text = urllib.parse.urlencode({name: value for name, value in query.items() if value != ""})
        try:
            status, payload = self._call("GET", f"{path}?{text}" if text else path, None, "")
            return msgspec.json.decode(_checked(status, payload), type=answer)
        except RefusedError as refusal:
            if refusal.status == 404:
                return None
            raise
        except contract.AnswerLost as lost:
            raise unreachable() from lost

    def change(self, method: str, path: str, body: wire.Body | None, answer: type[_Answer], attempt: str = "") -> _Answer:
        """One mutating call.  Raises RefusedError, TemporaryError (it was not sent, or the cloud is busy) and AnswerLost."""
        status, payload = self._call(method, path, body, attempt)
        return msgspec.json.decode(_checked(status, payload) or b"null", type=answer)

    def _call(self, method: str, path: str, body: wire.Body | None, attempt: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._call_s)
        try:
            connection.connect()
        except OSError as error:
            raise unreachable() from error
        try:
            payload = None if body is None else msgspec.json.encode(body)
            headers = {"Content-Type": "application/json", "Connection": "close", "X-Govpool-Attempt": attempt}
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_ANSWER_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise contract.AnswerLost(f"{method} {path.partition('?')[0]}: {type(error).__name__}") from error
        finally:
            connection.close()


def unreachable() -> contract.TemporaryError:
    """The cloud does not answer, and nothing was changed."""
    return contract.TemporaryError(
        "cloud.unreachable", delay_s=5, en="the cloud cannot be reached; it is tried again", zh="云平台暂时无法连接，系统将自动重试"
    )


def _checked(status: int, payload: bytes) -> bytes:
    """The payload of a success; everything else raises."""
    if status in _LOST:
        raise contract.AnswerLost(f"HTTP {status}")
    if status < 300:
        return payload
    try:
        problem = msgspec.json.decode(payload, type=wire.Problem)
    except msgspec.MsgspecError:
        problem = wire.Problem(code="unreadable", message="the answer could not be read")
    if status in (429, 503):
        raise contract.TemporaryError(
            "cloud.busy", delay_s=2, en="the cloud is busy; it is tried again", zh="云平台繁忙，系统将自动重试"
        )
    raise RefusedError(status, problem.code, problem.message)
