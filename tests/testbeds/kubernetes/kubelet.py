"""The real node: containerd and kubelet, in a mount and a process namespace of their own.

`testbed` starts it as the first process of these namespaces.  When that is killed, the kernel
ends every container and lets go of every mount; only cgroups and the bridge are left to `sweep`.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tarfile
import time

CGROUPS = pathlib.Path("/sys/fs/cgroup")
CLAIMS = pathlib.Path("/tmp/kwok-local-path-provisioner")  # where KWOK says the data are
SOCKET = "/run/containerd/containerd.sock"
# what kubelet would set on the whole machine; it is shown these and leaves the real ones alone
TUNABLES = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


def make_images(busybox, target):
    """Two images of one layer, as `docker save` writes them; the same bytes each time."""

    def add(tar, name, data=b"", **attributes):
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for key, value in attributes.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(data))

    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, mode in ("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777):
            add(tar, name, type=tarfile.DIRTYPE, mode=mode)
        add(tar, "bin/busybox", busybox.read_bytes(), mode=0o755)
        applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
        for name in sorted(set(applets.stdout.split()) - {"busybox"}):
            add(tar, f"bin/{name}", type=tarfile.SYMTYPE, linkname="busybox")
        add(tar, "etc/passwd", b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    data = layer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as tar:
        add(tar, "layer.tar", data)
        manifest = []
        for name, command in ("busybox", ["sh"]), ("pause", ["sleep", "infinity"]):
            add(
                tar,
                f"{name}.json",
                json.dumps(
                    {
                        "architecture": machine.get(os.uname().machine, os.uname().machine),
                        "os": "linux",
                        "config": {"Env": ["PATH=/bin"], "Cmd": command},
                        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
                    }
                ).encode(),
            )
            manifest.append({"Config": f"{name}.json", "Layers": ["layer.tar"], "RepoTags": [f"govpool.testbed/{name}:1"]})
        add(tar, "manifest.json", json.dumps(manifest).encode())


def hierarchies():
    """Each controller's own folder (cgroup v1), or the one folder of them all (v2)."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [d for d in CGROUPS.iterdir() if (d / "cgroup.procs").exists() and not d.is_symlink()]


def sweep(cgroup, bridge, first=None):
    """Waits for the end of the first process, which comes last; removes what outlives it."""
    limit = time.time() + 10
    while first and os.path.exists(f"/proc/{first}"):
        if time.time() > limit:
            sys.exit(f"testbed: process {first} of the real node does not end")
        time.sleep(0.05)
    for top in hierarchies():
        for folder, *_ in os.walk(top / cgroup, topdown=False):
            while True:
                try:
                    os.rmdir(folder)
                except OSError as e:
                    if time.time() > limit:
                        sys.exit(f"testbed: cannot remove the cgroup {folder}: {e}")
                    time.sleep(0.05)
                else:
                    break
    subprocess.run(["ip", "link", "delete", bridge], stderr=subprocess.DEVNULL)
    with contextlib.suppress(OSError):
        CLAIMS.rmdir()


def inside(pid):
    """All processes of the node, containers included: none can leave its tree."""
    children = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (folder / "stat").read_text()
            state, parent = stat[stat.rindex(")") + 2 :].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(folder.name))
    found = children.get(pid, [])
    for each in found:  # grows meanwhile
        found += children.get(each, [])
    return found


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def enclose(data):
    """The usual places become our own; nobody else sees it."""
    for place in "lib", "log":
        (data / place).mkdir(parents=True, exist_ok=True)
        mount("--bind", data / place, f"/var/{place}")
    for place in (data / "claims", CLAIMS):
        place.mkdir(exist_ok=True)
    mount("--bind", data / "claims", CLAIMS)
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")  # empty, as after a boot
    registry = pathlib.Path("/run/registries/_default")
    registry.mkdir(parents=True)
    (registry / "hosts.toml").write_text('server = "http://127.0.0.1:9"\n')
    for name, value in TUNABLES.items():
        shown = pathlib.Path("/run/tunables") / name
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(f"{value}\n")
        mount("--bind", shown, f"/proc/sys/{name}")
    mount("--make-rshared", "/")


def main(bin, data, etc, pki, log, cgroup, bridge, address, name, labels):
    data = pathlib.Path(data)
    os.environ["PATH"] = f"{bin}:{os.environ['PATH']}"
    enclose(data)
    for top in hierarchies():
        (top / cgroup).mkdir(exist_ok=True)
    if not pathlib.Path(f"/sys/class/net/{bridge}").exists():
        for command in (f"link add {bridge} type bridge", f"address add {address} dev {bridge}", f"link set {bridge} up"):
            subprocess.run(["ip", *command.split()], check=True)

    def start(*argv):
        with open(f"{log}/{argv[0]}.log", "a") as out:
            children.add(subprocess.Popen(argv, stdout=out, stderr=out).pid)

    children = set()
    start("containerd", f"--config={etc}/containerd.toml")
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(SOCKET):
            if os.waitpid(-1, os.WNOHANG)[0] in children:
                sys.exit("containerd ended")
            time.sleep(0.05)
    subprocess.run(["ctr", "-n", "k8s.io", "images", "import", f"{bin}/../images.tar"], check=True)
    start(
        "kubelet",
        f"--config={etc}/kubelet.yaml",
        f"--kubeconfig={pki}/kubelet.kubeconfig",
        f"--hostname-override={name}",
        f"--node-ip={address.split('/')[0]}",
        f"--node-labels={labels}",
    )
    while os.wait()[0] not in children:  # the first process inherits the orphans
        pass
    sys.exit("containerd or kubelet ended")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
