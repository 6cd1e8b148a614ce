#!/usr/bin/env python3
"""Archives and snapshots of real members: the same on all, plain zstd files, made while appends go on and members are
killed; the log's segments go, and everything reads back from the first record."""

import hashlib
import json
import subprocess
import threading
import unittest

from cluster import Cluster, Load, main, until
from damage import archives, small_log


def segments(cluster, name):
    return sorted((cluster.folder / name / "data" / "wal").glob("*.wal"))


def member(cluster, name):
    return next(m for m in cluster.status()["members"] if m["name"] == name)


class Snapshot(unittest.TestCase):
    def expect_good(self, cluster):
        verified = json.loads(cluster.run("snapshot", "verify", "-o", "json").stdout)
        self.assertTrue(verified["good"], verified)
        self.assertGreaterEqual(len(verified["files"]), len(cluster.names))
        # With ordinary tools: the content is what the name says, and nothing but entries.
        for file in archives(cluster, cluster.names[0]):
            content = subprocess.run(["zstd", "-dcq", file], capture_output=True, check=True).stdout
            self.assertTrue(file.stem.endswith(hashlib.sha256(content).hexdigest()[:32]), file)

    def take(self, cluster, *flags):
        taken = json.loads(cluster.run("snapshot", "take", "-o", "json", *flags).stdout)
        self.assertTrue(taken["identical"], taken)
        self.assertEqual(len({(m["index"], m["lsn"], m["hash"], m["bytes"]) for m in taken["members"]}), 1, taken)
        return taken["members"]

    def test_taken_compared_and_read_back(self):
        with Cluster(3, start=False) as cluster:
            small_log(cluster)
            cluster.run("start")
            self.assertEqual([], json.loads(cluster.run("snapshot", "list", "-o", "json").stdout)["archives"])
            wanted = []
            for part in range(4):
                records = [f"{part}-{number}-" + "x" * 3000 for number in range(1500)]
                cluster.run("append", stdin="\n".join(records) + "\n")
                wanted += records
                members = self.take(cluster)
                self.assertEqual(len(members), 3)
                self.assertEqual(members[0]["lsn"], len(wanted))
            again = self.take(cluster)  # nothing came since: the same one
            self.assertEqual([m["hash"] for m in again], [m["hash"] for m in members])
            text = cluster.run("snapshot", "take").stdout
            self.assertIn("identical on all members", text)
            self.expect_good(cluster)
            for name in cluster.names:
                self.assertEqual(len(archives(cluster, name)), 4)
                until(lambda name=name: len(segments(cluster, name)) <= 8, "the segments below went")
                self.assertEqual(member(cluster, name)["snapshot_lsn"], len(wanted))
                self.assertGreater(member(cluster, name)["archive_bytes"], 0)
                self.assertEqual(cluster.records(name), list(enumerate(wanted, 1)))
            listed = json.loads(cluster.run("snapshot", "list", "--node", "n2", "-o", "json").stdout)
            self.assertEqual([a["records"] for a in listed["archives"]], [1500] * 4)
            # A restart of all: state and log are there, and the log goes on.
            cluster.run("stop")
            cluster.run("start")
            self.assertEqual(cluster.run("append", "behind").stdout.strip(), str(len(wanted) + 1))
            self.assertEqual(cluster.records("n3")[-1], (len(wanted) + 1, "behind"))
            self.assertEqual(cluster.run("get", "1").stdout, wanted[0])

    def test_killed_under_load(self):
        with Cluster(3, start=False) as cluster:
            small_log(cluster, keep="256MiB")
            cluster.run("start")
            ended = threading.Event()

            def take_always():
                while not ended.is_set():
                    cluster.run("snapshot", "take", "-q", "--timeout", "2s", check=False)

            taker = threading.Thread(target=take_always)
            taker.start()
            try:
                with Load(cluster) as load:
                    for turn in range(9):
                        load.progress(50)
                        name = cluster.names[turn % 3]
                        cluster.kill(name)
                        cluster.run("start", name)
                    load.finish()
            finally:
                ended.set()
                taker.join()
            self.take(cluster)
            self.expect_good(cluster)
            self.assertEqual(cluster.records("n1"), cluster.records("n2"))
            self.assertEqual(cluster.records("n1"), cluster.records("n3"))
            for name in cluster.names:
                left = list((cluster.folder / name / "data" / "snapshot").glob("*.tmp"))
                self.assertEqual(left, [])

    def test_damage_is_named_never_delivered_and_mended(self):
        with Cluster(3, start=False) as cluster:
            small_log(cluster)
            cluster.run("start")
            for part in range(3):
                cluster.run("append", stdin="".join(f"{part}-{n}-{'y' * 3000}\n" for n in range(1500)))
                self.take(cluster)
            until(lambda: len(segments(cluster, "n2")) <= 8, "the segments below went")
            file = archives(cluster, "n2")[0]
            content = bytearray(file.read_bytes())
            content[100] ^= 0x10
            file.write_bytes(content)
            bad = cluster.run("snapshot", "verify", check=8)
            self.assertIn(f"{file.name} at byte 0", bad.stderr)
            records = cluster.records("n1")
            self.assertEqual(len(records), 4500)
            # A reader meets the damage; what it gets is right, and ends before it or behind the repair.
            read = cluster.run("tail", "-n", "all", "--node", "n2", check=False)
            if read.returncode == 0:
                self.assertEqual(cluster.records("n2"), records)
            until(lambda: cluster.run("snapshot", "verify", check=False).returncode == 0, "the repair of the archive")
            self.assertEqual(cluster.records("n2"), records)
            self.assertEqual(cluster.run("append", "on").stdout.strip(), "4501")


if __name__ == "__main__":
    main()
