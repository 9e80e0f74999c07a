"""The testbed's API as smoke.py and load.py use it: plain JSON over the official client's transport.

Needs the variables that `testbed env` prints.
"""

import json
import os
import pathlib
import time

import pki
from kubernetes import client, config


def token(user, *groups, seconds=3600):
    return pki.token(pathlib.Path(os.environ["TESTBED_PKI"]), int(os.environ["TESTBED_ISSUER_PORT"]), user, groups, seconds)


class Refused(Exception):
    def __init__(self, code, status):
        self.code, self.status = code, status
        super().__init__(f"{code} {status.get('reason')}: {status.get('message')}")


class Kube:
    """The administrator, or with a token whoever that names."""

    def __init__(self, bearer=None):
        settings = client.Configuration()
        config.load_kube_config(client_configuration=settings, context="nobody" if bearer else None)
        if bearer:
            settings.api_key["BearerToken"] = f"Bearer {bearer}"
        self.api = client.ApiClient(settings)

    def open(self, method, path, body=None, content="application/json", timeout=60):
        """The response as it comes; the caller reads it."""
        method, url, headers, body, *_ = self.api.param_serialize(
            method,
            path,
            body=body,
            auth_settings=["BearerToken"],
            header_params={"Content-Type": content, "Accept": "application/json"},
        )
        return self.api.call_api(method, url, headers, body, _request_timeout=timeout)

    def __call__(self, method, path, body=None, content="application/json"):
        answer = self.open(method, path, body, content)
        data = json.loads(answer.read())
        if answer.status >= 300:
            raise Refused(answer.status, data)
        return data

    def apply(self, path, body):
        """Server-side apply, as the manager of these fields."""
        return self(
            "PATCH", f"{path}/{body['metadata']['name']}?fieldManager=govpool&force=true", body, "application/apply-patch+yaml"
        )

    def watch(self, path, timeout=60):
        """Events, one JSON line each."""
        for line in self.open("GET", path, timeout=timeout).response:
            yield json.loads(line)


def until(what, good, seconds=60):
    """Asks until the answer is true, and returns it."""
    limit = time.time() + seconds
    while not (answer := good()):
        if time.time() > limit:
            raise SystemExit(f"no {what} after {seconds} s")
        time.sleep(0.1)
    return answer
