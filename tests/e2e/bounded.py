"""A cluster that keeps a bounded part of what is written to it, watched: disk, memory, descriptors of each member, and
what a start after kill -9 reads and replays. For e2e.bounded and `scripts/soak-cluster bounded`."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import threading
import time

from cluster import ENVIRONMENT, PATIENCE, until

MIB = 1 << 20
ARCHIVE_BYTES = 64 * MIB  # encoded; also an archive's most entries bound it
ARCHIVE_ENTRIES = 65_536
RSS_MAX = 256 * MIB  # at defaults
DESCRIPTORS_MAX = 128  # of a member with few clients; each kept archive and segment adds none


@dataclasses.dataclass
class Settings:
    retention: int = 1024 * MIB
    segment: int = 64 * MIB
    wal_keep: int = 256 * MIB
    transfer_keep: int = 1024 * MIB

    def disk_max(self):
        """docs/operations.md, "How much disk a member takes"."""
        wal = max(2 * self.wal_keep, self.wal_keep + self.transfer_keep)
        return self.retention + wal + 5 * ARCHIVE_BYTES + 3 * self.segment + 64 * MIB


def disk_of(folder):
    """Bytes that the files take; they come and go meanwhile."""
    total = 0
    for at, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(at, file)).st_blocks * 512
            except FileNotFoundError:
                pass
    return total


class Watch(threading.Thread):
    """Looks at the members all the time, and keeps the most that it has seen of each."""

    def __init__(self, cluster, every_s=0.1):
        super().__init__(daemon=True)
        self.cluster, self.every_s = cluster, every_s
        self.most = {name: {"disk": 0, "wal": 0, "rss": 0, "descriptors": 0} for name in cluster.names}
        self.looks = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.wait(self.every_s):
            self.looks += 1
            for name in self.cluster.names:
                self.look(name)

    def look(self, name):
        folder, most = self.cluster.folder / name, self.most[name]
        now = {"disk": disk_of(folder), "wal": disk_of(folder / "data" / "wal")}
        try:
            process = pathlib.Path(f"/proc/{self.cluster.pid(name)}")
            now["rss"] = int(re.search(r"VmRSS:\s+(\d+)", (process / "status").read_text())[1]) * 1024
            now["descriptors"] = len(os.listdir(process / "fd"))
        except (OSError, ValueError, TypeError, IndexError):
            pass  # it is down, or not up yet
        for what, value in now.items():
            most[what] = max(most[what], value)

    def stop(self):
        if not self.is_alive():
            raise AssertionError("nobody watched until the end")
        self.stopping.set()
        self.join(PATIENCE)

    def largest(self, what):
        return max(most[what] for most in self.most.values())


class Pour:
    """Records that can't be compressed, in a process and a thread of their own, until `total` bytes have been given or
    `until_s` has come. A member's end is nothing to it: its client goes on with another."""

    def __init__(self, cluster, record_bytes):
        self.record_bytes, self.given = record_bytes, 0
        self.process = subprocess.Popen(
            ["raftctl", "append", "-q", "--format", "length", "--timeout", "60s"], cwd=cluster.folder, env=ENVIRONMENT,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def give(self, count_bytes, until_s=float("inf")):
        head, end = struct.pack(">I", self.record_bytes), self.given + count_bytes
        while self.given < end and time.monotonic() < until_s:
            block = os.urandom(MIB)
            at = range(0, MIB, self.record_bytes)
            self.process.stdin.write(b"".join(head + block[i:i + self.record_bytes].ljust(self.record_bytes)
                                              for i in at))
            self.given += len(at) * self.record_bytes

    def end(self):
        told = self.process.communicate(timeout=PATIENCE * 5)[1].decode()
        if self.process.returncode != 0:
            raise AssertionError(f"append ended with {self.process.returncode}: {told[-500:]}")


class SleepingReader:
    """A tail that doesn't read: it must cost the members no more than its window."""

    def __init__(self, cluster):
        self.process = subprocess.Popen(["raftctl", "tail", "-n", "all", "-f"], cwd=cluster.folder, env=ENVIRONMENT,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: (pathlib.Path(f"/proc/{self.process.pid}/fd")).exists(), "a reader")
        self.process.send_signal(signal.SIGSTOP)

    def end(self):
        self.process.kill()
        self.process.wait()


@dataclasses.dataclass
class Restart:
    member: str
    bytes_read: int  # of the log's files
    replayed: int  # entries behind what the state's store had
    lag: int  # entries that came while it was down
    seconds: float  # from the start of the process until its state is that of the log


def events(cluster, name, since, event):
    text = (cluster.folder / name / "raftd.log").read_text(errors="replace")[since:]
    found = re.search(rf" {event} (.*)", text)
    return dict(re.findall(r"(\w+)=(\S+)", found[1])) if found else None


def restart(cluster, name):
    """kill -9 and start again, under load."""
    cluster.kill(name)
    log = cluster.folder / name / "raftd.log"
    since = len(log.read_text(errors="replace"))
    began = time.monotonic()
    cluster.run("start", name, "--wait", "none")
    until(lambda: events(cluster, name, since, "state_current"), f"the state of {name}")
    seconds = time.monotonic() - began
    recovered = events(cluster, name, since, "wal_recovered")
    state = events(cluster, name, since, "state_loaded")
    if state is None:
        raise AssertionError(f"{name} lost its stored state by a kill")
    current = events(cluster, name, since, "state_current")
    end, applied = int(state["log_end"]), int(state["applied"])
    return Restart(name, int(recovered["bytes_read"]), max(end - applied, 0),
                   max(int(current["applied"]) - end, 0), seconds)


def retained(cluster):
    return json.loads(cluster.run("retention", "show", "-o", "json").stdout)


def set_up(cluster, settings):
    for name in cluster.names:
        cluster.configure(name, "log", segment_bytes=str(settings.segment))
        cluster.configure(name, "snapshot", wal_keep_bytes=str(settings.wal_keep),
                          transfer_keep_bytes=str(settings.transfer_keep))
    cluster.run("start")
    cluster.run("retention", "set", "--bytes", settings.retention)
