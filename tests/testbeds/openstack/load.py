"""Boots many fake servers, tells how fast, and removes them again.

eval "$(./testbed env)"; "$TESTBED_PYTHON" load.py COUNT [--batch N] [--no-network] [--keep]
"""

import argparse
import sys
import time

import openstack

parser = argparse.ArgumentParser()
parser.add_argument("count", type=int)
parser.add_argument("--batch", type=int, default=20, help="servers for each API request")
parser.add_argument("--no-network", action="store_true")
parser.add_argument("--keep", action="store_true")
args = parser.parse_args()

cloud = openstack.connect(cloud="admin")
project = cloud.identity.find_project("demo")
cloud.set_compute_quotas(project.id, instances=-1, cores=-1, ram=-1)
cloud.set_network_quotas(project.id, ports=-1)
member = openstack.connect(cloud="member")
image, flavor = member.image.find_image("tiny"), member.compute.find_flavor("t1.nano")
networks = "none"
if not args.no_network:
    net = member.network.find_network("load") or member.network.create_network(name="load")
    if not list(member.network.subnets(network_id=net.id)):
        member.network.create_subnet(name="load", network_id=net.id, ip_version=4, cidr="10.64.0.0/16")
    networks = [{"uuid": net.id}]


def left(status=None):
    return sum(1 for _ in member.compute.servers(details=False, status=status))


before, began, sent = left("ACTIVE"), time.time(), 0
while sent < args.count:
    n = min(args.batch, args.count - sent)
    member.compute.create_server(
        name=f"load{sent}", image_id=image.id, flavor_id=flavor.id, networks=networks, min_count=n, max_count=n
    )
    sent += n
print(f"{sent} accepted after {time.time() - began:.1f} s", flush=True)
while building := left("BUILD"):
    print(f"{time.time() - began:6.1f} s {building} still building", flush=True)
    time.sleep(5)
took, made = time.time() - began, left("ACTIVE") - before
print(f"{made} ACTIVE after {took:.1f} s: {made / took:.2f} a second")
began = time.time()
total = len(list(member.compute.servers(details=True)))
print(f"listing {total} servers with details: {time.time() - began:.2f} s")
if not args.keep:
    began = time.time()
    for server in list(member.compute.servers(details=False)):
        member.compute.delete_server(server)
    while remaining := left():
        print(f"{time.time() - began:6.1f} s {remaining} left", flush=True)
        time.sleep(2)
    took = time.time() - began
    print(f"deleted after {took:.1f} s: {total / took:.2f} a second")
    if not args.no_network:
        member.network.delete_network(net)
sys.exit(0 if made == args.count else 1)
