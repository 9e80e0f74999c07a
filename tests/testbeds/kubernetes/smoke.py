"""Drives the whole testbed as two departments would and checks what comes back.

  eval "$(./testbed env)"; "$TESTBED_PYTHON" smoke.py

Makes its own namespaces and deletes them; exits non-zero on any miss.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request
import uuid

from client import Kube, Refused, token, until

TAG = uuid.uuid4().hex[:6]
HOME, OTHER = f"health-{TAG}", f"taxes-{TAG}"
began = time.time()


def step(text):
    print(f"{time.time() - began:6.2f}s {text}", flush=True)


def refused(code, what, attempt):
    try:
        attempt()
    except Refused as e:
        if e.code != code:
            sys.exit(f"{what}: {code} was expected, not {e}")
        step(f"{what}: {e}")
        return e.status
    sys.exit(f"{what} was not refused")


def pod(name, cpu="100m", **spec):
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "main",
        "image": "registry.example/app:1",
        "securityContext": security,
        "resources": {"requests": {"cpu": cpu, "memory": "128Mi"}, "limits": {"cpu": cpu, "memory": "128Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "containers": [container],
            **spec,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        },
    }


def phase(name):
    return person("GET", f"{pods}/{name}")["status"].get("phase")


admin = Kube()
core, apps, rbac = "/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1"
pods = f"{core}/namespaces/{HOME}/pods"
version = admin("GET", "/version")["gitVersion"]
nodes = admin("GET", f"{core}/nodes")["items"]
step(f"Kubernetes {version}, {len(nodes)} nodes")

# --- departments
quota = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "dept"},
    "spec": {
        "hard": {
            "requests.cpu": "4",
            "requests.memory": "8Gi",
            "pods": "8",
            "requests.nvidia.com/gpu": "8",
            "requests.storage": "50Gi",
            "persistentvolumeclaims": "3",
            "count/deployments.apps": "2",
        }
    },
}
limits = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "dept"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "max": {"cpu": "2", "memory": "4Gi"},
                "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
                "default": {"cpu": "200m", "memory": "256Mi"},
            }
        ]
    },
}
reader = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "quota-reader"},
    "rules": [{"apiGroups": [""], "resources": ["resourcequotas", "limitranges"], "verbs": ["get", "list", "watch"]}],
}


def department(namespace):
    versions = [
        admin.apply(
            f"{core}/namespaces",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
            },
        )
    ]
    inside, rights = f"{core}/namespaces/{namespace}", f"{rbac}/namespaces/{namespace}"
    versions += [
        admin.apply(f"{inside}/resourcequotas", quota),
        admin.apply(f"{inside}/limitranges", limits),
        admin.apply(f"{rights}/roles", reader),
    ]
    for kind, role in ("ClusterRole", "edit"), ("Role", "quota-reader"):
        versions.append(
            admin.apply(
                f"{rights}/rolebindings",
                {
                    "apiVersion": "rbac.authorization.k8s.io/v1",
                    "kind": "RoleBinding",
                    "metadata": {"name": f"staff-{role}"},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": f"oidc:{namespace}"}],
                },
            )
        )
    return [v["metadata"]["resourceVersion"] for v in versions if v["kind"] != "ResourceQuota"]  # its status changes by itself


first = [department(name) for name in (HOME, OTHER)]
step("two departments: namespace, quota, limits, role, two bindings each")
assert [department(name) for name in (HOME, OTHER)] == first
step("the same applied again: nothing changed")
person = Kube(token("li", HOME))
me = person(
    "POST",
    "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
)
step(f"signed in as {me['status']['userInfo']['username']}")
until("quota status", lambda: person("GET", f"{core}/namespaces/{HOME}/resourcequotas/dept")["status"].get("used"))
until("account for pods", lambda: admin("GET", f"{core}/namespaces/{HOME}/serviceaccounts")["items"])
step("quota counted, account for pods made")

# --- work
template = pod("web")
web = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {k: template[k] for k in ("metadata", "spec")},
    },
}
deployments = f"{apps}/namespaces/{HOME}/deployments"
moment = time.time()
person("POST", deployments, web)
until("ready deployment", lambda: person("GET", f"{deployments}/web")["status"].get("readyReplicas") == 3)
step(f"deployment of 3 ready {time.time() - moment:.2f} s after its creation")
used = until(
    "counted pods",
    lambda: (u := person("GET", f"{core}/namespaces/{HOME}/resourcequotas/dept")["status"]["used"])["pods"] == "3" and u,
)
step(f"quota used: {used}")

# --- limits hold
refused(403, "too much CPU for the quota", lambda: [person("POST", pods, pod(f"big{i}", "2")) for i in range(2)])
refused(403, "too much CPU for one container", lambda: person("POST", pods, pod("huge", "3")))
plain = pod("plain")
plain["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1"}}
refused(422, "a request above the default limit", lambda: person("POST", pods, plain))
refused(403, "privileged", lambda: person("POST", pods, pod("root", hostNetwork=True)))
scale = person("GET", f"{deployments}/web/scale")
person("PUT", f"{deployments}/web/scale", scale | {"spec": {"replicas": 12}})
reason = until(
    "report of the refused replicas",
    lambda: [c["message"] for c in person("GET", f"{deployments}/web")["status"]["conditions"] if c["type"] == "ReplicaFailure"],
)
step(f"deployment of 12, as it reports: {reason[0]}")
person("PATCH", f"{deployments}/web/scale", {"spec": {"replicas": 3}}, "application/merge-patch+json")
# a pod that is being deleted still counts
until(
    "room in the quota", lambda: int(person("GET", f"{core}/namespaces/{HOME}/resourcequotas/dept")["status"]["used"]["pods"]) <= 4
)

# --- borders hold
refused(403, "another department's pods", lambda: person("GET", f"{core}/namespaces/{OTHER}/pods"))
refused(403, "all pods", lambda: person("GET", f"{core}/pods"))
refused(403, "deleting the own quota", lambda: person("DELETE", f"{core}/namespaces/{HOME}/resourcequotas/dept"))
refused(401, "expired token", lambda: Kube(token("li", HOME, seconds=-60))("GET", pods))
refused(403, "token without groups", lambda: Kube(token("li"))("GET", pods))

# --- storage
claims = f"{core}/namespaces/{HOME}/persistentvolumeclaims"


def claim(name, size):
    return person(
        "POST",
        claims,
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
        },
    )


moment = time.time()
claim("data", "10Gi")
volume = until(
    "bound claim", lambda: (c := person("GET", f"{claims}/data"))["status"].get("phase") == "Bound" and c["spec"]["volumeName"]
)
step(f"claim bound after {time.time() - moment:.2f} s")
refused(403, "too much storage", lambda: claim("more", "41Gi"))
person("POST", pods, pod("store", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]))
until("running pod with the claim", lambda: phase("store") == "Running")
step("pod with the claim runs")

# --- accelerators, usage, faults
person("DELETE", f"{pods}/big0")
gpu = pod("train")
gpu["metadata"]["annotations"] = {"kwok.x-k8s.io/usage-cpu": "750m"}
gpu["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "8"
person("POST", pods, gpu)
until("running pod with accelerators", lambda: phase("train") == "Running")
where = person("GET", f"{pods}/train")["spec"]["nodeName"]
pool = admin("GET", f"{core}/nodes/{where}")["metadata"]["labels"]["govpool.testbed/pool"]
assert pool == "gpu"
gpu["metadata"]["name"] = "train2"
refused(403, "more accelerators", lambda: person("POST", pods, gpu))
meter = f"{os.environ['TESTBED_USAGE']}/metrics/nodes/{where}/metrics/resource"


def usage():
    return [
        line
        for line in urllib.request.urlopen(meter).read().decode().splitlines()
        if line.startswith("pod_cpu_usage_seconds_total") and '"train"' in line
    ]


step(f"usage as a node tells it: {until('usage', usage)[0]}")
broken = pod("broken")
broken["metadata"]["labels"]["pod-container-running-failed.stage.kwok.x-k8s.io"] = "true"
person("POST", pods, broken)
until("failed pod", lambda: phase("broken") == "Failed")
step("fault on request: " + person("GET", f"{pods}/broken")["status"]["containerStatuses"][0]["state"]["terminated"]["message"])

# --- what a client must be ready for
refused(409, "a name that is taken", lambda: person("POST", deployments, web))
config = person(
    "POST",
    f"{core}/namespaces/{HOME}/configmaps",
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"a": "1"}},
)
path = f"{core}/namespaces/{HOME}/configmaps/notes"
person("PATCH", path, {"data": {"a": "2"}}, "application/merge-patch+json")
refused(409, "an update of an older version", lambda: person("PUT", path, config))
refused(
    409,
    "another manager",
    lambda: admin(
        "PATCH",
        f"{path}?fieldManager=other",
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "notes"}, "data": {"a": "3"}},
        "application/apply-patch+yaml",
    ),
)
refused(409, "deletion of another one of that name", lambda: person("DELETE", path, {"preconditions": {"uid": str(uuid.uuid4())}}))
seen = 0
for event in person.watch(f"{pods}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"):
    if event["type"] == "BOOKMARK":
        break
    seen += 1
step(f"list by watch: {seen} pods, then a bookmark {event['object']['metadata']['annotations']}")

# --- the trail
trail = [json.loads(line) for line in (pathlib.Path(os.environ["TESTBED_LOG"]) / "audit.log").read_text().splitlines()]
mine = [entry for entry in trail if entry["user"]["username"] == "oidc:li" and entry.get("objectRef", {}).get("namespace") == HOME]
assert any(entry["responseStatus"]["code"] == 403 for entry in mine)
step(f"audit log: {len(mine)} lines about li in {HOME}, refusals among them")

# --- remove everything
person("DELETE", f"{deployments}/web?propagationPolicy=Foreground")
until("end of the deployment", lambda: not person("GET", f"{pods}?labelSelector=app=web")["items"])
step("deployment gone")
# what is not yet gone when the namespace is first looked at, 5 s from now, costs it 8 to 16 s more
for path in (pods, claims):
    person("DELETE", path)
    until(f"end of {path}", lambda path=path: not person("GET", path)["items"])
step("pods and claims gone")
moment = time.time()
for name in (HOME, OTHER):
    admin("DELETE", f"{core}/namespaces/{name}")
until(
    "end of the namespaces",
    lambda: not {HOME, OTHER} & {n["metadata"]["name"] for n in admin("GET", f"{core}/namespaces")["items"]},
)
until(
    "end of the volume", lambda: volume not in {v["metadata"]["name"] for v in admin("GET", f"{core}/persistentvolumes")["items"]}
)
step(f"namespaces and volume gone after {time.time() - moment:.2f} s")

# --- history lost: last, for the controllers need some seconds to find their server again
page = admin("GET", f"{core}/nodes?limit=1")["metadata"]
admin(
    "PATCH", f"{core}/nodes/node0000", {"metadata": {"annotations": {"seen-by": TAG}}}, "application/merge-patch+json"
)  # so that the page is of the past
subprocess.run([pathlib.Path(__file__).with_name("testbed"), "expire"], check=True)
step("API server killed and started, its history forgotten")
event = next(admin.watch(f"{core}/nodes?watch=1&resourceVersion={page['resourceVersion']}"))
assert event["type"] == "ERROR" and event["object"]["code"] == 410, event
step(
    f"watch from before: HTTP 200, then {event['type']} {event['object']['code']} "
    f"{event['object']['reason']}: {event['object']['message']}"
)
refused(410, "next page from before", lambda: admin("GET", f"{core}/nodes?limit=1&continue={page['continue']}"))
