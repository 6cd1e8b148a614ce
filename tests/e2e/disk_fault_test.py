#!/usr/bin/env python3
"""A real member whose Nth disk call of a kind fails, hangs or is its last (tests/disk_calls/shim.cpp, preloaded). It
ends with its documented exit code or goes on right, and whatever it acknowledged is there after the next start."""

import collections
import contextlib
import signal
import subprocess
import unittest

from cluster import BUILD, ENVIRONMENT, PATIENCE, Cluster, main, raftctl, until

SHIM = BUILD / "libraftd_disk_shim.so"
SAME = {"fill": "write", "sync_dir": "sync", "resize": "write", "make_dir": "create"}
KINDS = ["create", "write", "sync", "rename", "remove", "read"]
# What a member may end with when these fail: 20 a sync, or any call of a start, 21 what a start can't read, 23 a
# directory it can't use.
FAULTS = [
    ("write", "EIO", "once", {0, 20}), ("write", "ENOSPC", "once", {0, 20}), ("write", "SHORT", "lasting", {0}),
    ("write", "KILL", "once", {-9}), ("sync", "EIO", "once", {0, 20}),
    ("sync", "HANG", "once", {0}), ("sync", "KILL", "once", {-9}), ("create", "ENOSPC", "lasting", {0, 20, 21, 23}),
    ("rename", "EIO", "once", {0, 20}), ("rename", "KILL", "once", {-9}), ("remove", "EIO", "lasting", {0}),
    ("read", "EIO", "once", {0, 20, 21}),
]


class DiskFaults(unittest.TestCase):
    def setUp(self):
        if not SHIM.exists():
            self.skipTest("NOT TESTED: failing disk calls of a real member (a sanitizer's build preloads nothing)")
        self.acknowledged = {}  # record -> lsn
        self.sent = 0
        self.outcomes = collections.Counter()

    def start(self, cluster, fault=""):
        folder = cluster.folder / "n1"
        trace = cluster.work / "calls"
        trace.unlink(missing_ok=True)
        shim = {"LD_PRELOAD": str(SHIM), "RAFTD_SHIM_DIR": str(folder / "data"), "RAFTD_SHIM_TRACE": str(trace)}
        if fault:
            shim["RAFTD_SHIM_FAULT"] = fault
        return subprocess.Popen(["raftd", "--config", str(folder / "raftd.toml")], cwd=folder,
                                env={**ENVIRONMENT, **shim}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)

    def calls(self, cluster):
        """How often each kind was called, and whether the fault was met."""
        counted = collections.Counter()
        with contextlib.suppress(FileNotFoundError):
            for line in (cluster.work / "calls").read_text().splitlines():
                kind = line.split("|")[0]
                counted[SAME.get(kind, kind)] += 1
        return counted

    def append(self, cluster, process, count):
        """Until all are acknowledged, or the member ends or takes nothing more."""
        records = [f"r{self.sent + i}" for i in range(1, count + 1)]
        self.sent += count
        writer = subprocess.Popen(["raftctl", "append", "-q", "--timeout", "2s"], cwd=cluster.folder, env=ENVIRONMENT,
                                  text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
            out, _ = writer.communicate("".join(record + "\n" for record in records), timeout=6)
            for record, line in zip(records, out.splitlines()):
                self.acknowledged[record] = int(line)
        if writer.poll() is None:
            writer.kill()
            writer.communicate()

    def use(self, cluster, process):
        """Two snapshots with records before each, and a trim."""
        for _ in range(2):
            if process.poll() is None:
                self.append(cluster, process, 4)
            with contextlib.suppress(subprocess.TimeoutExpired):
                if process.poll() is None:
                    raftctl("snapshot", "take", cwd=cluster.folder, check=False, timeout=4)
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(8)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(PATIENCE)
            return "hangs"

    def check(self, cluster):
        """A clean start has all that was acknowledged, once, where it was said to be."""
        process = self.start(cluster)
        until(lambda: cluster.leader() or process.poll() is not None, "a leader")
        self.assertIsNone(process.poll(), "it doesn't start")
        at = collections.defaultdict(list)
        for lsn, record in cluster.records("n1"):
            at[record].append(lsn)
        for record, lsn in self.acknowledged.items():
            self.assertEqual(at[record], [lsn], record)
        return process

    def test_what_a_member_makes_of_failing_calls(self):
        with Cluster(1, start=False) as cluster:
            cluster.configure("n1", "raft", election_timeout="200ms", heartbeat_interval="20ms")
            process = self.start(cluster)
            until(cluster.leader, "a leader")
            self.assertEqual(self.use(cluster, process), 0)
            clean = self.calls(cluster)
            for kind in KINDS:
                self.assertGreater(clean[kind], 1, f"{kind}: the shim sees nothing of it")
            for number, (kind, what, how, ends) in enumerate(FAULTS):
                nth = 1 + (number * 7 + 3) % max(1, clean[kind] * 6 // 10)
                fault = f"{kind}:{nth}:{what}:{how}"
                process = self.start(cluster, fault)
                ended = self.use(cluster, process)
                met = self.calls(cluster)["fault"] > 0
                if met:
                    self.assertIn(ended, ends, fault)
                    self.outcomes[f"{kind} {what} {how}: {ended}"] += 1
                process = self.check(cluster)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(PATIENCE), 0)
            print(f"{len(self.acknowledged)} of {self.sent} records acknowledged, all there after each restart; "
                  + ", ".join(f"{outcome} x{count}" for outcome, count in sorted(self.outcomes.items())))
            self.assertGreater(len(self.outcomes), len(FAULTS) * 2 // 3)


if __name__ == "__main__":
    main()
