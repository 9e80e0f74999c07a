"""nova compute driver of the testbed for real guests: nova's libvirt driver, without root.

Copied to nova/virt/govpool_guests.py because nova loads drivers only from nova.virt.
Beyond the libvirt driver: volumes are files; a NIC is a multicast group of QEMU's in the
network namespace of libvirtd, one group for each network of neutron.
"""

import uuid

import nova.conf
from nova.virt.libvirt import config, driver, vif

CONF = nova.conf.CONF

# cinder_sparse.py gives the path of a file; nova's own class for 'local' wants a block device
driver.VOLUME_DRIVERS["local"] = "nova.virt.libvirt.volume.gpfs.LibvirtGPFSVolumeDriver"


class Wire(config.LibvirtConfigGuestInterface):
    def format_dom(self):
        dom = super().format_dom()
        source = dom.find("source")
        source.attrib.clear()
        source.set("address", self.source_dev)
        source.set("port", "5000")
        return dom


class Wires(vif.LibvirtGenericVIFDriver):
    def get_config(self, instance, vif, *args):
        wire = Wire()
        wire.net_type, wire.model, wire.mac_addr = "mcast", "virtio", vif["address"]
        wire.source_dev = ".".join(map(str, (239, *uuid.UUID(vif["network"]["id"]).bytes[:3])))
        return wire

    def plug(self, instance, vif):
        pass

    def unplug(self, instance, vif):
        pass


class GuestDriver(driver.LibvirtDriver):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.vif_driver = Wires(self._host)
        self._host.get_hostname = lambda: CONF.host  # the node's name; not the machine's

    def get_volume_connector(self, instance):
        return {"host": CONF.host, "ip": CONF.my_ip, "initiator": "none"}
