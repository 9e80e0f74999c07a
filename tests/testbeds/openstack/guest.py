"""Boots real guests through nova, asks everything of them, and removes them again.

  export GOVPOOL_OPENSTACK_GUESTS=1; ./testbed up
  eval "$(./testbed env)"; "$TESTBED_PYTHON" guest.py

One guest from the image with a NIC and a second disk, one from a volume; exits non-zero
on any miss.
"""

import base64
import contextlib
import os
import pathlib
import sys
import time
import uuid

import openstack

TAG = uuid.uuid4().hex[:6]
began = time.time()
cloud, admin = openstack.connect(cloud="member"), openstack.connect(cloud="admin")
nova, cinder = cloud.compute, cloud.block_storage
FOLDER = pathlib.Path(os.environ["OS_CLIENT_CONFIG_FILE"]).parent / "data/nova/real01/instances"
image, flavor = cloud.image.find_image("guest"), nova.find_flavor("g1.tiny")


def step(text):
    print(f"{time.time() - began:6.1f}s {text}", flush=True)


def until(what, probe, seconds=120):
    limit = time.time() + seconds
    while not (found := probe()):
        if time.time() > limit:
            sys.exit(f"{what}: not within {seconds} s")
        time.sleep(0.2)
    return found


def console(server):
    return nova.get_server_console_output(server)["output"] or ""


def said(server, word):
    return [line for line in console(server).splitlines() if line.startswith(f"govpool {word}")]


def state(server, status, wait=120):
    return nova.wait_for_server(server, status=status, wait=wait, interval=0.2)


def processes(server):
    """The guest's QEMU, found by the server's id on its command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if server.id.encode() in path.read_bytes() and "qemu" in os.readlink(path.parent / "exe"):
                found.append(path.parent)
    return found


def cost(server):
    """MiB (PSS) and seconds of CPU of the one process that is the guest."""
    [process] = processes(server)
    pss = next(line for line in (process / "smaps_rollup").read_text().splitlines() if line.startswith("Pss:"))
    times = (process / "stat").read_text().rpartition(")")[2].split()
    return int(pss.split()[1]) // 1024, (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def boot(name, user_data, **how):
    start = time.time()
    server = nova.create_server(
        name=f"{name}-{TAG}", flavor_id=flavor.id, user_data=base64.b64encode(user_data.encode()).decode(), **how
    )
    server = state(server, "ACTIVE")
    active = time.time()
    [up] = until("guest message", lambda: said(server, "guest up"))
    step(f"create to ACTIVE {active - start:.1f} s, on to the guest's message {time.time() - active:.1f} s; {cost(server)[0]} MiB")
    assert server.id in up.lower() and f"{name}-{TAG}" in up, up
    until("user data", lambda: said(server, "user-data") == [f"govpool user-data hello {TAG}"])
    for line in console(server).splitlines():
        if line.startswith("govpool"):
            print("        " + line)
    return server


def volume(name, **how):
    made = cinder.create_volume(size=1, name=f"{name}-{TAG}", **how)
    return cinder.wait_for_status(made, "available", interval=0.2, wait=60)


def gone(server):
    start, [process] = time.time(), processes(server)
    nova.delete_server(server)
    nova.wait_for_delete(server, interval=0.2, wait=60)
    assert not process.exists() and not processes(server), "QEMU goes on"
    assert not (FOLDER / server.id).exists(), "files are left"
    step(f"deleted in {time.time() - start:.1f} s, neither process nor files left")


# --- from the image, with a NIC and the ticket, a blank volume
net = cloud.network.create_network(name=f"lan-{TAG}")
# with DHCP on, nova leaves the address out of the config drive, and nobody serves DHCP here
cloud.network.create_subnet(name="lan", network_id=net.id, ip_version=4, cidr="10.9.0.0/24", enable_dhcp=False)
ticket = volume("ticket")
server = boot(
    "one",
    f"hello {TAG}\n",
    image_id=image.id,
    networks=[{"uuid": net.id}],
    block_device_mapping=[
        {"boot_index": 0, "source_type": "image", "uuid": image.id, "destination_type": "local", "delete_on_termination": True},
        {"boot_index": None, "source_type": "volume", "uuid": ticket.id, "destination_type": "volume"},
    ],
)
[port] = cloud.network.ports(device_id=server.id)
address = port.fixed_ips[0]["ip_address"]
assert said(server, "nic") == [f"govpool nic {port.mac_address} {address}"]
assert any(ticket.id[:20] in line for line in said(server, "disk")), "no second disk"
assert cinder.get_volume(ticket).status == "in-use"
before = cost(server)[1]
time.sleep(10)
step(f"CPU: {before:.1f} s for the boot, {(cost(server)[1] - before) * 10:.1f} % of a core idle")
usage = admin.compute.get_server_diagnostics(server)
assert usage.cpu_details[0]["time"] > 1e9 and usage.driver == "libvirt"
step(f"diagnostics: CPU {usage.cpu_details[0]['time'] / 1e9:.1f} s, bytes read {[d['read_bytes'] for d in usage.disk_details]}")

start = time.time()
nova.stop_server(server)
state(server, "SHUTOFF")
# of a server that is off nova shows no console: 404
assert not processes(server) and "guest off" in (FOLDER / server.id / "console.log").read_text()
step(f"stopped in {time.time() - start:.1f} s; the guest saw the power button")
for verb in ("start", "soft reboot", "hard reboot"):
    start, old = time.time(), processes(server)
    if verb == "start":
        nova.start_server(server)
        until("task", lambda: nova.get_server(server).status == "ACTIVE")
    else:
        nova.reboot_server(server, verb.split()[0].upper())
        until(
            "reboot",
            lambda old=old: (
                (now := nova.get_server(server)).status == "ACTIVE" and not now.task_state and processes(server) not in ([], old)
            ),
        )
    active = time.time()
    until("guest message", lambda: said(server, "guest up"))
    step(f"{verb}: ACTIVE after {active - start:.1f} s, up {time.time() - active:.1f} s later")

# --- from a volume made before; its user data is a script
disk = volume("boot", image_id=image.id)
second = boot(
    "two",
    f"""#!/bin/sh
echo govpool user-data hello {TAG}
ping -c 3 {address} && echo govpool ping of the other one
""",
    networks=[{"uuid": net.id}],
    block_device_mapping=[{"boot_index": 0, "source_type": "volume", "uuid": disk.id, "destination_type": "volume"}],
)
until("ping", lambda: said(second, "ping"), 20)
step("one guest answers the ping of the other: " + next(line for line in console(second).splitlines() if "time=" in line))

# --- changes to a running one
extra = volume("extra")
nova.create_volume_attachment(second, volume_id=extra.id)
cinder.wait_for_status(extra, "in-use", interval=0.2, wait=60)
nova.delete_volume_attachment(second, extra.id)
cinder.wait_for_status(extra, "available", interval=0.2, wait=60)
step("volume attached and detached while it runs")
start = time.time()
nova.resize_server(server, nova.find_flavor("g1.small"))
state(server, "VERIFY_RESIZE")
nova.confirm_server_resize(server)
assert state(server, "ACTIVE").flavor.ram == 256
step(f"resized and confirmed in {time.time() - start:.1f} s")
try:
    nova.create_server(
        name="again",
        flavor_id=flavor.id,
        networks="none",
        block_device_mapping=[{"boot_index": 0, "source_type": "volume", "uuid": disk.id, "destination_type": "volume"}],
    )
    sys.exit("the same boot volume served twice")
except openstack.exceptions.BadRequestException as e:
    step(f"the same volume again: {e.status_code} {e.details}")

# --- remove everything
for each in (second, server):
    gone(each)
for each in (ticket, disk, extra):
    cinder.wait_for_status(each, "available", interval=0.2, wait=60)
    cinder.delete_volume(each)
    cinder.wait_for_delete(each, interval=0.2, wait=60)
cloud.network.delete_network(net)
step("all deleted")
