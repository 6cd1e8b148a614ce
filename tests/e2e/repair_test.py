#!/usr/bin/env python3
"""Bytes that change on the disk of a stopped member: it starts, repairs itself from the others while the cluster
works, and all is as it was. What nobody has any more ends the members with 21, and they say what is lost."""
import unittest

from cluster import Cluster, Load, main, until
from damage import archives, data_files, fill, flip, flip_in_record, small_log


def events(cluster):
    return cluster.run("events", "-n", "500").stdout


class Repair(unittest.TestCase):
    def test_a_segment_and_an_archive_under_load(self):
        with Cluster(3, start=False) as cluster:
            small_log(cluster, keep="64MiB")
            cluster.run("start")
            fill(cluster, records=1000, record_bytes=2000)
            cluster.run("append", stdin="".join(f"tail-{n}-{'z' * 2000}\n" for n in range(200)))
            leader = next(m["name"] for m in cluster.status()["members"] if m["role"] == "leader")
            victim = next(name for name in cluster.names if name != leader)
            cluster.run("stop", victim)
            active = [path for path in data_files(cluster, victim, "wal/*.wal") if b"tail-" in path.read_bytes()][-1]
            flip_in_record(active, b"tail-")
            archive = archives(cluster, victim)[0]
            flip(archive, 100)
            with Load(cluster) as load:
                load.progress(1)
                cluster.run("start", victim)
                until(lambda: f"repaired file=wal/{active.name}" in events(cluster), "the segment is whole again")
                cluster.run("verify", "--deep", check=8)  # names the archive, which it reads
                until(lambda: f"repaired file=snapshot/{archive.name}" in events(cluster), "the archive too")
                load.progress()
            self.assertIn("identical on 3 of 3 members", cluster.run("verify", "--deep").stdout)
            self.assertEqual([alarm for m in cluster.status()["members"] for alarm in m["alarms"]], [])
            cluster.run("stop", victim)
            cluster.run("start", victim)
            self.assertIn("identical on 3 of 3 members", cluster.run("verify", "--deep").stdout)

    def test_what_nobody_has_is_named(self):
        with Cluster(1) as cluster:
            cluster.run("append", stdin="".join(f"first-{n}-{'y' * 200}\n" for n in range(50)))
            cluster.run("append", stdin="".join(f"second-{n}\n" for n in range(50)))
            cluster.run("stop")
            segment = data_files(cluster, "n1", "wal/*.wal")[0]
            flip_in_record(segment, b"first-25-")
            started = cluster.run("start", check=False)
            said = started.stdout + started.stderr + cluster.run("logs", "n1", check=False).stdout
            self.assertIn("are lost here and no other member has them", said)
            self.assertIn(segment.name, said)


if __name__ == "__main__":
    main()
