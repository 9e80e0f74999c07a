"""Fills a fresh testbed, and waits for the services that speak only over the bus.

Run by `testbed up` in the testbed's own environment; every step may be repeated.
"""

import datetime
import json
import os
import pathlib
import sys
import time

import openstack

PASSWORD = os.environ["TESTBED_PASSWORD"]
SINCE = float(os.environ["TESTBED_SINCE"])
URLS = json.loads(os.environ["TESTBED_URLS"])
KINDS = {"placement": "placement", "glance": "image", "neutron": "network", "cinder": "block-storage", "nova": "compute"}
TRAIT = "CUSTOM_GOVPOOL_GUEST"


def identity(cloud):
    roles = {r.name: r for r in cloud.identity.roles()}
    roles["service"] = roles.get("service") or cloud.identity.create_role(name="service")
    projects = {
        name: cloud.identity.find_project(name) or cloud.identity.create_project(name=name, domain_id="default")
        for name in ("service", "demo")
    }

    def account(name, project, *granted):
        user = cloud.identity.find_user(name) or cloud.identity.create_user(name=name, password=PASSWORD, domain_id="default")
        for role in granted:
            cloud.identity.assign_project_role_to_user(projects[project], user, roles[role])

    for name, kind in KINDS.items():
        account(name, "service", "admin", "service")
        if not cloud.identity.find_service(name):
            service = cloud.identity.create_service(name=name, type=kind)
            for interface in ("public", "internal", "admin"):
                cloud.identity.create_endpoint(service_id=service.id, interface=interface, url=URLS[name], region_id="RegionOne")
    account("member", "demo", "member")
    account("reader", "demo", "reader")


def resources(cloud):
    if not cloud.image.find_image("tiny"):
        cloud.image.create_image(
            name="tiny", data=bytes(1 << 20), disk_format="raw", container_format="bare", visibility="public", min_disk=1
        )
    for name, vcpus, ram, disk in (
        ("t1.nano", 1, 512, 1),
        ("m1.small", 1, 2048, 20),
        ("m1.medium", 2, 4096, 40),
        ("m1.large", 4, 8192, 80),
        ("m1.xlarge", 8, 16384, 160),
    ):
        if not cloud.compute.find_flavor(name):
            cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk)
    if not cloud.network.find_network("public"):
        net = cloud.network.create_network(
            name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="public"
        )
        cloud.network.create_subnet(name="public", network_id=net.id, ip_version=4, cidr="172.24.0.0/16", enable_dhcp=False)
    if not cloud.block_storage.find_type("standard"):
        cloud.block_storage.create_type(name="standard", extra_specs={"volume_backend_name": "sparse"})


def guests(cloud, folder):
    """What real guests need; only flavors that ask for the trait get to their host."""

    def image(name, kind, data, **more):
        return cloud.image.find_image(name) or cloud.image.create_image(
            name=name,
            data=data,
            disk_format=kind,
            visibility="public",
            container_format=kind if kind in ("aki", "ari") else "bare",
            **more,
        )

    kernel, ramdisk = (
        image(f"guest-{name}", kind, (folder / name).read_bytes()) for name, kind in (("kernel", "aki"), ("ramdisk", "ari"))
    )
    image(
        "guest",
        "raw",
        bytes(1 << 20),
        min_disk=1,
        kernel_id=kernel.id,
        ramdisk_id=ramdisk.id,
        os_command_line="console=ttyS0 quiet",
    )
    for name, vcpus, ram, disk in ("g1.tiny", 1, 128, 1), ("g1.small", 2, 256, 2):
        if not cloud.compute.find_flavor(name):
            flavor = cloud.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk)
            cloud.compute.create_flavor_extra_specs(flavor, {f"trait:{TRAIT}": "required"})
    cloud.placement.put(f"/traits/{TRAIT}", microversion="1.6").raise_for_status()
    host = next(cloud.placement.resource_providers(name="real01"))
    path = f"/resource_providers/{host.id}/traits"
    body = cloud.placement.get(path, microversion="1.6").json()
    body["traits"] = sorted({*body["traits"], TRAIT})
    cloud.placement.put(path, json=body, microversion="1.6").raise_for_status()
    if not cloud.compute.find_aggregate("real"):
        aggregate = cloud.compute.create_aggregate(name="real")
        cloud.compute.set_aggregate_metadata(aggregate, {f"trait:{TRAIT}": "required"})
        cloud.compute.add_host_to_aggregate(aggregate, "real01")


def alive(service):
    beat = datetime.datetime.fromisoformat(service.updated_at or "1970-01-01")
    return service.state == "up" and beat.replace(tzinfo=datetime.UTC).timestamp() >= SINCE


def wait(cloud):
    hosts = set(os.environ["TESTBED_HOSTS"].split())
    limit = time.time() + 300
    while True:
        nova = {(s.binary, s.host) for s in cloud.compute.services() if alive(s)}
        cinder = {s.binary for s in cloud.block_storage.services() if alive(s)}
        # a host takes servers only once placement knows it and the scheduler mapped it to a cell
        racks = {p.name for p in cloud.placement.resource_providers()} & {h.name for h in cloud.compute.hypervisors()}
        lacking = (
            ({("nova-compute", h) for h in hosts} - nova)
            | (hosts - {r.split("n")[0] for r in racks})
            | ({"nova-scheduler", "nova-conductor"} - {b for b, _ in nova})
            | ({"cinder-scheduler", "cinder-volume"} - cinder)
        )
        if not list(cloud.block_storage.backend_pools()):
            lacking.add("volume pool")
        if not lacking:
            return
        if time.time() > limit:
            sys.exit(f"not up after 300 s: {sorted(map(str, lacking))}")
        time.sleep(0.5)


stage, cloud = sys.argv[1], openstack.connect()
if stage == "identity":
    identity(cloud)
else:
    wait(cloud)
    if stage == "all":
        resources(cloud)
        if os.environ["TESTBED_GUEST"]:
            guests(cloud, pathlib.Path(os.environ["TESTBED_GUEST"]))
