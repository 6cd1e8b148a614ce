#!/usr/bin/env python3
"""A member that was away for longer than the others keep their log comes back by a snapshot, also when it, and who
serves it, are killed in the middle."""

import base64
import os
import subprocess
import unittest

from cluster import ENVIRONMENT, Cluster, main, until

LINES = 3000
LINE_BYTES = 64 << 10


def fill(cluster):
    """Records that can't be compressed much: some 190 MiB, more than two archives."""
    writer = subprocess.Popen(["raftctl", "append", "-q", "--batch", "8"], cwd=cluster.folder, env=ENVIRONMENT,
                              stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    for _ in range(LINES):
        writer.stdin.write(base64.b64encode(os.urandom(LINE_BYTES * 3 // 4)).decode() + "\n")
    writer.stdin.close()
    return writer.wait()


def archives(cluster, name):
    return len(list((cluster.folder / name / "data" / "snapshot").glob("*.zst")))


def fetched(cluster, name):
    """Bytes of the snapshot's files that lie there, whole or in parts."""
    folder = cluster.folder / name / "data" / "snapshot"
    return sum(file.stat().st_size for file in folder.glob("*.part")) + sum(
        file.stat().st_size for file in folder.glob("*.zst"))



def hash_of(cluster, name):
    tail = subprocess.run(f"raftctl tail -n all --node {name} | sha256sum", shell=True, cwd=cluster.folder,
                          env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return tail.stdout


class CatchUp(unittest.TestCase):
    def test_killed_in_the_middle(self):
        with Cluster(3, start=False) as cluster:
            for name in cluster.names:
                cluster.configure(name, "log", segment_bytes="4MiB", buffer_bytes="4MiB")
                cluster.configure(name, "snapshot", wal_keep_bytes="0", transfer_rate="48MiB")
            cluster.run("start")
            leader = cluster.wait_leader()
            away, other = [name for name in cluster.names if name != leader]
            cluster.kill(away)
            self.assertEqual(fill(cluster), 0)
            until(lambda: archives(cluster, leader) >= 2, "two archives")

            cluster.run("start", away, "--wait", "none")
            kills = 0
            for victim in (away, leader, away):
                before = fetched(cluster, away)
                until(lambda before=before: fetched(cluster, away) > before + (8 << 20), "some of the snapshot")
                cluster.kill(victim)
                kills += 1
                cluster.run("start", victim, "--wait", "none")
            cluster.run("wait", "caught-up", away, "--timeout", "60s")
            cluster.run("wait", "healthy", "--timeout", "60s")
            log = (cluster.folder / away / "raftd.log").read_text()
            self.assertIn(" snapshot_installed ", log)
            self.assertEqual(kills, 3)
            self.assertEqual(len({hash_of(cluster, name) for name in cluster.names}), 1)

            # What it installed is what it starts from, and it takes part as any other.
            cluster.run("restart", away)
            cluster.kill(other)
            cluster.run("append", "after")
            self.assertEqual(cluster.run("tail", "-n", "1", "--node", away).stdout, "after\n")


if __name__ == "__main__":
    main()
