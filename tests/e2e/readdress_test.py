#!/usr/bin/env python3
"""A stopped cluster whose ports were taken: members are told another address without the cluster, start there,
and the cluster learns it."""

import json
import socket
import unittest

from cluster import Cluster, main, until


def take(address):
    """Somebody else's listener at a member's address."""
    host, port = address.rsplit(":", 1)
    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind((host, int(port)))
    taken.listen()
    return taken


def shifted(address, by):
    host, port = address.rsplit(":", 1)
    return f"{host}:{int(port) + by}"


def members(cluster):
    return {m["name"]: m for m in json.loads(cluster.run("member", "list", "-o", "json").stdout)["members"]}


class Readdress(unittest.TestCase):
    def test_one_of_three_moves_and_the_others_hear_of_it(self):
        with Cluster(3) as cluster:
            cluster.run("append", "before")
            before = members(cluster)
            cluster.run("stop")
            with take(before["n2"]["peer"]):
                done = cluster.run("start", check=7)
                self.assertIn("raftctl member set n2 --peer HOST:PORT --offline", done.stderr)
                fresh = shifted(before["n2"]["peer"], 30)
                cluster.run("member", "set", "n2", "--peer", fresh, "--offline", "n2/data")
                self.assertIn(fresh, (cluster.folder / "cluster.toml").read_text())
                cluster.run("start")
                cluster.run("wait", "healthy")
                self.assertEqual(members(cluster)["n2"]["peer"], before["n2"]["peer"])  # the cluster's own word
                cluster.run("member", "set", "n2", "--peer", fresh)
                after = members(cluster)
                self.assertEqual(after["n2"]["peer"], fresh)
                self.assertEqual(after["n2"]["id"], before["n2"]["id"])
                cluster.run("restart", "--rolling")
                self.assertEqual([lsn for lsn, _ in cluster.records("n2")], [1])

    def test_two_of_three_move_and_find_each_other(self):
        with Cluster(3) as cluster:
            before = members(cluster)
            cluster.run("stop")
            cluster.run("start", "n1", "--wait", "ready")  # a third that must not be needed
            cluster.run("stop")
            with take(before["n2"]["peer"]), take(before["n3"]["peer"]), take(before["n3"]["client"]):
                at = {name: shifted(before[name]["peer"], 30) for name in ("n2", "n3")}
                client = shifted(before["n3"]["client"], 30)
                for data in ("n2/data", "n3/data"):  # each is told where both are
                    cluster.run("member", "set", "n2", "--peer", at["n2"], "--offline", data)
                    cluster.run("member", "set", "n3", "--peer", at["n3"], "--client", client, "--offline", data)
                cluster.run("start", "n2", "n3")
                cluster.run("append", "two are a majority")
                cluster.run("member", "set", "n2", "--peer", at["n2"])
                cluster.run("member", "set", "n3", "--peer", at["n3"], "--client", client)
                cluster.run("start", "n1")
                until(lambda: cluster.status()["state"] == "healthy", "n1 finds the others at their new places")

    def test_what_makes_no_sense_is_refused(self):
        with Cluster(1) as cluster:
            flags = ("--peer", "127.0.0.1:1", "--offline", "n1/data")
            done = cluster.run("member", "set", "n1", *flags, check=7)
            self.assertIn("without --offline", done.stderr)
            cluster.run("stop")
            done = cluster.run("member", "set", "n9", *flags, check=2)
            self.assertIn("it knows n1", done.stderr)
            cluster.run("member", "set", "n1", "--priority", "3", "--offline", "n1/data", check=2)
            cluster.run("member", "set", "n1", "--peer", "nowhere", "--offline", "n1/data", check=2)


if __name__ == "__main__":
    main()
