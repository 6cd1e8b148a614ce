#!/usr/bin/env python3
"""Disks that hang (H20, B75): a write that never comes back on a leader, a follower, a majority. The disk thread of a
real member is held still. Leadership moves, appends go on where a majority can write, memory stays within bounds, and
log, events, status and why say so with the time."""

import contextlib
import json
import pathlib
import re
import subprocess
import unittest

import stopped_thread
from cluster import ENVIRONMENT, PATIENCE, Cluster, Load, main, until, verify

MIB = 1 << 20
DISK = "raftd-disk"


class HungDisk(unittest.TestCase):
    def setUp(self):
        if why := stopped_thread.why_not():
            self.skipTest(f"NOT TESTED: disks that hang (no thread can be held: {why})")
        self.cluster = Cluster(3, start=False).__enter__()
        self.addCleanup(lambda: self.cluster.__exit__(None, None, None))
        for name in self.cluster.names:
            self.cluster.configure(name, "log", buffer_bytes="4MiB")
        self.cluster.run("start")
        self.leader = self.cluster.wait_leader()
        self.others = [name for name in self.cluster.names if name != self.leader]

    def hang(self, name):
        return stopped_thread.held(self.cluster.pid(name), DISK)

    def member(self, name):
        return next((one for one in self.cluster.status().get("members", []) if one["name"] == name), {})

    def stalled(self, name):
        return "disk_stalled" in self.member(name).get("alarms", [])

    def memory(self, name):
        """The most that it ever had, in MiB."""
        status = pathlib.Path(f"/proc/{self.cluster.pid(name)}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) // 1024

    def events_of(self, name, kind):
        lines = self.cluster.run("events", name, "-n", 200, "-o", "jsonl").stdout.splitlines()
        return [event for event in map(json.loads, lines) if event["event"] == kind]

    def test_leadership_leaves_a_leader_whose_disk_hangs(self):
        cluster, old = self.cluster, self.leader
        with Load(cluster) as load:
            load.progress()
            with self.hang(old):
                cluster.wait_leader(other_than=old)
                load.progress(50)
                until(lambda: self.stalled(old), "the alarm")
                self.assertGreaterEqual(self.member(old)["unsynced_ms"], 1000)
                why = json.loads(cluster.run("why", "-o", "json", check=False).stdout)["findings"]
                mine = next(finding for finding in why if finding["cause"] == "disk_stalled")
                self.assertEqual((mine["member"], mine["blocks"]), (old, False))
                self.assertRegex(mine["what"], r"a write waits for its sync for [\d.]+ s")
            until(lambda: not self.stalled(old), "the alarm's end")
            load.progress(50)
            load.finish()
        cluster.run("wait", "healthy")
        cluster.run("wait", "caught-up", old)
        verify(cluster, load.writers)
        self.assertGreaterEqual(self.member(old)["sync_max_ms"], 1000)
        log = (cluster.folder / old / "raftd.log").read_text()
        self.assertGreaterEqual(int(re.search(r" disk_moves_again ms=(\d+)", log)[1]), 1000)
        self.assertEqual(len(self.events_of(old, "disk_stalled")), 1)
        self.assertEqual(len(self.events_of(old, "disk_moves_again")), 1)

    def test_a_follower_hangs_under_a_flood(self):
        cluster, hung = self.cluster, self.others[0]
        term = cluster.status()["term"]
        with self.hang(hung):
            cluster.run("bench", "append", "--size", 65536, "--in-flight", 256, "--duration", "4s", "-q")
            self.assertTrue(self.stalled(hung))
            self.assertEqual((cluster.leader(), cluster.status()["term"]), (self.leader, term))
            for name in cluster.names:
                self.assertLess(self.memory(name), 256, name)
        cluster.run("wait", "caught-up", hung, "--timeout", "60s")
        cluster.run("verify")

    def test_a_majority_hangs(self):
        cluster = self.cluster
        with contextlib.ExitStack() as stack:
            for name in self.others:
                stack.enter_context(self.hang(name))
            flood = subprocess.Popen(["raftctl", "bench", "append", "--size", "65536", "--in-flight", "256",
                                      "--duration", "3s", "-q"], cwd=cluster.folder, env=ENVIRONMENT,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(flood.communicate)
            until(lambda: all(self.stalled(name) or not self.member(name) for name in self.others), "the alarms")
            self.assertIn(cluster.run("append", "now", "--timeout", "2s", check=False).returncode, (4, 5))
            flood.wait(PATIENCE)
            for name in cluster.names:
                self.assertLess(self.memory(name), 256, name)
        cluster.run("wait", "healthy", "--timeout", "60s")
        cluster.run("append", "again", "--timeout", "30s")
        cluster.run("verify")

    def test_a_member_that_hangs_can_be_killed(self):
        cluster = self.cluster
        with Load(cluster) as load:
            load.progress()
            with self.hang(self.leader):
                until(lambda: self.member(self.leader).get("unsynced_ms", 0) > 100, "a write waits")
                cluster.kill(self.leader)
            cluster.run("start", self.leader)
            load.progress(50)
            load.finish()
        cluster.run("wait", "healthy")
        for name in cluster.names:
            cluster.run("wait", "caught-up", name)
        verify(cluster, load.writers)


if __name__ == "__main__":
    main()
