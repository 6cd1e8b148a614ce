#!/usr/bin/env python3
"""Full disks (H19, B73, B74): what is refused and what goes on, who leads, what comes back by itself, kill -9 at any
point of it, and starts without a byte to spare."""

import json
import random
import subprocess
import time
import unittest

from cluster import ENVIRONMENT, PATIENCE, Load, Writer, main, until, verify
from small_disk import SmallDisks, enter_own_mounts, why_no_mounts


class SlowWriter(Writer):
    """Small disks hold only so many groups of 4 KiB."""

    def _acknowledge(self, record, lsn):
        super()._acknowledge(record, lsn)
        time.sleep(0.01)


class FullDisk(unittest.TestCase):
    def cluster(self, **options):
        if why_no_mounts():
            self.skipTest(f"NOT TESTED: full disks ({why_no_mounts()})")
        cluster = SmallDisks(3, **options).__enter__()
        self.addCleanup(lambda: cluster.__exit__(None, None, None))
        if not cluster.possible:
            self.skipTest(f"NOT TESTED: full disks on {cluster.kind} (no such file system can be mounted here)")
        return cluster

    def heals(self, cluster):
        for name in cluster.names:
            cluster.make_room(name)
        said = {}

        def quiet():
            said.update({name: (cluster.alarms(name), cluster.free(name)) for name in cluster.names})
            return not any(alarms for alarms, _ in said.values())

        try:
            until(quiet, "no alarm is left")
        except AssertionError as error:
            raise AssertionError(f"{error}: {said}") from None
        cluster.run("wait", "healthy", "--timeout", "60s")

    def test_a_full_leader_makes_way_and_appends_go_on(self):
        cluster = self.cluster()
        full = cluster.wait_leader()
        with Load(cluster, writer_type=SlowWriter) as load:
            load.progress()
            cluster.fill(full)
            until(lambda: "disk_full" in cluster.alarms(full), "the alarm")
            leader = cluster.wait_leader(other_than=full)
            load.progress(100)
            why = json.loads(cluster.run("why", "-o", "json", check=False).stdout)["findings"]
            mine = [finding for finding in why if finding["cause"] == "disk_full"]
            self.assertEqual([finding["member"] for finding in mine], [full])
            self.assertFalse(mine[0]["blocks"])
            self.assertNotEqual(cluster.run("transfer-leader", full, "--timeout", "2s", check=False).returncode, 0)
            self.assertEqual(cluster.leader(), leader)
            self.heals(cluster)
            load.progress(100)
            load.finish()
        cluster.run("wait", "caught-up", full)
        verify(cluster, load.writers)
        events = cluster.run("events", full, "-n", 200).stdout
        for word in ("alarm_raised alarm=disk_full", "alarm_cleared alarm=disk_full"):
            self.assertIn(word, events)

    def test_doctor_names_what_it_sees(self):
        cluster = self.cluster()
        done = cluster.run("doctor", check=False)
        self.assertIn("is on tmpfs, which is in memory", done.stdout)
        cluster.fill("n1", leave=1 << 20)
        done = cluster.run("doctor", check=1)
        self.assertRegex(done.stdout, r"bad +n1: [\d.]+ \w+ of disk are free, less than log.disk_free_min \(12 MiB\)")
        cluster.fill("n1")
        done = cluster.run("doctor", check=1)
        self.assertRegex(done.stdout, r"bad +n1: can't write and sync a file in \S+: No space left on device")

    def test_all_full(self):
        cluster = self.cluster()
        lines = "".join(f"record {i}\n" for i in range(1, 201))
        cluster.run("append", "-q", stdin=lines)
        for name in cluster.names:
            cluster.fill(name)
        until(lambda: all("disk_full" in cluster.alarms(name) for name in cluster.names), "the alarms")
        done = cluster.run("append", "refused", "--timeout", "1s", check=4)
        self.assertIn("disk space", done.stderr)
        # Reads and an election, and all of it again behind a kill -9 of each, with no byte to spare.
        for name in cluster.names:
            self.assertEqual(cluster.run("get", 200, "--timeout", "30s").stdout, "record 200")
            cluster.kill(name)
            cluster.wait_leader(other_than=name)
            self.assertEqual(cluster.free(name), 0)
            cluster.run("start", name)
            cluster.run("wait", "healthy", "--timeout", "60s")
        self.assertEqual(len(cluster.records(cluster.names[0])), 200)
        cluster.run("append", "still refused", "--timeout", "1s", check=4)
        # A trim, which is what frees space, and membership.
        cluster.run("trim", "--before", 101)
        first = cluster.run("tail", "--from", "first", "--count", 1, "-o", "jsonl").stdout
        self.assertEqual(json.loads(first)["lsn"], 101)
        follower = next(name for name in cluster.names if name != cluster.wait_leader())
        cluster.run("member", "demote", follower, "--timeout", "30s")
        cluster.run("member", "promote", follower, "--timeout", "30s")
        # One that waits is taken by itself once there is room.
        waits = subprocess.Popen(["raftctl", "append", "waited", "--timeout", "60s"], cwd=cluster.folder,
                                 env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
        self.addCleanup(waits.communicate)
        self.heals(cluster)
        self.assertEqual(waits.wait(PATIENCE), 0)
        self.assertEqual(waits.stdout.read(), "201\n")

    def test_kill_9_at_any_point_of_it(self):
        cluster = self.cluster()
        draw = random.Random(5)
        with Load(cluster, writer_type=SlowWriter) as load:
            for _ in range(3):
                load.progress(10)
                hit = draw.sample(cluster.names, draw.choice((1, 1, 2, 3)))
                for name in hit:
                    cluster.fill(name, leave=draw.choice((0, 0, 1 << 16, 5 << 20)))
                dead = draw.sample(cluster.names, draw.choice((1, 2)))
                cluster.kill(*dead)
                cluster.run("start", *dead, "--wait", "none")
                until(lambda dead=dead: all(cluster.alive(name) for name in dead), "they run")
                cluster.wait_leader()
                for name in hit:
                    cluster.make_room(name)
            self.heals(cluster)
            load.progress(50)
            load.finish()
        for name in cluster.names:
            cluster.run("wait", "caught-up", name)
        verify(cluster, load.writers)

    def test_a_start_on_a_full_ext4(self):
        cluster = self.cluster(kind="ext4", size_mib=64)
        cluster.run("append", "-q", stdin="before\n" * 100)
        for name in cluster.names:
            cluster.fill(name)
        until(lambda: all("disk_full" in cluster.alarms(name) for name in cluster.names), "the alarms")
        cluster.kill(*cluster.names)
        cluster.run("start", "--timeout", "60s")
        cluster.run("wait", "healthy", "--timeout", "60s")
        self.assertEqual(len(cluster.records(cluster.names[0])), 100)
        cluster.run("append", "refused", "--timeout", "1s", check=4)
        self.heals(cluster)
        self.assertEqual(cluster.run("append", "again", "--timeout", "60s").stdout, "101\n")


if __name__ == "__main__":
    enter_own_mounts()
    main()
