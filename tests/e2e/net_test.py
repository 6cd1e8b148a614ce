#!/usr/bin/env python3
"""Members on hosts of their own, in network namespaces: one way between two of them is cut, for each ordered pair;
hosts in a chain, a ring and with a bridge; links that flap; the leader's host unplugged. Appends go on wherever a
connected majority is, nothing that was acknowledged is lost, and terms hardly grow."""

import itertools
import json
import os
import subprocess
import sys
import unittest

import netspaces
from cluster import ENVIRONMENT, PATIENCE, Cluster, Load, main, raftctl, until, verify

TERMS_MAX = 3  # by which a cut and its healing may raise the term
CUT_MS = 1500  # how long a cut lasts: three election timeouts
LONG_CUT_MS = 6000  # and one after which connections are given up and dialed again
WHY_NOT = netspaces.why_not()
REQUIRED = "--require-net" in sys.argv or os.environ.get("RAFTD_REQUIRE_NET") == "1"
if "--require-net" in sys.argv:
    sys.argv.remove("--require-net")


class NetCluster(Cluster):
    """Each member on its own host; the test, and raftctl with it, on the switch."""

    def __init__(self, nodes):
        super().__init__(nodes)
        self.hosts = netspaces.Hosts(self.names)

    def __enter__(self):
        self.hosts.__enter__()
        try:
            members = [part for name in self.names
                       for part in ("--member", f"{name}={self.hosts.address[name]}:7101")]
            raftctl("init", "demo", *members, cwd=self.work)
            for name in self.names:
                # Nobody but these hosts is on the switch: as an operator of a closed network would say it.
                self.configure(name, "listen", exposure="unencrypted")
                self.configure(name, "raft", election_timeout="500ms", heartbeat_interval="50ms")
                self.start(name)
            self.run("wait", "healthy", "--timeout", "30s")
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def start(self, name):
        subprocess.run([*self.hosts.inside(name), "raftctl", "start", name, "--wait", "none"], cwd=self.folder,
                       env=ENVIRONMENT, check=True, timeout=PATIENCE, capture_output=True)

    def __exit__(self, kind, error, trace):
        try:
            super().__exit__(kind, error, trace)
        finally:
            self.hosts.__exit__(kind, error, trace)

    def term(self):
        return max((m["term"] for m in self.status()["members"] if m["reachable"]), default=0)


@unittest.skipIf(WHY_NOT and not REQUIRED, f"NOT TESTED: members in network namespaces ({WHY_NOT})")
class Net(unittest.TestCase):
    def setUp(self):
        self.assertIsNone(WHY_NOT, "network namespaces are required and this machine has none")

    def newest_ms(self, cluster):
        leader = cluster.leader()
        if leader is None:
            return 0
        shown = cluster.run("tail", "-n", 1, "--local", "--node", leader, "-o", "jsonl", check=False)
        return json.loads(shown.stdout)["timestamp_ms"] if shown.returncode == 0 and shown.stdout else 0

    def heal(self, cluster, load):
        cluster.hosts.mend_all()
        cluster.run("wait", "healthy", "--timeout", "30s")
        load.progress()

    def bear(self, cluster, load, what, cuts, lasts=CUT_MS):
        """Cuts the ways, and heals them: appends go on, and the term hardly grows."""
        before = cluster.term()
        for sender, receiver in cuts:
            cluster.hosts.cut(sender, receiver)
        # Long enough for whoever hears nothing to campaign, again and again: by the stamps of what is appended.
        begin = until(lambda: self.newest_ms(cluster), f"a leader with {what}")
        until(lambda: self.newest_ms(cluster) > begin + lasts, f"appends go on with {what}")
        self.heal(cluster, load)
        grown = cluster.term() - before
        self.assertLessEqual(grown, TERMS_MAX, f"{what}: the term grew by {grown}")
        return grown

    def each_way(self, nodes):
        with NetCluster(nodes) as cluster, Load(cluster) as load:
            load.progress()
            grown = [self.bear(cluster, load, f"no way from {one} to {other}", [(one, other)])
                     for one, other in itertools.permutations(cluster.names, 2)]
            load.finish()
            count = verify(cluster, load.writers)
            print(f"{nodes} members, each of {len(grown)} ways cut once: terms grew by at most {max(grown)}, "
                  f"{sum(grown)} in all; {count} records, {load.unknown()} unknown", file=sys.stderr)

    def test_each_way_between_three(self):
        self.each_way(3)

    def test_each_way_between_five(self):
        self.each_way(5)

    def shape(self, nodes, links, what):
        """Only these pairs can talk."""
        with NetCluster(nodes) as cluster, Load(cluster) as load:
            load.progress()
            apart = [pair for pair in itertools.permutations(cluster.names, 2)
                     if pair not in links and pair[::-1] not in links]
            grown = []
            for leader in cluster.names:  # wherever it stands when the links go
                cluster.run("transfer-leader", leader)
                lasts = CUT_MS if grown else LONG_CUT_MS
                grown.append(self.bear(cluster, load, f"{what}, led by {leader}", apart, lasts))
            load.finish()
            count = verify(cluster, load.writers)
            print(f"{what}: terms grew by {grown}; {count} records, {load.unknown()} unknown", file=sys.stderr)

    def test_chain_of_three(self):
        self.shape(3, {("n1", "n2"), ("n2", "n3")}, "a chain of 3")

    def test_chain_of_five(self):
        self.shape(5, {("n1", "n2"), ("n2", "n3"), ("n3", "n4"), ("n4", "n5")}, "a chain of 5")

    def test_ring_of_five(self):
        self.shape(5, {("n1", "n2"), ("n2", "n3"), ("n3", "n4"), ("n4", "n5"), ("n5", "n1")}, "a ring of 5")

    def test_links_that_flap(self):
        """Each member's link to the leader comes and goes, faster than an election."""
        with NetCluster(3) as cluster, Load(cluster) as load:
            load.progress()
            before = cluster.term()
            for _ in range(8):
                leader = cluster.wait_leader()
                for name in cluster.names:
                    if name == leader:
                        continue
                    cluster.hosts.apart(leader, name)
                    load.progress(1)  # with the other one
                    cluster.hosts.mend_all()
            self.heal(cluster, load)
            grown = cluster.term() - before
            self.assertLessEqual(grown, TERMS_MAX)
            load.finish()
            count = verify(cluster, load.writers)
            print(f"16 flaps: the term grew by {grown}; {count} records, {load.unknown()} unknown", file=sys.stderr)

    def test_two_pairs_with_a_bridge(self):
        self.shape(5, {("n1", "n2"), ("n4", "n5"), *((name, "n3") for name in ("n1", "n2", "n4", "n5"))},
                   "two pairs with a bridge")

    def test_the_leaders_host_is_unplugged(self):
        with NetCluster(3) as cluster, Load(cluster) as load:
            for _ in range(3):
                load.progress()
                leader = cluster.wait_leader()
                before = cluster.term()
                cluster.hosts.unplug(leader)
                cluster.wait_leader(other_than=leader)
                load.progress()
                self.heal(cluster, load)
                self.assertLessEqual(cluster.term() - before, TERMS_MAX)
            load.finish()
            verify(cluster, load.writers)

    def test_without_the_words_it_listens_on_loopback_only(self):
        with NetCluster(1) as cluster:
            cluster.kill("n1")
            cluster.configure("n1", "listen", exposure="loopback")
            done = subprocess.run([*cluster.hosts.inside("n1"), "raftd", "--config", cluster.folder / "n1/raftd.toml"],
                                  env=ENVIRONMENT, text=True, capture_output=True, timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn('exposure = \\"unencrypted\\"', done.stderr)


if __name__ == "__main__":
    main()
