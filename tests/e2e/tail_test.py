#!/usr/bin/env python3
"""Tails from files while appends go on, and what status says of a quiet cluster."""

import unittest

from cluster import Cluster, Load, main, until


class Tail(unittest.TestCase):
    def test_last_n_from_files_under_appends_are_n(self):
        with Cluster(3, start=False) as cluster:
            for name in cluster.names:
                cluster.configure(name, "log", buffer_bytes="1MiB", record_bytes_max="64KiB")
            cluster.run("start")
            cluster.run("append", stdin="".join(f"{n}:{'x' * 1000}\n" for n in range(6000)))
            with Load(cluster) as load:
                load.progress()
                for name in cluster.names * 10:
                    lines = cluster.run("tail", "-n", 3000, "--with-lsn", "--node", name).stdout.splitlines()
                    self.assertEqual(len(lines), 3000)
                    lsns = [int(line.split()[0]) for line in lines]
                    self.assertEqual(lsns, list(range(lsns[0], lsns[0] + 3000)))
                load.finish()

    def test_commit_is_equal_in_a_quiet_cluster(self):
        with Cluster(3) as cluster:
            cluster.run("append", "one", "two")

            def equal():
                return {member["commit_lsn"] for member in cluster.status()["members"]} == {2}
            until(equal, "all members know the commit")
            for _ in range(20):
                self.assertTrue(equal())


if __name__ == "__main__":
    main()
