"""A real, small ext4 file system that can be filled up; where none can be mounted, a disk that says it is full."""

import errno
import os
import shutil
import subprocess
import sys

from crashing import scene
from crashing.recorder import GROWTH, INODES, Recorder

MEGABYTES = 32


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(errno.EPERM, done.stderr.strip())


class SmallDisk:
    """A separate file system, in a file.

    Args:
        folder: an empty folder to work in. inodes: how many it has.

    Attributes:
        real: False where it is only played.
    """

    def __init__(self, folder, inodes):
        self.place, self.inodes, self.real = str(folder) + "/disk", inodes, True
        self.root, self.filler = self.place + "/root", self.place + "/filler"
        os.mkdir(self.place)
        try:
            image = str(folder) + "/image"
            with open(image, "wb") as file:
                file.truncate(MEGABYTES * 1024 * 1024)
            run("mkfs.ext4", "-q", "-m", "0", "-N", str(inodes), image)
            run("mount", "-o", "loop", image, self.place)
        except OSError as error:
            sys.stderr.write("no separate file system can be mounted, a full disk is simulated: %s\n" % error)
            self.real = False

    @property
    def title(self):
        """What the table of faults calls it."""
        return "Full disks" if self.real else "Full disks, played"

    def fill(self):
        """Take every byte that is free."""
        if not self.real:
            return self._play(GROWTH)
        with open(self.filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
            os.fsync(file.fileno())
        return None

    def fill_inodes(self):
        """Take every inode that is free."""
        if not self.real:
            return self._play(INODES)
        os.mkdir(self.filler)
        try:
            for number in range(self.inodes):
                with open("%s/%d" % (self.filler, number), "wb"):
                    pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
        assert os.statvfs(self.place).f_favail == 0
        return None

    def _play(self, kinds):
        reserve = self.root + "/reserve"
        scene.record(
            Recorder(self.root, lambda _, kind: os.path.exists(reserve) and kind in kinds and errno.ENOSPC)
        )

    def free(self):
        """Give back what was taken."""
        scene.files.os = os
        if os.path.isdir(self.filler):
            shutil.rmtree(self.filler)
        elif os.path.exists(self.filler):
            os.unlink(self.filler)

    def close(self):
        """Take the file system away."""
        if self.real:
            run("umount", "--lazy", self.place)
