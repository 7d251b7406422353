"""The initrd of an emulated machine: busybox, kernel modules and the board's own files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgewright.lab.emulation.architectures import Kernel
from edgewright.lab.registry.state import LabError

FOLDER = "etc/edgewright"  # the board's own files, on its disk
INIT = """\
#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /disk
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
for module in {modules}; do $b insmod /modules/$module; done
n=0
until [ -b /dev/vda ] || [ $n -gt 100 ]; do $b usleep 50000; n=$((n + 1)); done
$b mount -t ext4 -o rw /dev/vda /disk || exec $b poweroff -f
$b mkdir -p /disk/{folder} /disk/proc /disk/sys /disk/dev /disk/run /disk/tmp /disk/home/{user}/.edgewright
$b cp /board/* /disk/{folder}/
$b cp /board/passwd /board/group /disk/etc/
[ -e /disk/home/{user}/.edgewright/facts.json ] || $b cp /board/facts.json /disk/home/{user}/.edgewright/
$b chmod 1777 /disk/tmp
$b chmod 700 /disk/home/{user} /disk/home/{user}/.edgewright
$b chown -R {uid}:{uid} /disk/home/{user}
$b umount /sys
$b umount /proc
$b mount --move /dev /disk/dev
exec $b switch_root /disk /bin/busybox sh /{folder}/boot
"""
BOOT = """\
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mkdir -p /dev/pts /dev/shm
$b mount -t devpts devpts /dev/pts
$b mount -t tmpfs tmpfs /dev/shm
$b mount -t tmpfs -o mode=755 tmpfs /run
$b mkdir -p /run/sshd
$b hostname {name}
$b ip link set lo up
$b ip link set eth0 up
$b ip addr add 10.0.2.15/24 dev eth0
echo '::respawn:/usr/sbin/sshd -D -e -f /{folder}/sshd_config' > /etc/inittab
exec $b init
"""


def modules(userland: Path, wanted: Sequence[str]) -> list[Path]:
    """The files of the wanted kernel modules, each after its dependencies.

    Raises:
        LabError: the userland has no kernel, or one without these modules.
    """
    found = {
        path.name.partition(".")[0].replace("-", "_"): path
        for path in sorted(userland.glob("lib/modules/*/kernel/**/*.ko"))
    }
    order: list[Path] = []
    for name in wanted:
        _append(name, found, order)
    return order


def _append(name: str, found: Mapping[str, Path], order: list[Path]) -> None:
    if name not in found:
        raise LabError(f"the emulated machine's kernel has no module {name}", hint="try another --suite")
    for needed in _depends(found[name]):
        _append(needed, found, order)
    if found[name] not in order:
        order.append(found[name])


def _depends(module: Path) -> list[str]:
    """The dependencies listed in a module's own `.modinfo`."""
    said = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
    names = said[1].decode().split(",") if said else []
    return [name.replace("-", "_") for name in names if name]


def build(
    userland: Path, kernel: Kernel, board: Mapping[str, bytes], *, name: str, user: str, uid: int
) -> bytes:
    """The initrd of one board, in the kernel's `newc` form.

    Args:
        userland: root of the userland, the source of busybox and the modules.
        board: the board's own files: `passwd`, `group`, `facts.json`, `sshd_config`, keys.
    """
    drivers = modules(userland, kernel.modules)
    values = {"folder": FOLDER, "user": user, "uid": uid, "name": name}
    init = INIT.format(modules=" ".join(path.name for path in drivers), **values)
    archive = _Archive()
    for folder in ("bin", "modules", "board"):
        archive.add(folder, b"", 0o040755)
    archive.add("init", init.encode(), 0o100755)
    archive.add("bin/busybox", (userland / "bin/busybox").read_bytes(), 0o100755)
    for path in drivers:
        archive.add(f"modules/{path.name}", path.read_bytes(), 0o100644)
    for key, data in {**board, "boot": BOOT.format(**values).encode()}.items():
        archive.add(f"board/{key}", data, 0o100600 if key == "host_key" else 0o100644)
    return archive.finish()


class _Archive:
    """A cpio archive: a header of 13 hexadecimal fields, the name, the bytes, each padded to four."""

    def __init__(self) -> None:
        self._out = io.BytesIO()
        self._number = 0

    def add(self, name: str, data: bytes, mode: int) -> None:
        """Appends one file or folder, owned by root."""
        self._number += 1
        fields = [self._number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        self._out.write(b"070701" + b"".join(b"%08X" % field for field in fields))
        self._out.write(name.encode() + b"\0")
        self._pad()
        self._out.write(data)
        self._pad()

    def finish(self) -> bytes:
        """The complete archive, including the trailer."""
        self.add("TRAILER!!!", b"", 0)
        return self._out.getvalue()

    def _pad(self) -> None:
        self._out.write(b"\0" * (-self._out.tell() % 4))
