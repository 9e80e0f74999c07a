"""cinder driver of the testbed: each volume is a sparse file, no root, no LVM, no mount.

The files are real (create, clone, snapshot, extend, image copy); only the export is not:
attaching hands nova the file's path, which nova's fake driver merely notes and its libvirt
driver (nova_virt_govpool_guests.py) gives to the guest as a disk.
"""

import os
import subprocess

from cinder import interface
from cinder.volume import driver

GIB = 1024**3


@interface.volumedriver
class SparseFileDriver(driver.VolumeDriver):
    VERSION = "1.0"
    CI_WIKI_NAME = "govpool-testbed"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.root = os.environ["TESTBED_VOLUME_DIR"]
        self.capacity_gb = int(os.environ.get("TESTBED_VOLUME_GB", 100_000))

    def _path(self, thing):
        return os.path.join(self.root, thing.name)

    def _grow(self, path, size_gb):
        with open(path, "ab") as f:
            f.truncate(size_gb * GIB)

    def _copy(self, source, target, size_gb):
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)
        self._grow(target, size_gb)

    def _remove(self, thing):
        if os.path.exists(self._path(thing)):
            os.unlink(self._path(thing))

    def check_for_setup_error(self):
        os.makedirs(self.root, exist_ok=True)

    def create_volume(self, volume):
        self._grow(self._path(volume), volume.size)

    def delete_volume(self, volume):
        self._remove(volume)

    def create_snapshot(self, snapshot):
        self._copy(self._path(snapshot.volume), self._path(snapshot), snapshot.volume_size)

    def delete_snapshot(self, snapshot):
        self._remove(snapshot)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(self._path(snapshot), self._path(volume), volume.size)

    def create_cloned_volume(self, volume, src_vref):
        self._copy(self._path(src_vref), self._path(volume), volume.size)

    def extend_volume(self, volume, new_size):
        self._grow(self._path(volume), new_size)

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        # cinder's own way needs qemu-img and, even as root, sudo
        with open(self._path(volume), "wb") as f:
            image_service.download(context, image_meta["id"], f)
        self._grow(self._path(volume), volume.size)
        return {}, True

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector):
        return {"driver_volume_type": "local", "data": {"device_path": self._path(volume)}}

    def terminate_connection(self, volume, connector, **kwargs):
        pass

    def _update_volume_stats(self):
        used = sum(e.stat().st_size for e in os.scandir(self.root)) // GIB
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": "govpool",
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "pools": [
                {
                    "pool_name": "sparse",
                    "total_capacity_gb": self.capacity_gb,
                    "free_capacity_gb": self.capacity_gb - used,
                    "allocated_capacity_gb": used,
                    "provisioned_capacity_gb": used,
                    "reserved_percentage": 0,
                    "max_over_subscription_ratio": "1.0",
                    "thin_provisioning_support": False,
                    "thick_provisioning_support": True,
                    "QoS_support": False,
                    "multiattach": True,
                }
            ],
        }
