"""nova compute driver of the testbed: nova's own FakeDriver, made fit for long runs.

Copied to nova/virt/govpool.py because nova loads drivers only from nova.virt.
Beyond FakeDriver: capacity from the environment, several nodes under one nova-compute,
instances survive a restart of nova-compute, and faults on request by server metadata:
  testbed_fail=spawn|power_off|resize   the call raises
  testbed_delay=SECONDS                 spawn takes that long
"""

import os
import time
import uuid

from nova import exception
from nova.compute import power_state, vm_states
from nova.scheduler.client import report
from nova.virt import fake, node

LIVE = (vm_states.ACTIVE, vm_states.STOPPED, vm_states.PAUSED, vm_states.SUSPENDED, vm_states.RESIZED, vm_states.RESCUED)

NODES = int(os.environ.get("TESTBED_NODES", 1))

# At every claim, under one lock, nova asks placement for the allocation of each server
# on the node, one request a server: with 500 servers on it a claim takes 7 s.  The
# answer matters only to PCI devices in placement and to reshapes, which we have not.
report.SchedulerReportClient.get_allocations_for_provider_tree = lambda *args: {}


class FakeCloudDriver(fake.FakeDriverWithoutFakeNodes):
    capabilities = dict(fake.FakeDriver.capabilities, supports_image_type_qcow2=True)  # noqa: RUF012  read by nova as it is
    vcpus = int(os.environ.get("TESTBED_HOST_VCPUS", 4096))
    memory_mb = int(os.environ.get("TESTBED_HOST_RAM_MB", 16 * 1024 * 1024))
    local_gb = int(os.environ.get("TESTBED_HOST_DISK_GB", 1_000_000))

    def init_host(self, host):
        self._host = host
        self._set_nodes([host] if NODES == 1 else [f"{host}n{i:03d}" for i in range(NODES)])

    def get_nodenames_by_uuid(self, refresh=False):
        first = node.get_local_node_uuid()  # kept in state_path, as for a real driver
        return {str(uuid.uuid5(uuid.UUID(first), name)) if i else first: name for i, name in enumerate(self.get_available_nodes())}

    def get_available_resource(self, nodename):
        known = {name: key for key, name in self.get_nodenames_by_uuid().items()}
        return dict(super().get_available_resource(nodename), uuid=known.get(nodename))

    def _adopt(self, instance):
        """After a restart the guests 'still run': take them over from the database."""
        if instance.uuid not in self.instances and instance.host == self._host and instance.vm_state in LIVE:
            self.resources.claim(instance.flavor.vcpus, instance.flavor.memory_mb, instance.flavor.root_gb)
            self.instances[instance.uuid] = fake.FakeInstance(
                instance.name, instance.power_state or power_state.RUNNING, instance.uuid
            )

    def _fault(self, instance, step):
        if instance.metadata.get("testbed_fail") == step:
            raise exception.NovaException(f"testbed: {step} failed on request")

    def spawn(self, context, instance, *args, **kwargs):
        time.sleep(min(600.0, float(instance.metadata.get("testbed_delay", 0))))
        self._fault(instance, "spawn")
        super().spawn(context, instance, *args, **kwargs)

    def migrate_disk_and_power_off(self, context, instance, *args, **kwargs):
        self._fault(instance, "resize")
        return super().migrate_disk_and_power_off(context, instance, *args, **kwargs)

    def get_info(self, instance, use_cache=True):
        self._adopt(instance)
        return super().get_info(instance, use_cache)

    def power_off(self, instance, timeout=0, retry_interval=0):
        self._adopt(instance)
        self._fault(instance, "power_off")
        super().power_off(instance, timeout, retry_interval)

    def power_on(self, context, instance, *args, **kwargs):
        self._adopt(instance)
        super().power_on(context, instance, *args, **kwargs)

    def destroy(self, context, instance, *args, **kwargs):
        self._adopt(instance)
        super().destroy(context, instance, *args, **kwargs)
