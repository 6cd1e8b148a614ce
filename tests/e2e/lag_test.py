#!/usr/bin/env python3
"""Reads with --local --max-lag: a member that can't show that it is fresh enough refuses."""

import signal
import unittest

from cluster import Cluster, main, until


class MaxLag(unittest.TestCase):
    def test_a_member_without_a_quorum_refuses(self):
        with Cluster(3) as cluster:
            cluster.run("append", "one")
            follower = next(name for name in cluster.names if name != cluster.wait_leader())
            local = ("--node", follower, "--local")
            cluster.run("wait", "caught-up", follower)
            self.assertEqual(cluster.run("tail", *local, "--max-lag", "5s").stdout, "one\n")
            self.assertEqual(cluster.run("get", "1", *local, "--max-lag", "5s").stdout, "one")
            for name in cluster.names:
                if name != follower:
                    cluster.signal(name, signal.SIGSTOP)
            try:
                flags = (*local, "--max-lag", "200ms", "--timeout", "3s")
                # What the reads above confirmed stands for 200 ms more.
                done = until(lambda: (done := cluster.run("tail", *flags, check=False)).returncode == 4 and done,
                             "a refusal")
                self.assertIn("can't show that it is at most 200 ms behind", done.stderr)
                self.assertEqual(done.stdout, "")
                cluster.run("get", "1", *flags, check=4)
                self.assertEqual(cluster.run("tail", *local).stdout, "one\n")  # whatever it has
            finally:
                for name in cluster.names:
                    cluster.signal(name, signal.SIGCONT)
            cluster.wait_leader()
            self.assertEqual(cluster.run("tail", *local, "--max-lag", "5s").stdout, "one\n")

    def test_flags_that_contradict_each_other(self):
        with Cluster(1) as cluster:
            self.assertIn("--local", cluster.run("tail", "--max-lag", "1s", check=2).stderr)
            cluster.run("tail", "-f", "--local", "--max-lag", "1s", check=2)
            cluster.run("get", "1", "--max-lag", "1s", check=2)
            cluster.run("tail", "--local", "--max-lag", "5", check=2)  # no unit


if __name__ == "__main__":
    main()
