#!/usr/bin/env python3
"""SIGSTOP: a member that neither works nor dies. The others go on; awake again it does no harm and catches up."""

import signal
import unittest

from cluster import Cluster, Load, main, verify


class Pause(unittest.TestCase):
    def paused(self, cluster, load, name):
        cluster.signal(name, signal.SIGSTOP)
        try:
            load.progress(50)
        finally:
            cluster.signal(name, signal.SIGCONT)

    def test_leader_and_followers_of_three(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            for _ in range(3):
                load.progress()
                self.paused(cluster, load, cluster.wait_leader())
                leader = cluster.wait_leader()
                self.paused(cluster, load, next(name for name in cluster.names if name != leader))
            cluster.run("wait", "healthy")
            load.finish()
            verify(cluster, load.writers)

    def test_two_followers_of_five(self):
        with Cluster(5) as cluster, Load(cluster) as load:
            load.progress()
            leader = cluster.wait_leader()
            two = [name for name in cluster.names if name != leader][:2]
            for name in two:
                cluster.signal(name, signal.SIGSTOP)
            load.progress(50)
            for name in two:
                cluster.signal(name, signal.SIGCONT)
            cluster.run("wait", "healthy")
            load.finish()
            verify(cluster, load.writers)


if __name__ == "__main__":
    main()
