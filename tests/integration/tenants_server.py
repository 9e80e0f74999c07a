"""A real server over a real database, and people who talk to it through the client: what the API tests of tenants share."""

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn

from apiclient import client as api
from apiclient import failure
from apiserver import app
from control import init, settings, wiring
from store import database as store_database

Refused = failure.ProblemError


@dataclasses.dataclass
class City:
    """A served installation: 南海区 with its three administrators."""

    url: str
    database: store_database.Database
    system: api.Client
    security: api.Client
    audit: api.Client
    clients: list[api.Client] = dataclasses.field(default_factory=list)

    def client(self, token: str = "", lang: str = "zh") -> api.Client:
        """A client with a token, closed at the end."""
        self.clients.append(api.Client(self.url, token, lang=lang))
        return self.clients[-1]

    def login(self, code: str) -> api.Client:
        """A client signed in with a one-use code."""
        return self.client(self.client().post("/v1/login", {"code": code})["token"])

    def department(self, code: str, name: str, parent: str = "nanhai", **more: Any) -> None:
        """Found a department."""
        self.system.post("/v1/tenants", {"code": code, "name": name, "parent": parent, **more})

    def person(self, tenant: str, account: str, name: str, *roles: str, at: str = "") -> api.Client:
        """Somebody of a department with roles (at `at`, else at home), signed in."""
        made = self.system.post(f"/v1/tenants/{tenant}/members", {"account": account, "name": name})
        for role in roles:
            self.security.post("/v1/bindings", {"account": account, "role": role, "tenant": at or tenant})
        return self.login(made["code"])


@contextlib.contextmanager
def serving(database: store_database.Database) -> Iterator[City]:
    """Initialise the database and serve it on a free port."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # its lines would mix with what commands print
    codes = {each.role: each.code for each in init.initialise(database, code="nanhai", name="南海区")}
    server = uvicorn.Server(
        uvicorn.Config(app.Api(wiring.Wiring(database, settings.Settings())), port=0, log_config=None, lifespan="on", ws="none")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    city = City(url, database, api.Client(url), api.Client(url), api.Client(url))
    try:
        city.system, city.security, city.audit = (city.login(codes[f"{role}_admin"]) for role in ("system", "security", "audit"))
        yield city
    finally:
        for client in city.clients:
            client.close()
        server.should_exit = True
        thread.join()
        structlog.reset_defaults()


def refused(call: Any, *arguments: Any, **options: Any) -> tuple[int, str]:
    """(status, code) of a refusal; (0, '') when the call goes through."""
    try:
        call(*arguments, **options)
    except Refused as error:
        return error.status, error.code
    return 0, ""
