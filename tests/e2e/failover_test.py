#!/usr/bin/env python3
"""`raftctl bench failover` measures what it says, loses nothing, and leaves the cluster as it found it. How long it
takes is a number for people, never a test."""

import json
import sys
import unittest

from cluster import Cluster, main

TIMES = 3


class Failover(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3, start=False).__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        for name in self.cluster.names:
            self.cluster.configure(name, "raft", election_timeout="300ms", heartbeat_interval="30ms")
        self.cluster.run("start")
        self.cluster.run("wait", "healthy")

    def test_each_way_a_leader_goes(self):
        found = json.loads(self.cluster.run("bench", "failover", "--silent", TIMES, "--kills", TIMES, "--transfers",
                                            TIMES, "--rate", 200, "-o", "json", timeout=180).stdout)
        self.assertEqual((found["election_timeout_ms"], found["refused"], found["unknown"]), (300, 0, 0))
        for way in ("silent", "killed", "transfer"):
            numbers = found[way]
            self.assertEqual((numbers["count"], len(numbers["each_ms"])), (TIMES, TIMES))
            self.assertLessEqual(numbers["p50_t"], numbers["p90_t"])
            self.assertLessEqual(numbers["p90_t"], numbers["max_t"])
            self.assertAlmostEqual(max(one["ms"] for one in numbers["each_ms"]) / 300, numbers["max_t"], places=3)
        print({way: found[way]["p50_t"] for way in ("silent", "killed", "transfer")}, file=sys.stderr)
        # Each append of the bench was acknowledged, and stands in the log; all members are there again.
        self.cluster.run("wait", "healthy")
        self.assertGreaterEqual(self.cluster.status()["commit_lsn"], found["committed"])
        for name in self.cluster.names:
            self.assertTrue(self.cluster.alive(name), name)

    def test_what_it_needs_is_said(self):
        gone = next(name for name in self.cluster.names if name != self.cluster.wait_leader())
        self.cluster.run("stop", gone)
        done = self.cluster.run("bench", "failover", "--timeout", "1s", check=10)
        self.assertIn("needs all members", done.stderr)
        self.cluster.run("start", gone)
        self.cluster.run("bench", "failover", "--rate", "0", check=2)


if __name__ == "__main__":
    main()
