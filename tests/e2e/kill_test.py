#!/usr/bin/env python3
"""kill -9 under load: of the leader, many times, and of all members at once. Nothing acknowledged is ever lost."""

import unittest

from cluster import Cluster, Load, main, verify


class Kill(unittest.TestCase):
    def leaders_die(self, nodes, times):
        with Cluster(nodes) as cluster, Load(cluster) as load:
            for _ in range(times):
                load.progress()
                dead = cluster.wait_leader()
                cluster.kill(dead)
                load.progress()  # the others go on before it comes back
                cluster.run("start", dead)
            cluster.run("wait", "healthy")
            load.finish()
            count = verify(cluster, load.writers)
            print(f"{nodes} nodes, {times} leaders killed: {count} records, "
                  f"{load.unknown()} of unknown outcome")

    def test_leader_of_three_dies_20_times(self):
        self.leaders_die(3, 20)

    def test_leader_of_five_dies_10_times(self):
        self.leaders_die(5, 10)

    def all_die(self, nodes, times):
        with Cluster(nodes) as cluster, Load(cluster) as load:
            for _ in range(times):
                load.progress()
                cluster.kill(*cluster.names)
                cluster.run("start")
            load.progress()
            load.finish()
            count = verify(cluster, load.writers)
            print(f"{nodes} nodes, all killed {times} times: {count} records, "
                  f"{load.unknown()} of unknown outcome")

    def test_single_member_dies(self):
        self.all_die(1, 5)

    def test_all_of_three_die_at_once(self):
        self.all_die(3, 5)

    def test_all_of_five_die_at_once(self):
        self.all_die(5, 3)


if __name__ == "__main__":
    main()
