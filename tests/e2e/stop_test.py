#!/usr/bin/env python3
"""A leader that is asked to stop hands over first: who appends doesn't notice."""

import unittest

from cluster import Cluster, Load, main, verify


def life(cluster, name):
    """The events of a member's log since its last start."""
    lines = (cluster.folder / name / "raftd.log").read_text().splitlines()
    starts = [n for n, line in enumerate(lines) if " recovered " in line]
    return lines[starts[-1]:]


def events(cluster, name, event):
    return [line for line in life(cluster, name) if f" {event} " in line]


class Stop(unittest.TestCase):
    def appends_never_fail(self, cluster, load):
        load.finish()
        self.assertEqual(load.unknown(), 0)
        self.assertEqual([writer.sessions for writer in load.writers], [1] * len(load.writers),
                         "an append ended early")
        self.assertGreater(verify(cluster, load.writers), 0)

    def test_leader_hands_over_under_load(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            load.progress()
            for _ in range(5):
                old = cluster.wait_leader()
                cluster.run("stop", old)
                self.assertEqual(len(events(cluster, old, "handed_over")), 1, life(cluster, old)[-5:])
                load.progress()
                cluster.run("start", old)
            self.appends_never_fail(cluster, load)

    def test_rolling_restart_under_load(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            load.progress()
            cluster.run("restart", "--rolling", timeout=120)
            load.progress()
            cluster.run("restart", "--rolling", timeout=120)
            load.progress()
            self.appends_never_fail(cluster, load)

    def test_stopping_all_hands_nothing_over(self):
        with Cluster(3) as cluster:
            for _ in range(5):
                cluster.wait_leader()
                cluster.run("stop")
                for name in cluster.names:
                    self.assertEqual(events(cluster, name, "handed_over"), [])
                    lines = life(cluster, name)
                    stopping = next(n for n, line in enumerate(lines) if " stopping " in line)
                    self.assertFalse([line for line in lines[stopping:] if " became_leader " in line], name)
                cluster.run("start")

    def test_member_alone_just_stops(self):
        with Cluster(1) as cluster:
            cluster.run("append", "one")
            cluster.run("stop")
            self.assertEqual(events(cluster, "n1", "handed_over"), [])


if __name__ == "__main__":
    main()
