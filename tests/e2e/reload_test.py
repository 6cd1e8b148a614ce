#!/usr/bin/env python3
"""SIGHUP: what a running member takes over, and what it leaves as it is; and the socket in its data directory."""

import signal
import unittest

from cluster import Cluster, main, until


class Reload(unittest.TestCase):
    def log(self, cluster):
        return (cluster.folder / "n1" / "raftd.log").read_text().splitlines()

    def reload(self, cluster, event):
        """Sends SIGHUP and returns the line that answers it."""
        seen = len(self.log(cluster))
        cluster.signal("n1", signal.SIGHUP)
        return until(lambda: [line for line in self.log(cluster)[seen:] if event in line], event)[0]

    def test_settings(self):
        with Cluster(1) as cluster:
            cluster.run("append", "one")
            self.assertIn("taken=none at_next_start=none", self.reload(cluster, "reloaded"))
            cluster.configure("n1", "logging", level="error")
            cluster.configure("n1", "log", disk_free_min="1TiB", buffer_bytes="2MiB")
            # At this level it doesn't even say that it has reloaded: what it does afterwards shows it.
            cluster.signal("n1", signal.SIGHUP)
            done = until(lambda: cluster.run("append", "two", "--timeout", "300ms", check=False).returncode == 4,
                         "an append is refused: less than 1 TiB is free")
            self.assertTrue(done)
            cluster.configure("n1", "limits", tails_max=0)
            self.assertIn("tails_max", self.reload(cluster, "reload_failed"))
            cluster.configure("n1", "limits", tails_max=7)
            cluster.configure("n1", "logging", level="info")
            cluster.configure("n1", "log", disk_free_min="256MiB")
            line = self.reload(cluster, "reloaded")
            for name in ("log.disk_free_min", "logging.level", "limits.tails_max"):
                self.assertIn(name, line.split("taken=")[1].split()[0])
            self.assertEqual(line.split("at_next_start=")[1].split()[0], "log.buffer_bytes")
            self.assertEqual(cluster.records("n1")[0], (1, "one"))
            cluster.run("append", "three")

    def test_log_file_is_opened_anew(self):
        with Cluster(1) as cluster:
            log = cluster.folder / "n1" / "raftd.log"
            moved = log.rename(log.with_suffix(".moved"))
            cluster.signal("n1", signal.SIGHUP)
            until(lambda: log.exists() and " reloaded " in log.read_text(), "a new log file")
            self.assertNotIn(" reloaded ", moved.read_text())

    def test_endpoint_by_unix_socket(self):
        with Cluster(3) as cluster:
            where = f"unix:{cluster.folder}/n2/data/admin.sock"
            self.assertEqual(cluster.run("append", "x", "--endpoint", where).stdout, "1\n")
            self.assertEqual(cluster.run("tail", "--endpoint", where).stdout, "x\n")
            status = cluster.run("status", "--endpoint", where)
            self.assertIn("3 of 3 members up", status.stderr + status.stdout)
            for wrong in ("unix:", "unix:/nowhere/admin.sock", "unix:" + "x" * 200):
                self.assertNotEqual(cluster.run("status", "--endpoint", wrong, check=False).returncode, 0)
                self.assertNotEqual(cluster.run("append", "x", "--endpoint", wrong, check=False).returncode, 0)
            self.assertEqual(len(cluster.records("n1")), 1)


if __name__ == "__main__":
    main()
