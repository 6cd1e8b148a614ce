#!/usr/bin/env python3
"""`raftctl fsck`: refused while a member runs, good on healthy files, names real damage by file and offset, mends what
the directory can make again, and leaves the rest to the other members."""

import json
import os
import struct
import unittest

from cluster import Cluster, main, until
from damage import flip


class Fsck(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3).__enter__()
        self.addCleanup(lambda: self.cluster.__exit__(None, None, None))
        self.data = self.cluster.folder / "n1" / "data"
        # Beyond the first segment's 4 MiB, so that one is sealed and has a footer.
        self.records = 6000
        lines = "".join(f"{i:08}" + "x" * 1000 + "\n" for i in range(self.records))
        self.cluster.run("append", "-q", stdin=lines)

    def stop(self):
        self.cluster.run("wait", "caught-up", "n1")
        self.cluster.run("stop")

    def fsck(self, *words, check=0):
        report = json.loads(self.cluster.run("fsck", *words, "-o", "json", check=check).stdout)
        self.assertEqual(len(report["directories"]), 1)
        return report["directories"][0]

    def test_a_running_member_is_refused(self):
        done = self.cluster.run("fsck", "n1", check=7)
        self.assertIn(f"in use by process {self.cluster.pid('n1')}", done.stderr)
        self.assertIn("raftctl verify --deep", done.stderr)
        self.assertEqual(done.stdout, "")
        error = json.loads(self.cluster.run("fsck", "n1/data", "-o", "json", check=7).stdout)["error"]
        self.assertEqual((error["code"], error["exit"]), ("conflict", 7))
        done = self.cluster.run("fsck", self.cluster.work, check=6)
        self.assertIn("no data directory", done.stderr)
        self.assertFalse((self.cluster.work / "LOCK").exists())

    def test_what_is_mended_here(self):
        self.cluster.run("snapshot", "take")
        self.stop()
        self.assertIn("result    good", self.cluster.run("fsck").stdout)
        segment = self.data / "wal" / f"{1:016}.wal"
        with open(segment, "rb") as file:
            file.seek(4096)
            seal = struct.unpack("<8Q", file.read(64))
        self.assertGreater(seal[5], 0, "the segment has a footer")
        flip(segment, seal[5] + 90)
        for name in os.listdir(self.data / "state"):
            if name.endswith((".log", ".ldb")) and (self.data / "state" / name).stat().st_size > 80:
                flip(self.data / "state" / name, 70)
        (self.data / "boots.tmp").write_text("torn")
        (self.data / "snapshot" / "archive.tmp").write_text("torn")
        (self.data / "notes.txt").write_text("mine")

        found = self.fsck("n1", check=8)
        by_file = {find["file"]: find for find in found["finds"]}
        self.assertEqual(by_file[f"wal/{segment.name}"]["weight"], "mendable")
        self.assertEqual(by_file[f"wal/{segment.name}"]["offset"], seal[5])
        self.assertEqual(by_file["state"]["weight"], "mendable")
        for name in ("boots.tmp", "snapshot/archive.tmp", "notes.txt"):
            self.assertEqual(by_file[name]["weight"], "leftover")
        self.assertEqual((found["good"], found["damages"], found["repaired"]), (False, 2, 0))

        lines = self.cluster.run("fsck", "n1", "--repair", "-o", "jsonl").stdout.splitlines()
        self.assertEqual([json.loads(line)["kind"] for line in lines], ["find"] * 5 + ["directory"])
        summary = json.loads(lines[-1])["directory"]
        self.assertEqual((summary["good"], summary["damages"], summary["repaired"]), (True, 0, 4))
        self.assertEqual([find["file"] for find in self.fsck("n1")["finds"]], ["notes.txt"])
        self.assertTrue((self.data / "notes.txt").exists())
        self.cluster.run("start")
        self.cluster.run("wait", "healthy")
        until(lambda: len(self.cluster.records("n1")) == self.records, "all records of n1")
        self.assertIn("state_rebuilt", (self.cluster.folder / "n1" / "raftd.log").read_text())
        self.cluster.run("append", "goes on")

    def test_what_only_the_others_have(self):
        self.cluster.run("snapshot", "take")
        self.stop()
        segment = self.data / "wal" / f"{1:016}.wal"
        archive = next((self.data / "snapshot").glob("*.zst"))
        self.assertEqual(self.cluster.run("debug", "wal", "n1/data").stdout.count("segment at=0 "), 2)
        lines = self.cluster.run("debug", "wal", segment, "-o", "jsonl").stdout.splitlines()
        groups = [json.loads(line) for line in lines]
        entry = next(group["at"] for group in groups if group.get("entries")) + 128
        flip(segment, entry + 40)
        flip(archive, 100)
        for flags in ((), ("--repair",)):
            done = self.cluster.run("fsck", "n1/data", *flags, check=8)
            self.assertIn(f"wal/{segment.name} at byte {entry}: entry: ", done.stdout)
            self.assertIn(f"snapshot/{archive.name} at byte 0: ", done.stdout)
            self.assertIn("result    2 damages", done.stdout)
            self.assertIn("raftctl member replace n1", done.stderr)
        # Of its identity there is no copy: nothing is touched then.
        (self.data / "boots.tmp").write_text("torn")
        flip(self.data / "identity.toml", 150)
        found = self.fsck("n1", "--repair", check=8)
        self.assertEqual(found["repaired"], 0)
        self.assertIn("identity.toml", [find["file"] for find in found["finds"]])
        self.assertTrue((self.data / "boots.tmp").exists())
        others = self.cluster.run("fsck", "n2", "n3").stdout
        self.assertEqual(others.count("result    good"), 2)


if __name__ == "__main__":
    main()
