"""HTTP calls to one OpenStack: keystoneauth for tokens and the catalogue, raw JSON decoded by msgspec, each call ending as one of

    an answer           decoded
    RefusedError        a 4xx with the cloud's own words
    TemporaryError      it was not sent, the cloud is busy, or a read failed: nothing was changed
    AnswerLost          a change whose answer did not come

Resource objects of the SDK are not used: a list of a thousand servers costs 14 ms so, and some 3 s with them.
"""

import dataclasses
import threading
import urllib.parse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from provisioners import contract
from provisioners.openstack import faults, wire
from provisioners.openstack import options as settings

if TYPE_CHECKING:
    from keystoneauth1 import session as sessions

COMPUTE: Final = "compute"
STORAGE: Final = "block-storage"
NETWORK: Final = "network"
IMAGE: Final = "image"
IDENTITY: Final = "identity"
PLACEMENT: Final = "placement"

_VERSION: Final = {
    COMPUTE: "compute 2.90",  # tags at create, flavor within the server, hostname; Xena (2021) and later
    STORAGE: "volume 3.60",  # extends a volume that is in use
    PLACEMENT: "placement 1.20",
}
_PREFIX: Final = {NETWORK: "/v2.0", IMAGE: "/v2", IDENTITY: "/v3", COMPUTE: "", STORAGE: "", PLACEMENT: ""}
_LOST: Final = frozenset({500, 502, 504})
_PAGE: Final = 1000

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True)
class _Sent:
    status: int
    payload: bytes


class Client:
    """One region of one cloud; thread-safe.  Nothing is loaded or connected before the first call."""

    def __init__(self, options: settings.Options) -> None:
        self._options = options
        self._guard = threading.Lock()
        self._sessions: dict[str, sessions.Session] = {}  # by project; '' = the administrator's
        self._urls: dict[str, str] = {}
        self._region: Any = None

    def user_id(self) -> str:
        """Keystone's id of our own account."""
        return str(self._asked(lambda: self._session("").get_user_id()))

    # -- reads -----------------------------------------------------------------------------------------------------------------

    def find(self, service: str, path: str, key: str, answer: type[T]) -> T | None:
        """GET one thing; None for 404.  Raises TemporaryError and RefusedError."""
        try:
            return _part(self._read(service, path), key, answer)
        except faults.RefusedError as refusal:
            if refusal.status == 404:
                return None
            raise

    def get(self, service: str, path: str, key: str, answer: type[T], **query: str | int) -> T:
        """GET what must be there.  Raises TemporaryError and RefusedError."""
        return _part(self._read(service, _with(path, query)), key, answer)

    def pages(self, service: str, path: str, key: str, answer: type[T], **query: str | int) -> Iterator[T]:
        """GET a list, a thousand at a time, following the markers.  The answers are objects with an id."""
        marker = ""
        while True:
            asked = query | {"limit": _PAGE} | ({"marker": marker} if marker else {})
            page = _part(self._read(service, _with(path, asked)), key, list[answer])  # type: ignore[valid-type]
            yield from page
            if len(page) < _PAGE:
                return
            marker = str(getattr(page[-1], "id"))  # noqa: B009  every listed thing has one

    # -- changes ---------------------------------------------------------------------------------------------------------------

    def change(
        self,
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        answer: type[T],
        project: str = "",
        attempt: str = "",
    ) -> T:
        """One mutating call, as the administrator or within a project.  Raises RefusedError, TemporaryError and AnswerLost."""
        sent = self._send(method, service, path, body, project=project, attempt=attempt)
        payload = _checked(sent)
        if answer is wire.Nothing:
            return wire.Nothing()  # type: ignore[return-value]
        try:
            return _part(payload, key, answer)
        except contract.TemporaryError as unreadable:
            raise contract.AnswerLost(f"{method} {service} {path}: {unreadable}") from unreadable

    def _read(self, service: str, path: str) -> bytes:
        try:
            return _checked(self._send("GET", service, path, None))
        except contract.AnswerLost as lost:
            raise faults.unreachable() from lost

    def _send(self, method: str, service: str, path: str, body: Any, *, project: str = "", attempt: str = "") -> _Sent:
        from keystoneauth1 import exceptions

        session, url = self._session(project), self._url(service)
        self._asked(session.get_token)
        headers = {"Accept": "application/json"} | ({"X-Govpool-Attempt": attempt} if attempt else {})
        if service in _VERSION:
            headers["OpenStack-API-Version"] = _VERSION[service]
        more: dict[str, Any] = {}
        if body is not None:
            headers["Content-Type"] = "application/json"
            more = {"data": msgspec.json.encode(body)}
        try:
            answer = session.request(url + path, method, headers=headers, raise_exc=False, redirect=False, **more)
        except exceptions.SSLError as error:
            raise faults.certificate() from error
        except exceptions.ClientException as error:
            if _never_sent(error):
                raise faults.unreachable() from error
            raise contract.AnswerLost(f"{method} {service} {path.partition('?')[0]}: {type(error).__name__}") from error
        return _Sent(answer.status_code, answer.content)

    # -- who we are and where they are -----------------------------------------------------------------------------------------

    def _session(self, project: str) -> "sessions.Session":
        with self._guard:
            if project not in self._sessions:
                self._sessions[project] = self._opened(project)
            return self._sessions[project]

    def _opened(self, project: str) -> "sessions.Session":
        """A session of our account, for the project of the clouds.yaml or for a department's."""
        from keystoneauth1 import session as sessions
        from keystoneauth1.identity import generic

        region = self._configured()
        verify, cert = region.get_requests_verify_args()
        auth = region.get_auth()
        if project:
            given = {
                name: value
                for name, value in region.config["auth"].items()
                if not name.startswith(("project_", "domain_", "system_"))
            }
            auth = generic.Password(**given, project_id=project)
        return sessions.Session(auth=auth, verify=verify, cert=cert, timeout=self._options.bounds.call_s, app_name="govpool")

    def _configured(self) -> Any:
        if self._region is None:
            from openstack import config

            options = self._options
            loader = config.OpenStackConfig(
                config_files=[str(options.clouds_file)], secure_files=[], vendor_files=[], load_envvars=False
            )
            more: dict[str, Any] = {"region_name": options.region} if options.region else {}
            self._region = loader.get_one(cloud=options.cloud, **more)
        return self._region

    def _url(self, service: str) -> str:
        """The endpoint of a service, from the clouds.yaml or else from the catalogue, with the version that we speak."""
        if service not in self._urls:
            session = self._session("")
            with self._guard:
                region = self._configured()
            found = region.get_endpoint(service) or self._asked(
                lambda: session.get_endpoint(
                    service_type=service, interface=region.get_interface(service), region_name=region.get_region_name(service)
                )
            )
            if not found:
                raise faults.service_missing(service)
            base = str(found).rstrip("/")
            self._urls[service] = base if base.endswith(_PREFIX[service]) else base + _PREFIX[service]
        return self._urls[service]

    def _forget(self) -> None:
        """Read the clouds.yaml anew at the next call: whoever corrects it need not start govpool again."""
        with self._guard:
            self._sessions.clear()
            self._urls.clear()
            self._region = None

    def _asked(self, call: Any) -> Any:
        """What keystone says of tokens and the catalogue.  Nothing is changed by asking."""
        from keystoneauth1 import exceptions

        try:
            return call()
        except (exceptions.Unauthorized, exceptions.Forbidden, exceptions.NotFound) as error:
            self._forget()
            raise faults.credential() from error
        except exceptions.SSLError as error:
            raise faults.certificate() from error
        except exceptions.CatalogException as error:
            raise faults.service_missing("wanted") from error
        except exceptions.ClientException as error:
            raise faults.unreachable() from error


def _never_sent(error: BaseException) -> bool:
    """Whether the connection was never made: requests keeps urllib3's reason in its first argument."""
    from urllib3 import exceptions

    cause = error.__cause__ or error.__context__
    inner = cause.args[0] if cause is not None and cause.args else None
    reason = getattr(inner, "reason", inner)
    return isinstance(reason, exceptions.NewConnectionError | exceptions.ConnectTimeoutError)


def _checked(sent: _Sent) -> bytes:
    """The payload of a success; everything else raises."""
    if sent.status in _LOST:
        raise contract.AnswerLost(f"HTTP {sent.status}")
    if sent.status < 300:
        return sent.payload
    if sent.status == 401:
        raise faults.credential()
    if sent.status in (429, 503):
        raise faults.busy()
    raise faults.read(sent.status, sent.payload)


def _part(payload: bytes, key: str, answer: type[T]) -> T:
    """The value of `key` in the envelope, '' = the whole."""
    try:
        if not key:
            return msgspec.json.decode(payload, type=answer)
        envelope = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(envelope[key], type=answer)
    except (msgspec.MsgspecError, KeyError) as error:
        raise contract.TemporaryError(
            "cloud.unreadable",
            delay_s=faults.BUSY_AGAIN_S,
            en=f"the answer of the cloud could not be read: {error}",
            zh="云平台的应答无法解析",
        ) from error


def _with(path: str, query: dict[str, Any]) -> str:
    return f"{path}?{urllib.parse.urlencode(query)}" if query else path
