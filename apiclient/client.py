"""One connection to one server.  Keys are made per call and kept over its repetitions, so a repeated call takes effect once.

client = Client("https://cloud.example:8443", token)
client.get("/v1/grants", tenant="tax")                  # JSON of the answer
for grant in client.pages("/v1/grants", tenant="tax"):  # all items of a list, page by page
client.put("/v1/grants/tax/ram_mib", {"granted": 1024}, if_match=3)
client.post("/v1/usage-imports", raw=content, media="application/x-ndjson")
"""

import dataclasses
import json
import os
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from apiclient import failure
from primitives import version

if TYPE_CHECKING:
    import http.client

ATTEMPTS: Final = 4
TIMEOUT_S: Final = 60.0
PAUSE_MAX_S: Final = 10.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes

    def json(self) -> Any:
        """The decoded body; None for an empty one."""
        return json.loads(self.content) if self.content else None

    @property
    def generation(self) -> int | None:
        """The generation in the ETag."""
        tag = self.headers.get("etag", "").strip('"')
        return int(tag) if tag.isdecimal() else None


class Client:
    """A client of one server; not thread-safe.  Raises ProblemError for a refusal else ConnectionFailedError."""

    def __init__(
        self,
        server: str,
        token: str = "",
        *,
        lang: str = "en",
        ca_file: str = "",
        timeout_s: float = TIMEOUT_S,
        dry_run: bool = False,
    ) -> None:
        self.server = server.rstrip("/")
        self.token = token
        self.lang = lang
        self.ca_file = ca_file
        self.timeout_s = timeout_s
        self.dry_run = dry_run
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str, **query: Any) -> Any:
        """The JSON of a GET."""
        return self.call("GET", path, query=query).json()

    def content(self, path: str, **query: Any) -> bytes:
        """The bytes of a GET: an export."""
        return self.call("GET", path, query=query).content

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """All items of a list, asking for the next page as they are used up."""
        while True:
            page = self.get(path, **query)
            yield from page["items"]
            if not page.get("next"):
                return
            query["cursor"] = page["next"]

    def post(self, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a POST.  Options: raw, media, if_match, key, reason, query."""
        return self.call("POST", path, body, **options).json()

    def put(self, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a PUT."""
        return self.call("PUT", path, body, **options).json()

    def patch(self, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a PATCH."""
        return self.call("PATCH", path, body, **options).json()

    def delete(self, path: str, body: Any = None, **options: Any) -> Any:
        """The JSON of a DELETE."""
        return self.call("DELETE", path, body, **options).json()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        raw: bytes | None = None,
        media: str = "application/json",
        if_match: int | None = None,
        key: str = "",
        reason: str = "",
    ) -> Answer:
        """One call, repeated with the same key when the connection breaks or the server answers 503."""
        content = raw if raw is not None else b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = self._headers(reason)
        asked = {name: value for name, value in (query or {}).items() if value is not None and value != ""}
        if method != "GET":
            headers["Idempotency-Key"] = key or f"cli-{os.urandom(16).hex()}"
            if self.dry_run:
                asked["dry_run"] = True
        if raw is not None or body is not None:
            headers["Content-Type"] = media
        if if_match is not None:
            headers["If-Match"] = f'"{if_match}"'
        target = _target(self.server, path, asked)
        return self._repeated(method, target, content, headers)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _headers(self, reason: str) -> dict[str, str]:
        headers = {"Accept-Language": self.lang, "User-Agent": f"govpool/{version.VERSION}"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if reason:
            headers["X-Govpool-Reason"] = urllib.parse.quote(reason)
        return headers

    def _repeated(self, method: str, target: str, content: bytes, headers: dict[str, str]) -> Answer:
        import http.client

        pause_s, reason = 0.2, ""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                status, answer_headers, answer = self._once(method, target, content, headers)
            except (OSError, http.client.HTTPException) as error:  # ssl.SSLError is an OSError
                self.close()
                reason = str(error) or type(error).__name__
                if _hopeless(error):
                    break
            else:
                if status < 400:
                    return Answer(status=status, headers=answer_headers, content=answer)
                after = answer_headers.get("retry-after", "")
                if status != 503 or attempt == ATTEMPTS or not after.isdecimal():
                    raise failure.ProblemError(_problem(answer), status)
                pause_s = max(pause_s, min(float(after), PAUSE_MAX_S))
            if attempt < ATTEMPTS:
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, PAUSE_MAX_S)
        raise failure.ConnectionFailedError(self.server, reason)

    def _once(self, method: str, target: str, content: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request(method, target, body=content or None, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def _connect(self) -> "http.client.HTTPConnection":
        import http.client

        parts = urllib.parse.urlsplit(self.server)
        if parts.hostname is None or parts.scheme not in ("http", "https"):
            raise failure.ConnectionFailedError(self.server, "the server is a URL such as https://cloud.example:8443")
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=self.timeout_s)
        import ssl

        context = ssl.create_default_context(cafile=self.ca_file or None)
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=self.timeout_s, context=context)


def _target(server: str, path: str, query: Mapping[str, Any]) -> str:
    prefix = urllib.parse.urlsplit(server).path.rstrip("/")
    target = prefix + urllib.parse.quote(path, safe="/%:@!$&'()*+,;=~-._")
    if query:
        pairs = [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in query.items()]
        target += "?" + urllib.parse.urlencode(pairs)
    return target


def _problem(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {"detail": content[:200].decode(errors="replace")}
    return found if isinstance(found, dict) else {}


def _hopeless(error: Exception) -> bool:
    """Errors that repeating cannot mend: a name that does not resolve, a certificate that does not fit."""
    return type(error).__name__ in ("gaierror", "SSLCertVerificationError")


def path(template: str, *parts: str) -> str:
    """A path whose `{}` are filled with percent-encoded parts: path('/v1/grants/{}/{}', tenant, name)."""
    return template.format(*(urllib.parse.quote(part, safe="") for part in parts))
