"""Members whose data lies on a small file system of its own, which a test fills and empties. The program that uses it
runs in a mount namespace of its own, so nothing stays mounted; where the system allows none, its tests are skipped
loudly."""

import contextlib
import os
import shutil
import subprocess
import sys

from cluster import Cluster

MIB = 1 << 20
MARK = "RAFTD_E2E_OWN_MOUNTS"


def enter_own_mounts():
    """Starts this program again in a mount namespace of its own (and a user namespace, for who isn't root), when the
    system allows that. Called first of all."""
    if MARK in os.environ:
        return
    for flags in (["-m"], ["-Urm"]):
        probe = ["unshare", *flags, "sh", "-c", "mount -t tmpfs none /mnt"]
        with contextlib.suppress(OSError):
            if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                os.environ[MARK] = flags[0]
                os.execvp("unshare", ["unshare", *flags, sys.executable, *sys.argv])
    os.environ[MARK] = ""


def why_no_mounts():
    """Empty when file systems can be mounted here."""
    return "" if os.environ.get(MARK) else "neither root nor a user namespace may mount here"


def mount(kind, at, size_mib, work):
    """A file system of that size; false when the system has none of this kind for us."""
    at.mkdir(parents=True, exist_ok=True)
    if kind == "tmpfs":
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", at], check=True)
        return True
    image = work / (at.name + ".image")
    with open(image, "wb") as file:
        file.truncate(size_mib * MIB)
    for command in (["mkfs.ext4", "-q", "-m", "0", image], ["mount", "-o", "loop", image, at]):
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return False
    return True


class SmallDisks(Cluster):
    """A cluster whose members each have a disk of their own: cluster.fill(name) leaves no byte on it."""

    def __init__(self, nodes, size_mib=40, kind="tmpfs"):
        super().__init__(nodes, start=False)
        self.size_mib, self.kind = size_mib, kind
        self.possible = True
        self.disks = {name: self.work / f"disk-{name}" for name in self.names}

    def __enter__(self):
        super().__enter__()
        for name, disk in self.disks.items():
            if not mount(self.kind, disk, self.size_mib, self.work):
                self.possible = False
                return self
            data = self.folder / name / "data"
            shutil.copytree(data, disk / "data")
            os.chmod(disk / "data", 0o700)
            shutil.rmtree(data)
            data.symlink_to(disk / "data")
            self.configure(name, "log", segment_bytes="4MiB", disk_free_min="12MiB", disk_free_reserve="6MiB")
            self.configure(name, "snapshot", wal_keep_bytes="4MiB")
            # So that an end of the mount isn't missed: what isn't the disk's fault is not to look like it.
            self.configure(name, "raft", election_timeout="1s")
        self.run("start")
        self.run("wait", "healthy")
        return self

    def __exit__(self, kind, error, trace):
        try:
            super().__exit__(kind, error, trace)
        finally:
            for disk in self.disks.values():
                subprocess.run(["umount", "-l", disk], capture_output=True, check=False)
            shutil.rmtree(self.work, ignore_errors=True)

    def free(self, name):
        room = os.statvfs(self.disks[name])
        return room.f_bavail * room.f_frsize

    def fill(self, name, leave=0):
        """Takes all but `leave` bytes, as another program on that disk would."""
        with open(self.disks[name] / "filler", "ab") as file:
            block = bytes(1 << 16)
            while self.free(name) > leave:
                part = block[:max(1, min(len(block), self.free(name) - leave))]
                try:
                    os.write(file.fileno(), part)
                except OSError:
                    if len(block) == 1:
                        break
                    block = block[:len(block) // 16]
            with contextlib.suppress(OSError):
                os.fsync(file.fileno())

    def make_room(self, name):
        with contextlib.suppress(FileNotFoundError):
            (self.disks[name] / "filler").unlink()

    def alarms(self, name):
        members = self.status().get("members", [])
        return next((member["alarms"] for member in members if member["name"] == name), [])
