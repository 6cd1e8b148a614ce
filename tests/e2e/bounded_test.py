"""Bounded (P7): with a standing policy a member's disk, memory, descriptors and restarts don't grow with what was ever
written. A short cut of `scripts/soak-cluster bounded`."""

import unittest

import bounded
from bounded import MIB
from cluster import Cluster, main, until


class Bounded(unittest.TestCase):
    SETTINGS = bounded.Settings(retention=96 * MIB, segment=4 * MIB, wal_keep=8 * MIB, transfer_keep=32 * MIB)
    PARTS, PART = 8, 128 * MIB  # a part may come before the policy is looked at

    def test_nothing_grows_with_what_was_ever_written(self):
        with Cluster(3, start=False) as cluster:
            bounded.set_up(cluster, self.SETTINGS)
            watch, pour = bounded.Watch(cluster), bounded.Pour(cluster, 16 << 10)
            reader = bounded.SleepingReader(cluster)
            watch.start()
            restarts = []
            for part in range(self.PARTS):
                pour.give(self.PART)
                if part % 2 == 0:
                    leader = cluster.wait_leader()
                    follower = next(name for name in cluster.names if name != leader)
                    restarts.append(bounded.restart(cluster, leader if part == 2 else follower))
                until(lambda: bounded.retained(cluster)["kept_bytes"] <= self.SETTINGS.retention, "the policy's look")
            pour.end()
            reader.end()
            until(lambda: cluster.status()["state"] == "healthy", "all members again")
            watch.stop()
            self.judge(cluster, watch, restarts)

    def judge(self, cluster, watch, restarts):
        bound = self.SETTINGS.disk_max() + self.PART
        self.assertGreater(self.PARTS * self.PART, 1.5 * bound)
        print(f"\n{watch.looks} looks; most of a member: disk {watch.largest('disk') / MIB:.0f} MiB of "
              f"{bound / MIB:.0f} MiB, write-ahead log {watch.largest('wal') / MIB:.0f} MiB, RSS "
              f"{watch.largest('rss') / MIB:.0f} MiB, {watch.largest('descriptors')} descriptors")
        for one in restarts:
            print(f"restart of {one.member}: {one.bytes_read / MIB:.1f} MiB read, {one.replayed} entries replayed, "
                  f"{one.lag} that came meanwhile, {one.seconds:.2f} s")
        self.assertGreater(watch.looks, 20)
        self.assertLessEqual(watch.largest("disk"), bound)
        self.assertLessEqual(watch.largest("rss"), bounded.RSS_MAX)
        self.assertLessEqual(watch.largest("descriptors"), bounded.DESCRIPTORS_MAX)
        for one in restarts:
            # At most the open segment, one whose roll was cut short before its footer, the one made ahead; and footers.
            self.assertLessEqual(one.bytes_read, 3 * self.SETTINGS.segment + 4 * MIB)
            self.assertLessEqual(one.replayed, 2 * bounded.ARCHIVE_ENTRIES)
        self.assertGreater(bounded.retained(cluster)["first_lsn"], 1)


if __name__ == "__main__":
    main()
