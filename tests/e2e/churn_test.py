#!/usr/bin/env python3
"""From one member to seven and back, with real processes and without a failed append. At the end all members are equal,
and every acknowledged record stands once, in order."""

import json
import sys
import unittest

from cluster import PATIENCE, Cluster, Load, Writer, main, verify


class SteadyWriter(Writer):
    """No append may fail or stay unknown."""

    ALLOWED_ENDS = {0}


class Members(unittest.TestCase):
    def voters(self, cluster):
        listed = json.loads(cluster.run("member", "list", "-o", "json").stdout)["members"]
        return sorted(member["name"] for member in listed if member["role"] == "voter")

    def grow(self, cluster, to):
        while len(cluster.names) < to:
            name = f"n{len(cluster.names) + 1}"
            cluster.names.append(name)
            cluster.run("member", "add", name, "--local", timeout=2 * PATIENCE)
        self.assertEqual(self.voters(cluster), sorted(cluster.names))

    def shrink(self, cluster, to):
        """By one joint change; the leader is among those who go."""
        leads = cluster.wait_leader()
        others = [name for name in cluster.names if name != leads]
        gone = [leads, *others][:len(cluster.names) - to]
        cluster.run("member", "remove", *gone, timeout=2 * PATIENCE)
        cluster.names = [name for name in cluster.names if name not in gone]
        self.assertEqual(self.voters(cluster), sorted(cluster.names))

    def test_from_one_to_seven_and_back_without_a_failed_append(self):
        with Cluster(1) as cluster, Load(cluster, writer_type=SteadyWriter) as load:
            for count in (3, 5, 7):
                self.grow(cluster, count)
                load.progress()
            for count in (5, 3, 1):
                self.shrink(cluster, count)
                load.progress()
            load.finish()
            self.assertEqual([writer.sessions for writer in load.writers], [1, 1])
            print(f"1, 3, 5, 7, 5, 3, 1 members: {verify(cluster, load.writers)} records, none failed", file=sys.stderr)


if __name__ == "__main__":
    main()
