"""Drives the whole testbed with openstacksdk and checks what comes back.

  eval "$(./testbed env)"; "$TESTBED_PYTHON" smoke.py

Makes its own domain, project, users and resources, deletes them all, and exits
non-zero if a step or an expected notification is missing.
"""

import collections
import datetime
import os
import sys
import threading
import time
import uuid

import events
import openstack
from openstack import exceptions

TAG = uuid.uuid4().hex[:6]
began = time.time()


def step(text):
    print(f"{time.time() - began:6.1f}s {text}", flush=True)


heard = collections.Counter()
samples = {}


def hear(service, event):
    heard[service, event["event_type"]] += 1
    samples.setdefault((service, event["event_type"]), event)


listener = events.Listener(os.environ["TESTBED_AMQP_URL"], hear)
thread = threading.Thread(target=listener.run, daemon=True)
thread.start()
if not listener.ready.wait(20):
    sys.exit("no message bus")

admin = openstack.connect(cloud="admin")
auth = admin.config.get_auth_args()

# --- identity
domain = admin.identity.create_domain(name=f"dept-{TAG}")
project = admin.identity.create_project(name="it", domain_id=domain.id, tags=["costcentre:42"])
user = admin.identity.create_user(name="li", domain_id=domain.id, password="Secret-1")
member = admin.identity.find_role("member")
admin.identity.assign_project_role_to_user(project, user, member)
# without the two False, the cloud named by OS_CLOUD would be mixed in, and login fails with 401
plain = {"load_yaml_config": False, "load_envvars": False, "region_name": "RegionOne", "auth_url": auth["auth_url"]}
person = openstack.connect(username="li", password="Secret-1", user_domain_id=domain.id, project_id=project.id, **plain)
secret = person.identity.create_application_credential(person.current_user_id, "govpool", roles=[{"id": member.id}])
cloud = openstack.connect(
    auth_type="v3applicationcredential", application_credential_id=secret.id, application_credential_secret=secret.secret, **plain
)
assert cloud.current_project_id == project.id
step("domain, project, user, role, application credential")

# --- quotas
admin.set_compute_quotas(project.id, instances=6, cores=12, ram=20480)
admin.set_network_quotas(project.id, networks=2, floating_ips=3, security_groups=5)
admin.set_volume_quotas(project.id, volumes=3, gigabytes=20)
assert cloud.compute.get_limits().absolute.instances == 6
step("nova, neutron and cinder quotas")

# --- network
public = cloud.network.find_network("public")
net = cloud.network.create_network(name="lan")
subnet = cloud.network.create_subnet(name="lan", network_id=net.id, ip_version=4, cidr="10.1.0.0/24")
subnet6 = cloud.network.create_subnet(name="lan6", network_id=net.id, ip_version=6, cidr="fd00:1::/64")
router = cloud.network.create_router(name="gw", external_gateway_info={"network_id": public.id})
cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
group = cloud.network.create_security_group(name="web")
cloud.network.create_security_group_rule(
    security_group_id=group.id, direction="ingress", protocol="tcp", ethertype="IPv4", port_range_min=443, port_range_max=443
)
key = cloud.compute.create_keypair(
    name="key", type="ssh", public_key=("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO5ZBGGxRfvgLLFOVXSQTMF0yMoYLCpCBcIyJM1wWvcm smoke")
)
step("network, IPv4 and IPv6 subnets, router, security group, keypair")

# --- servers
image, small, medium = (
    cloud.image.find_image("tiny"),
    cloud.compute.find_flavor("m1.small"),
    cloud.compute.find_flavor("m1.medium"),
)
servers = [
    cloud.compute.create_server(
        name=f"vm{i}",
        image_id=image.id,
        flavor_id=small.id,
        networks=[{"uuid": net.id}],
        key_name=key.name,
        security_groups=[{"name": "web"}],
        metadata={"system": "portal"},
    )
    for i in range(5)
]
servers = [cloud.compute.wait_for_server(s, wait=120, interval=0.3) for s in servers]
assert all(s.addresses["lan"] for s in servers)
where = collections.Counter(admin.compute.get_server(s).compute_host for s in servers)
ports = {p.status for p in cloud.network.ports(network_id=net.id, device_owner="compute:nova")}
step(f"5 servers ACTIVE on {dict(where)}, addresses {[a['addr'] for a in servers[0].addresses['lan']]}, ports {ports}")

first, second = servers[:2]
cloud.compute.resize_server(first, medium)
cloud.compute.wait_for_server(first, status="VERIFY_RESIZE", wait=120, interval=0.3)
cloud.compute.confirm_server_resize(first)
first = cloud.compute.wait_for_server(first, status="ACTIVE", wait=120, interval=0.3)
assert first.flavor.vcpus == 2
step("resized and confirmed")
cloud.compute.stop_server(second)
cloud.compute.wait_for_server(second, status="SHUTOFF", wait=60, interval=0.3)
cloud.compute.start_server(second)
cloud.compute.wait_for_server(second, status="ACTIVE", wait=60, interval=0.3)
step("stopped and started")

ip = cloud.network.create_ip(floating_network_id=public.id, port_id=next(cloud.network.ports(device_id=second.id)).id)
step(f"floating address {ip.floating_ip_address}, status {ip.status}")

# --- volumes
volume = cloud.block_storage.create_volume(size=4, name="data")
volume = cloud.block_storage.wait_for_status(volume, "available", interval=0.3, wait=60)
cloud.compute.create_volume_attachment(first, volume_id=volume.id)
volume = cloud.block_storage.wait_for_status(volume, "in-use", interval=0.3, wait=60)
snapshot = cloud.block_storage.create_snapshot(volume_id=volume.id, is_forced=True)
cloud.block_storage.wait_for_status(snapshot, "available", interval=0.3, wait=60)
cloud.block_storage.delete_snapshot(snapshot)
cloud.block_storage.wait_for_delete(snapshot, interval=0.3, wait=60)
cloud.compute.delete_volume_attachment(first, volume.id)
cloud.block_storage.wait_for_status(volume, "available", interval=0.3, wait=60)
cloud.block_storage.extend_volume(volume, 6)
cloud.block_storage.wait_for_status(volume, "available", interval=0.3, wait=60)
step("volume made, attached, snapshotted, detached, extended")

own = cloud.image.create_image(name=f"own-{TAG}", data=b"x" * 4096, disk_format="raw", container_format="bare")
assert cloud.image.get_image(own.id).status == "active"
cloud.image.delete_image(own.id)
step("image uploaded and deleted")

# --- limits hold
for what, attempt in {
    "servers": lambda: cloud.compute.create_server(
        name="many", image_id=image.id, flavor_id=small.id, networks=[{"uuid": net.id}], min_count=3, max_count=3
    ),
    "volumes": lambda: cloud.block_storage.create_volume(size=50),
    "networks": lambda: [cloud.network.create_network(name="n") for _ in range(3)],
}.items():
    try:
        attempt()
        sys.exit(f"quota for {what} does not hold")
    except exceptions.HttpException as e:
        step(f"quota on {what}: {e.status_code} {e.details}")

# --- a fault on request
broken = cloud.compute.create_server(
    name="broken", image_id=image.id, flavor_id=small.id, networks=[{"uuid": net.id}], metadata={"testbed_fail": "spawn"}
)
try:
    cloud.compute.wait_for_server(broken, wait=60, interval=0.3)
    sys.exit("a server that had to fail did not")
except exceptions.ResourceFailure:
    step(f"fault on request: {cloud.compute.get_server(broken).fault['message']}")
cloud.compute.delete_server(broken)

# --- usage and capacity
day, now = datetime.timedelta(days=1), datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
usage = admin.compute.get_usage(project, start=now - day, end=now + day)
step(
    f"os-simple-tenant-usage: {len(usage.server_usages)} servers, "
    f"{usage.total_vcpus_usage:.4f} vCPU hours, {usage.total_memory_mb_usage:.1f} MB hours"
)
for provider in admin.placement.resource_providers():
    stock = {i.resource_class: i.total for i in admin.placement.resource_provider_inventories(provider)}
    used = admin.placement.get(f"/resource_providers/{provider.id}/usages").json()["usages"]
    step(f"placement {provider.name}: {stock}, used {used}")
totals = admin.placement.get(f"/usages?project_id={project.id}", microversion="1.38").json()["usages"]
step(f"placement usages of the project: {totals}")

# --- remove everything
cloud.network.delete_ip(ip)
for server in servers:
    cloud.compute.delete_server(server)
for server in [*servers, broken]:
    cloud.compute.wait_for_delete(server, interval=0.3, wait=60)
cloud.block_storage.delete_volume(volume)
cloud.block_storage.wait_for_delete(volume, interval=0.3, wait=60)
cloud.network.remove_interface_from_router(router, subnet_id=subnet.id)
cloud.network.delete_router(router)
for network in cloud.network.networks(project_id=project.id):
    cloud.network.delete_network(network)
cloud.network.delete_security_group(group)
cloud.compute.delete_keypair(key)
person.identity.delete_application_credential(person.current_user_id, secret)
for sg in admin.network.security_groups(project_id=project.id):
    admin.network.delete_security_group(sg)
admin.identity.delete_project(project)
admin.identity.update_domain(domain, is_enabled=False)
admin.identity.delete_domain(domain)
step("all deleted")

time.sleep(1)
listener.should_stop = True
thread.join(10)
for service in events.TOPICS:
    print(f"\n{service}: " + ", ".join(f"{kind} {n}" for (s, kind), n in sorted(heard.items()) if s == service))
wanted = [
    ("nova", f"instance.{verb}")
    for verb in (
        "create.end",
        "resize_confirm.end",
        "resize_finish.end",
        "power_off.end",
        "power_on.end",
        "delete.end",
        "create.error",
        "volume_attach.end",
    )
] + [
    ("cinder", "volume.create.end"),
    ("cinder", "volume.delete.end"),
    ("glance", "image.upload"),
    ("neutron", "floatingip.create.end"),
    ("keystone", "identity.authenticate"),
    ("keystone", "identity.project.created"),
]
print("\nsamples:")
for key in wanted:
    if key in samples:
        print(events.brief(key[0], samples[key]))
missing = [key for key in wanted if key not in samples]
sys.exit(f"notifications missing: {missing}" if missing else 0)
