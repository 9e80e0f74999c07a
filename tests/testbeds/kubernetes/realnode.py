"""Shows that containers on the real node live and die: probes, logs, exec, restarts, limits, usage.

  eval "$(./testbed env)"; "$TESTBED_PYTHON" realnode.py     (after an `up` with the real node)

Stops and starts the testbed once.  Deletes what it made; exits non-zero on any miss.
"""

import os
import pathlib
import subprocess
import sys
import time
import urllib.request
import uuid

import kubelet
from client import Kube, until

NODE = os.environ.get("TESTBED_REAL_NODE") or sys.exit("up without GOVPOOL_KUBERNETES_REAL_NODE")
HERE = pathlib.Path(__file__).resolve().parent
SPACE = f"real-{uuid.uuid4().hex[:6]}"
began = time.time()


def step(text):
    print(f"{time.time() - began:6.2f}s {text}", flush=True)


def template(name, script, **container):
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "nodeSelector": {"govpool.testbed/pool": "real"},
            "tolerations": [{"key": "govpool.testbed/pool", "value": "real"}],
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "main",
                    "image": "govpool.testbed/busybox:1",
                    "command": ["sh", "-c", script],
                    "securityContext": security,
                    "resources": {"requests": {"cpu": "50m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}},
                    **container,
                }
            ],
        },
    }


def pod(name, script, **container):
    kube("POST", pods, {"apiVersion": "v1", "kind": "Pod"} | template(name, script, **container))


def container(name):
    return (kube("GET", f"{pods}/{name}")["status"].get("containerStatuses") or [{}])[0]


def listed(label=""):
    return kube("GET", f"{pods}?labelSelector={label}")["items"]


def kubectl(*arguments):
    done = subprocess.run([f"{os.environ['TESTBED_BIN']}/kubectl", "-n", SPACE, *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def node_pid():
    return int((pathlib.Path(os.environ["TESTBED_RUN"]) / "kubelet.pid").read_text().split()[0])


def processes():
    """Command line and memory (PSS, MiB) of all that runs on the node."""
    found = []
    for pid in kubelet.inside(node_pid()):
        folder = pathlib.Path(f"/proc/{pid}")
        try:
            words = (folder / "cmdline").read_text().split("\0")
            rollup = (folder / "smaps_rollup").read_text()
        except OSError:
            continue  # it has just ended
        found.append((words, int(rollup.split("Pss:")[1].split()[0]) / 1024))
    return found


def memory(*names):
    sizes = {name: [size for words, size in processes() if pathlib.Path(words[0]).name == name] for name in names}
    return ", ".join(f"{len(s)} {name} {sum(s):.1f} MiB" for name, s in sizes.items())


def cpu_seconds(name):
    """As the kubelet's own /metrics/resource tells it, and when it was measured."""
    text = kube.open("GET", f"/api/v1/nodes/{NODE}/proxy/metrics/resource").read().decode()
    for line in text.splitlines():
        if line.startswith("container_cpu_usage_seconds_total") and f'pod="{name}"' in line:
            value, moment = line.split()[-2:]
            return float(value), int(moment) / 1000
    return None


def mounts():
    return pathlib.Path("/proc/self/mounts").read_text().splitlines()


kube = Kube()
pods = f"/api/v1/namespaces/{SPACE}/pods"
deployments = f"/apis/apps/v1/namespaces/{SPACE}/deployments"
info = kube("GET", f"/api/v1/nodes/{NODE}")["status"]["nodeInfo"]
step(f"{NODE}: {info['kubeletVersion']}, {info['containerRuntimeVersion']}; " + memory("kubelet", "containerd"))
empty = len(processes())
kube.apply(
    "/api/v1/namespaces",
    {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": SPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
    },
)
until("account for pods", lambda: kube("GET", f"/api/v1/namespaces/{SPACE}/serviceaccounts")["items"])

# --- a service
web = template(
    "web",
    "mkdir /tmp/www; hostname > /tmp/www/index.html; echo serving; exec httpd -f -p 8080 -h /tmp/www",
    readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
)
moment = time.time()
kube(
    "POST",
    deployments,
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": web},
    },
)
until("ready deployment", lambda: kube("GET", f"{deployments}/web")["status"].get("readyReplicas") == 2)
step(f"deployment of 2 ready {time.time() - moment:.2f} s after its creation")
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
first, second = listed("app=web")
name, address = first["metadata"]["name"], first["status"]["podIP"]
answers = [
    direct.open(f"http://{address}:8080/", timeout=5).read().decode().strip(),
    kube.open("GET", f"{pods}/{name}:8080/proxy/").read().decode().strip(),
    kubectl("exec", second["metadata"]["name"], "--", "wget", "-qO-", f"http://{address}:8080/").strip(),
]
assert answers == [name] * 3, answers
step(f"{address}:8080 answered this machine, the API server and the other pod")
assert kubectl("logs", name) == "serving\n"
moment = time.time()
assert kubectl("exec", name, "--", "id", "-u") == "1000\n"
step(f"logs and exec work; exec took {time.time() - moment:.2f} s")
moment = time.time()
kubectl("exec", name, "--", "rm", "/tmp/www/index.html")
until("failed probe", lambda: kube("GET", f"{deployments}/web")["status"].get("readyReplicas") == 1)
step(f"a replica that answers 404 was taken for unready {time.time() - moment:.2f} s later")

# --- crashes and limits
moment = time.time()
pod("crash", "echo about to fail; exit 3")
until("restart", lambda: container("crash").get("restartCount", 0) >= 2)
last = container("crash")["lastState"]["terminated"]
assert last["exitCode"] == 3
step(
    f"restarted twice within {time.time() - moment:.2f} s, exit code {last['exitCode']}; "
    f"the log of the one before: {kubectl('logs', '-p', 'crash').strip()}"
)
moment = time.time()
pod("greedy", "exec tail /dev/zero")


def killed():
    status = container("greedy")
    return status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated")


end = until("kill for memory", killed)
assert (end["reason"], end["exitCode"]) == ("OOMKilled", 137), end
step(f"more than 32 MiB: {end['reason']} {time.time() - moment:.2f} s after its creation")
pod("absent", "true", image="registry.example/app:1")
reason = until("refused image", lambda: container("absent").get("state", {}).get("waiting", {}).get("message"))
assert "connection refused" in reason, reason
step(f"an image that is not there: {reason[:60]}...")
pod("busy", "while :; do :; done")
start, since = until("usage", lambda: (u := cpu_seconds("busy")) and u[0] > 1 and u)
now, then = until("later usage", lambda: (u := cpu_seconds("busy")) and u[1] > since + 10 and u)
cores = (now - start) / (then - since)
assert 0.15 < cores < 0.25, cores
step(f"a loop without end, limited to 200m, used {cores:.3f} cores over {then - since:.0f} s")


def summary():
    answer = kube("GET", f"/api/v1/nodes/{NODE}/proxy/stats/summary")
    found = {p["podRef"]["name"]: p for p in answer["pods"]}
    cores = found["busy"]["cpu"].get("usageNanoCores", 0) / 1e9
    return cores > 0.1 and (f"busy {cores:.3f} cores, {name} {found[name]['memory']['workingSetBytes'] >> 10} KiB")


step(f"/stats/summary: {until('usage in the summary', summary)}")
moment = time.time()
kube(
    "POST",
    f"/apis/batch/v1/namespaces/{SPACE}/jobs",
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "sum"},
        "spec": {"template": (t := template("sum", 'expr 6 "*" 7')) | {"spec": t["spec"] | {"restartPolicy": "Never"}}},
    },
)
until("completed job", lambda: kube("GET", f"/apis/batch/v1/namespaces/{SPACE}/jobs/sum")["status"].get("succeeded"))
assert kubectl("logs", "job/sum") == "42\n"
step(f"job complete after {time.time() - moment:.2f} s, with its result in the log")
step(memory("kubelet", "containerd", "containerd-shim-runc-v2", "sleep", "httpd"))

# --- the power goes and comes back
running = kubelet.inside(node_pid())
bridge, cgroup = pathlib.Path("/sys/class/net"), pathlib.Path("/sys/fs/cgroup")
present = [p.name for p in bridge.glob("testbed-*")]
moment = time.time()
subprocess.run([HERE / "testbed", "down"], check=True)
left = (
    [m for m in mounts() if "kubelet" in m or "containerd" in m or "testbed" in m]
    + [p for p in bridge.glob("testbed-*") if p.name in present]
    + [p for p in cgroup.glob("**/testbed-*") if p.name in present]
    + [p for p in running if os.path.exists(f"/proc/{p}")]
)
assert present and not left, left
step(f"down took {time.time() - moment:.2f} s; of {len(running)} processes none is left, and no mount, cgroup or interface")
moment = time.time()
subprocess.run([HERE / "testbed", "up"], check=True)
until(
    "containers restarted",
    lambda: all(s["restartCount"] == 1 and s["ready"] for p in listed("app=web") for s in p["status"]["containerStatuses"]),
)
step(f"up again, both replicas serving after {time.time() - moment:.2f} s, restarted once each")

# --- remove everything
moment = time.time()
kube("DELETE", f"{deployments}/web")
kube("DELETE", f"/apis/batch/v1/namespaces/{SPACE}/jobs/sum?propagationPolicy=Background")
kube("DELETE", pods)
until("end of the pods", lambda: not listed())
step(f"all pods gone after {time.time() - moment:.2f} s")
until("end of the processes", lambda: len(processes()) == empty)
inner = pathlib.Path(f"/proc/{kubelet.inside(node_pid())[0]}/mounts").read_text()
leftover = [m for m in inner.splitlines() if "/kubelet/pods/" in m or "k8s.io" in m or "netns" in m]
assert not leftover, leftover
step(f"on the node: {empty} processes as in the beginning, no mount of a container")
kube("DELETE", f"/api/v1/namespaces/{SPACE}")
until("end of the namespace", lambda: SPACE not in {n["metadata"]["name"] for n in kube("GET", "/api/v1/namespaces")["items"]})
step("namespace gone")
