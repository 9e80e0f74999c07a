"""Makes many pods, watches them, tells what that costs, and removes them again.

eval "$(./testbed env)"; "$TESTBED_PYTHON" load.py [COUNT] [--threads N] [--typed]
"""

import argparse
import concurrent.futures
import json
import statistics
import sys
import threading
import time

from client import Kube, Refused, until

parser = argparse.ArgumentParser()
parser.add_argument("count", type=int, nargs="?", default=1000)
parser.add_argument("--threads", type=int, default=4, help="that create pods")
parser.add_argument("--typed", action="store_true", help="list with the client's models as well")
args = parser.parse_args()

SPACE = "load"
pods = f"/api/v1/namespaces/{SPACE}/pods"
admin = Kube()
created, running, gone, late = set(), set(), set(), []
watching = threading.Event()
cpu, resumed = 0.0, 0


def watch():
    """How long after the call began does a listener know of the pod?"""
    global cpu, resumed
    version = admin("GET", pods)["metadata"]["resourceVersion"]
    kube = Kube()
    while True:  # a watch may end at any time, without a word
        answer = kube.open("GET", f"{pods}?watch=1&timeoutSeconds=60&resourceVersion={version}", timeout=90)
        watching.set()
        for line in answer.response:
            start = time.thread_time()
            event = json.loads(line)
            pod = event["object"]
            name, version = pod["metadata"]["name"], pod["metadata"]["resourceVersion"]
            if event["type"] == "ADDED":
                late.append(time.time() - float(pod["metadata"]["annotations"]["sent"]))
                created.add(name)
            elif event["type"] == "DELETED":
                gone.add(name)
            elif pod["status"]["phase"] == "Running":
                running.add(name)
            cpu += time.thread_time() - start
        resumed += 1


def create(numbers):
    kube = Kube()
    for i in numbers:
        kube(
            "POST",
            pods,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"p{i}", "annotations": {"sent": str(time.time())}},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": "registry.example/app:1",
                            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
                        }
                    ]
                },
            },
        )


def timed(what, work):
    start, spent = time.time(), time.thread_time()
    answer = work()
    print(f"{what}: {(time.time() - start) * 1000:.0f} ms, {(time.thread_time() - spent) * 1000:.0f} ms of it our CPU", flush=True)
    return answer


def account():
    try:
        return admin("GET", f"/api/v1/namespaces/{SPACE}/serviceaccounts/default")
    except Refused:
        return None


admin("POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
until("account for pods", account)
threading.Thread(target=watch, daemon=True).start()
watching.wait(10)
began = time.time()
with concurrent.futures.ThreadPoolExecutor(args.threads) as pool:
    list(pool.map(create, (range(i, args.count, args.threads) for i in range(args.threads))))
took = time.time() - began
print(f"{args.count} pods created in {took:.1f} s: {args.count / took:.0f} a second", flush=True)
until("running pods", lambda: len(running) >= args.count, 60 + args.count / 10)
took = time.time() - began
print(f"all running after {took:.1f} s: {args.count / took:.0f} a second")
late.sort()
print(
    f"from the call to the watcher: median {statistics.median(late) * 1000:.0f} ms, "
    f"95 % under {late[int(len(late) * 0.95)] * 1000:.0f} ms, "
    f"worst {late[-1] * 1000:.0f} ms",
    flush=True,
)
body = timed("list, the answer unread", lambda: admin.open("GET", pods).read())
print(f"  {len(body) / 1e6:.1f} MB")
timed("  read as JSON", lambda: json.loads(body))
timed("list with resourceVersion=0, read as JSON", lambda: admin("GET", f"{pods}?resourceVersion=0"))
if args.typed:
    from kubernetes import client

    core = client.CoreV1Api(admin.api)
    core.list_namespaced_pod(SPACE, limit=1)  # the models load at the first use
    timed("list with the models of the client", lambda: core.list_namespaced_pod(SPACE))
began = time.time()
admin("DELETE", pods)
until("end of the pods", lambda: len(gone) >= args.count, 60 + args.count / 10)
took = time.time() - began
print(f"deleted after {took:.1f} s: {args.count / took:.0f} a second")
events = len(created) + len(running) + len(gone)
print(f"the watcher spent {cpu:.2f} s of CPU and was resumed {resumed} times")
admin("DELETE", f"/api/v1/namespaces/{SPACE}")
sys.exit(0 if len(created) == len(gone) == args.count else 1)
