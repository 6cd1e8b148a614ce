#!/usr/bin/env python3
"""`raftctl verify` on real members: all well under load and over leader changes, a member that is down is said, and
bytes that change on disk are found and named, in an archive as in the write-ahead log."""

import json
import unittest

from cluster import Cluster, Load, main, until
from damage import archives, data_files, fill, flip, small_log


def verify(cluster, *flags, code=True):
    return json.loads(cluster.run("verify", "-o", "json", *flags, check=code).stdout)


class Verify(unittest.TestCase):
    def test_no_false_alarm_under_load(self):
        with Cluster(3, start=False) as cluster:
            small_log(cluster)
            cluster.run("start")
            fill(cluster)
            with Load(cluster) as load:
                for flags in ([], ["--deep"], ["--from", "2000"], ["--deep", "--from", "4000"]):
                    load.progress(20)
                    found = verify(cluster, *flags)
                    self.assertTrue(found["identical"], found)
                    self.assertEqual(found["differences"], [])
                    self.assertGreater(found["lsn"], 4500)
                    self.assertEqual([m["archives"] for m in found["members"]], [3, 3, 3])
                # Whoever is away is missing, and nobody differs because of it.
                for _ in range(3):
                    victim = cluster.wait_leader()
                    cluster.kill(victim)
                    found = verify(cluster, "--deep", code=10)
                    self.assertFalse(found["identical"])
                    self.assertEqual(found["differences"], [])
                    self.assertEqual({n["member"] for n in found["not_compared"] if n["what"] != "state"}, {victim})
                    cluster.run("start", victim, "--wait", "none")
                    while not cluster.status().get("state") == "healthy":
                        self.assertEqual(cluster.run("verify", "-o", "json", check=False).returncode % 10, 0)
                load.finish()
            text = cluster.run("verify", "--deep").stdout
            self.assertIn("identical on 3 of 3 members", text)
            self.assertEqual([alarm for m in cluster.status()["members"] for alarm in m["alarms"]], [])

    def test_damage_is_found_and_named(self):
        with Cluster(3, start=False) as cluster:
            small_log(cluster)
            cluster.run("start")
            fill(cluster)
            until(lambda: len(data_files(cluster, "n2", "wal/*.wal")) <= 8, "the segments below went")
            self.assertTrue(verify(cluster, "--deep")["identical"])
            cluster.run("stop")
            archive = archives(cluster, "n2")[0]
            flip(archive, 100)
            segment = data_files(cluster, "n3", "wal/*.wal")[-3]
            flip(segment, 500_000)
            cluster.run("start")
            # By what it says of itself nothing is wrong: it must be read.
            self.assertTrue(verify(cluster)["identical"])
            found = verify(cluster, "--deep", code=8)
            by_file = {d["file"]: d for d in found["differences"]}
            self.assertEqual(set(by_file), {f"snapshot/{archive.name}", f"wal/{segment.name}"}, found)
            in_archive, in_segment = by_file[f"snapshot/{archive.name}"], by_file[f"wal/{segment.name}"]
            self.assertEqual((in_archive["kind"], in_archive["member"]), ("damage", "n2"))
            first, last = map(int, archive.name.split("-")[:2])
            self.assertTrue(first <= in_archive["index"] <= last, found)
            self.assertEqual(in_segment["member"], "n3")
            self.assertGreater(in_segment["index"], 0)
            self.assertGreater(in_segment["lsn"], 1500)
            self.assertEqual({m["name"]: m["alarms"] for m in cluster.status()["members"]}["n1"], [])
            self.assertIn("verify_damage", cluster.run("events").stdout)
            # Whoever reads damage has it repaired from the others.
            for file in (f"wal/{segment.name}", f"snapshot/{archive.name}"):
                until(lambda file=file: f"repaired file={file}" in cluster.run("events").stdout, f"{file} is whole")
            self.assertTrue(verify(cluster, "--deep")["identical"])
            self.assertEqual([alarm for m in cluster.status()["members"] for alarm in m["alarms"]], [])

    def test_one_member_and_none(self):
        with Cluster(1) as cluster:
            cluster.run("append", "alone")
            self.assertIn("nothing to compare", cluster.run("verify", "--deep").stdout)
            cluster.run("stop")
            cluster.run("verify", check=3)


if __name__ == "__main__":
    main()
