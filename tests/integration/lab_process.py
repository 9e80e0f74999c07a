"""A lab cloud in a process of its own, and the hand behind its scenes, for tests of the reconciler.  Uses nothing of the driver."""

import http.client
import json
import pathlib
import signal
import subprocess
import sys
import urllib.parse
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Lab:
    """One lab cloud process over one file."""

    def __init__(self, file: pathlib.Path) -> None:
        self.file = file
        command = [sys.executable, "-m", "provisioners.lab.cloud", "--file", str(file), "--port", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = str(json.loads(self.process.stdout.readline())["url"])
        self._port = urllib.parse.urlsplit(self.url).port or 0

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def pause(self) -> None:
        """SIGSTOP: it does not answer."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One plain call; raises AssertionError unless it is answered 2xx."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        assert answer.status < 300, raw
        return json.loads(raw) if raw else None

    def script(self, *rules: dict[str, Any], **settings: Any) -> None:
        """Replace the script of faults and delays."""
        self.call("PUT", "/lab/script", {"rules": list(rules)} | settings)

    def guests(self, resource_id: str = "") -> list[dict[str, Any]]:
        """Living guests, foreign ones too."""
        return self._inventory(resource_id, "guests")

    def tickets(self, resource_id: str = "") -> list[dict[str, Any]]:
        """Tickets that are not deleted."""
        return self._inventory(resource_id, "tickets")

    def record(self) -> list[dict[str, Any]]:
        """What truly happened, oldest first."""
        return list(self.call("GET", "/v1/events")["events"])

    def requests(self, operation: str) -> list[dict[str, Any]]:
        """The calls of one operation that the cloud has seen."""
        found = self.call("GET", "/lab/requests?limit=100000")["requests"]
        return [request for request in found if request["operation"] == operation]

    def pending(self) -> list[dict[str, Any]]:
        """What will still happen."""
        return list(self.call("GET", "/lab/pending")["pending"])

    def limits(self, installation: str, tenant: str) -> dict[str, int]:
        """The native limits of a tenant."""
        return dict(self.call("GET", f"/v1/tenants/{installation}/{tenant}/limits")["limits"])

    def _inventory(self, resource_id: str, what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.call("GET", f"/v1/inventory?resource_id={resource_id}&after={after}")
            found += page[what]
            after = page["after"]
            if not after:
                return found
