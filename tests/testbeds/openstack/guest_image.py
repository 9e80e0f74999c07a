"""Builds the guest of the testbed: Debian's cloud kernel, busybox, and one shell script.

  guest_image.py FOLDER       writes FOLDER/kernel and FOLDER/ramdisk, without root

The packages are fetched but not installed; the ramdisk is written here, file by file.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ata_piix", "sr_mod", "isofs", "evdev", "button")
INIT = r"""#!/bin/busybox sh
# all that runs in a guest; what it prints is nova's console log
export PATH=/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/null >/dev/ttyS0 2>&1
while read module; do insmod /modules/$module; done </modules/order
for i in 0 1 2 3 4 5 6 7 8 9; do [ -b /dev/sr0 ] && break; usleep 100000; done
drive=/config/openstack/latest
mount -t iso9660 -o ro /dev/sr0 /config
name=$(sed -n 's/.*"hostname": "\([^"]*\)".*/\1/p' $drive/meta_data.json)
hostname "${name:-guest}"
for disk in /sys/block/vd*; do
    echo "govpool disk ${disk##*/} $(($(cat $disk/size) / 2048)) MiB serial $(cat $disk/serial)"
done
# the value of a field (not an IPv6 address) in the first line of the network data that has $2
field() { sed -n "/$2/s/.*\"$1\": \"\([^\":]*\)\".*/\1/p" /network | head -n 1; }
[ -e $drive/network_data.json ] && tr '{' '\n' <$drive/network_data.json >/network
ifconfig lo 127.0.0.1
for nic in /sys/class/net/eth*; do
    [ -e $nic ] || continue
    mac=$(cat $nic/address)
    link=$(field id $mac)
    address=$(field ip_address "ip_address.*$link\|$link.*ip_address")
    ifconfig ${nic##*/} $address ${address:+netmask $(field netmask $address)} up
    echo "govpool nic $mac ${address:-no address}"
done
# user data: a script to run, or else its first line to show
if [ "$(head -c 2 $drive/user_data 2>/dev/null)" = '#!' ]; then
    sh $drive/user_data &
elif [ -e $drive/user_data ]; then
    echo "govpool user-data $(head -n 1 $drive/user_data)"
fi
echo "govpool guest up $(hostname) $(cat /sys/class/dmi/id/product_uuid) after $(
    cut -d ' ' -f 1 /proc/uptime) s"
# sleeps until someone presses the power button, which is what nova does to stop a server
button=$(sed -n '/Power Button/,/^$/s/^H: .*\(event[0-9]*\).*/\1/p' /proc/bus/input/devices)
dd if=/dev/input/$button of=/dev/null bs=24 count=1 2>/dev/null
echo 'govpool guest off'
poweroff -f
"""


def fetch(folder, package):
    """What a Debian package holds, without installing it."""
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
    for deb in folder.glob(f"{package}_*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)


def wanted(modules):
    """The files of MODULES and of what they need, in loading order."""
    names = {p.name.split(".")[0].replace("-", "_"): p for p in modules.rglob("*.ko")}
    order = []

    def add(name):
        for need in re.search(rb"\0depends=([^\0]*)", b"\0" + names[name].read_bytes())[1].decode().split(","):
            if need:
                add(need.replace("-", "_"))
        if names[name] not in order:
            order.append(names[name])

    for name in MODULES:
        add(name)
    return order


def cpio(path, entries):
    """A ramdisk in the kernel's own format; entries are (name, mode, content)."""
    with open(path, "wb") as out:
        for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
            fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
            head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
            out.write(head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4))


def build(folder):
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        tree = pathlib.Path(name)
        tree.chmod(0o755)
        depends = subprocess.run(
            ["apt-cache", "depends", "linux-image-cloud-amd64"], check=True, capture_output=True, text=True
        ).stdout
        fetch(tree, re.search(r"linux-image-\S+", depends.partition("Depends:")[2])[0])
        fetch(tree, "busybox-static")
        order = wanted(tree / "lib/modules")
        directory, program, text = 0o40755, 0o100755, 0o100644
        entries = [(name, directory, b"") for name in ("bin", "dev", "proc", "sys", "modules", "config")]
        entries += [
            ("bin/busybox", program, (tree / "bin/busybox").read_bytes()),
            ("init", program, INIT.encode()),
            ("modules/order", text, "".join(f"{p.name}\n" for p in order).encode()),
        ]
        entries += [(f"modules/{p.name}", text, p.read_bytes()) for p in order]
        cpio(folder / "ramdisk", entries)
        shutil.copy(next(tree.glob("boot/vmlinuz-*")), folder / "kernel")


if __name__ == "__main__":
    build(pathlib.Path(sys.argv[1]).resolve())
