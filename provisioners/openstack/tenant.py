"""What a department has in the cloud before its first machine: a domain for the installation, a project, our role in it, a closed
security group, a network with an IPv4 and an IPv6 subnet, a router where the pool names a way out.  Every part is found by its name or
made; asking again is safe.

Neutron knows no unique names: of two that were made at once the older one counts, and the other stays empty.
"""

import hashlib
import ipaddress
import threading
from collections.abc import Mapping
from typing import Any, Final

from provisioners import contract
from provisioners.openstack import faults, limits, marks, wire
from provisioners.openstack import options as settings
from provisioners.openstack.client import IDENTITY, NETWORK, Client

NAME: Final = "govpool"
"""Of every part in the network service."""
_ZEROED: Final = "govpool-limits"
"""Tag of a project whose limits were once set to nothing: from then on `set_limits` alone decides."""
_OLD_ENOUGH: Final = "9999"


class Tenants:
    """The projects of one cloud; what was found once is remembered."""

    def __init__(self, client: Client, options: settings.Options) -> None:
        self._client = client
        self._options = options
        self._guard = threading.Lock()
        self._projects: dict[tuple[str, str], str] = {}
        self._networks: dict[str, tuple[str, str]] = {}

    def ensure(self, tenant: contract.Tenant) -> str:
        """The id of the department's project, with all that belongs to it.  Raises TemporaryError, PermanentError, AnswerLost."""
        domain = self._domain(tenant.installation)
        project = self._project(domain, tenant)
        self._grant(project.id)
        if _ZEROED not in project.tags:
            limits.put(self._client, self._options, project.id, {})
            self._change("PUT", IDENTITY, f"/projects/{project.id}/tags/{_ZEROED}", wire.Nothing)
        self._group(project.id)
        self._network(project.id, tenant)
        with self._guard:  # somebody may have deleted what was known
            self._projects[tenant.installation, tenant.code] = project.id
            self._networks.pop(project.id, None)
        return project.id

    def project_of(self, installation: str, code: str) -> str:
        """The id of a department's project.  Raises TemporaryError if `ensure` was not there yet."""
        project = self._find(installation, code)
        if not project:
            raise faults.tenant_unknown()
        return project

    def owns(self, metadata: Mapping[str, str], project: str) -> bool:
        """Whether a thing in `project` is what its metadata say.  Anybody can write metadata and tags, nobody else has our projects."""
        installation, code = metadata.get(marks.INSTALLATION, ""), metadata.get(marks.TENANT, "")
        return bool(installation and code and project) and self._find(installation, code) == project

    def _find(self, installation: str, code: str) -> str:
        """The id of a department's project, '' if there is none.  Raises TemporaryError."""
        with self._guard:
            known = self._projects.get((installation, code))
        if known:
            return known
        domains = self._client.get(IDENTITY, "/domains", "domains", list[wire.Named], name=_domain_name(installation))
        projects = (
            self._client.get(IDENTITY, "/projects", "projects", list[wire.Project], domain_id=domains[0].id, name=code)
            if domains
            else []
        )
        if not projects:
            return ""
        with self._guard:
            self._projects[installation, code] = projects[0].id
        return projects[0].id

    def network_of(self, project: str) -> tuple[str, str]:
        """Ids of the network and of the closed security group of a project.  Raises TemporaryError if `ensure` was not there yet."""
        with self._guard:
            known = self._networks.get(project)
        if known:
            return known
        network, group = self._oldest("networks", project), self._oldest("security-groups", project)
        if network is None or group is None:
            raise faults.tenant_unknown()
        with self._guard:
            self._networks[project] = network.id, group.id
        return network.id, group.id

    # -- keystone --------------------------------------------------------------------------------------------------------------

    def _domain(self, installation: str) -> str:
        name = _domain_name(installation)
        found = self._client.get(IDENTITY, "/domains", "domains", list[wire.Named], name=name)
        if found:
            return found[0].id
        body = {"domain": {"name": name, "description": f"govpool installation {installation}"}}
        return str(self._change("POST", IDENTITY, "/domains", wire.Named, body=body, key="domain").id)

    def _project(self, domain: str, tenant: contract.Tenant) -> wire.Project:
        found = self._client.get(IDENTITY, "/projects", "projects", list[wire.Project], domain_id=domain, name=tenant.code)
        if not found:
            body = {"project": {"name": tenant.code, "domain_id": domain, "description": tenant.name, "tags": [NAME]}}
            made: wire.Project = self._change("POST", IDENTITY, "/projects", wire.Project, body=body, key="project")
            return made
        if found[0].description != tenant.name:
            self._change(
                "PATCH", IDENTITY, f"/projects/{found[0].id}", wire.Nothing, body={"project": {"description": tenant.name}}
            )
        return found[0]

    def _grant(self, project: str) -> None:
        """Our account becomes a member: what a department has is made in its project, within its limits."""
        roles = self._client.get(IDENTITY, "/roles", "roles", list[wire.Named], name="member")
        if not roles:
            raise faults.credential()
        self._change("PUT", IDENTITY, f"/projects/{project}/users/{self._client.user_id()}/roles/{roles[0].id}", wire.Nothing)

    # -- neutron ---------------------------------------------------------------------------------------------------------------

    def _group(self, project: str) -> None:
        """A new security group lets everything out and nothing in, and so it stays until rules are ordered."""
        if self._oldest("security-groups", project) is None:
            body = {"security_group": {"name": NAME, "project_id": project, "description": "closed"}}
            self._change("POST", NETWORK, "/security-groups", wire.Named, body=body, key="security_group")

    def _network(self, project: str, tenant: contract.Tenant) -> None:
        network = self._oldest("networks", project)
        if network is None:
            made: dict[str, Any] = {"network": {"name": NAME, "project_id": project}}
            network = self._change("POST", NETWORK, "/networks", wire.Made, body=made, key="network")
        present = self._client.get(NETWORK, "/subnets", "subnets", list[wire.Made], network_id=network.id)
        by_version = {subnet.ip_version: subnet.id for subnet in present}
        for version, more in self._subnets(tenant).items():
            if version not in by_version:
                body = {"subnet": {"name": NAME, "project_id": project, "network_id": network.id, "ip_version": version} | more}
                by_version[version] = self._change("POST", NETWORK, "/subnets", wire.Made, body=body, key="subnet").id
        if self._options.external_network:
            self._router(project, list(by_version.values()))

    def _subnets(self, tenant: contract.Tenant) -> dict[int, dict[str, Any]]:
        return {
            4: {"cidr": self._options.network_v4},
            6: {"cidr": local_prefix(tenant), "ipv6_address_mode": "dhcpv6-stateful", "ipv6_ra_mode": "dhcpv6-stateful"},
        }

    def _router(self, project: str, subnets: list[str]) -> None:
        outside = self._client.get(NETWORK, "/networks", "networks", list[wire.Made], **_outside(self._options))
        if not outside:
            raise faults.service_missing(f"network {self._options.external_network}")
        router = self._oldest("routers", project)
        if router is None:
            body = {"router": {"name": NAME, "project_id": project, "external_gateway_info": {"network_id": outside[0].id}}}
            router = self._change("POST", NETWORK, "/routers", wire.Made, body=body, key="router")
        ports = self._client.get(NETWORK, "/ports", "ports", list[dict[str, Any]], device_id=router.id)
        joined = {address["subnet_id"] for port in ports for address in port["fixed_ips"]}
        for subnet in subnets:
            if subnet not in joined:
                self._change("PUT", NETWORK, f"/routers/{router.id}/add_router_interface", wire.Nothing, body={"subnet_id": subnet})

    def _oldest(self, plural: str, project: str) -> wire.Made | None:
        found = self._client.get(NETWORK, f"/{plural}", plural.replace("-", "_"), list[wire.Made], project_id=project, name=NAME)
        return min(found, key=lambda one: (one.created_at or _OLD_ENOUGH, one.id), default=None)

    def _change(self, method: str, service: str, path: str, answer: type[Any], *, body: Any = None, key: str = "") -> Any:
        try:
            return self._client.change(method, service, path, body, key=key, answer=answer)
        except faults.RefusedError as refusal:
            raise faults.refused(refusal) from refusal


def local_prefix(tenant: contract.Tenant) -> str:
    """The department's own IPv6 prefix: a unique local one (RFC 4193) whose 40 bits are a hash of installation and code."""
    bits = int.from_bytes(hashlib.sha256(f"{tenant.installation}/{tenant.code}".encode()).digest()[:5], "big")
    return f"{ipaddress.IPv6Address((0xFD << 120) | (bits << 80))}/64"


def _outside(options: settings.Options) -> dict[str, str]:
    return {"name": options.external_network, "router:external": "True"}


def _domain_name(installation: str) -> str:
    return f"govpool-{installation}"[:64]
