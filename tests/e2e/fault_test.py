#!/usr/bin/env python3
"""`raftctl fault`: refused unless the settings say that this is a test cluster, and then each fault does what it says,
is seen in status and events, and ends by itself."""

import json
import unittest

from cluster import Cluster, Load, main, until, verify


class Refused(unittest.TestCase):
    def test_without_the_setting_nothing_is_possible(self):
        with Cluster(3) as cluster:
            leader = cluster.wait_leader()
            for words in (("disconnect", leader), ("drop", leader, 100), ("delay", leader, "1s"),
                          ("duplicate", leader, 100), ("timeout", leader), ("reconnect", leader), ("clear", leader),
                          ("show", leader)):
                done = cluster.run("fault", *words, check=9)
                self.assertIn("takes no faults", done.stderr)
                self.assertIn("faults = true under [debug]", done.stderr)
            error = json.loads(cluster.run("fault", "clear", leader, "-o", "json", check=9).stdout)["error"]
            self.assertEqual((error["code"], error["exit"]), ("denied", 9))
            self.assertEqual(cluster.leader(), leader)
            # The hint, as it says.
            cluster.configure(leader, "debug", faults=True)
            cluster.run("restart", leader)
            self.assertEqual(cluster.run("fault", "show", leader).stdout, f"{leader}: no faults\n")

    def test_the_setting_is_a_flag(self):
        with Cluster(1, start=False) as cluster:
            cluster.configure("n1", "debug", faults="yes")
            done = cluster.run("config", "check", check=2)
            self.assertIn("debug.faults: needs true or false, without quotes, not a text", done.stdout + done.stderr)


class Faults(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3, start=False).__enter__()
        self.addCleanup(lambda: self.cluster.__exit__(None, None, None))
        for name in self.cluster.names:
            self.cluster.configure(name, "debug", faults=True)
        self.cluster.run("start")
        self.leader = self.cluster.wait_leader()
        self.others = [name for name in self.cluster.names if name != self.leader]

    def fault(self, *words, **options):
        return self.cluster.run("fault", *words, **options)

    def alarms(self, name):
        members = self.cluster.status()["members"]
        return next(member for member in members if member["name"] == name)["alarms"]

    def test_a_disconnected_leader_is_replaced_and_comes_back(self):
        said = self.fault("disconnect", self.leader, "--for", "1h").stdout
        self.assertEqual([line.rsplit(",", 1)[0] for line in said.splitlines()],
                         [f"{self.leader}: disconnect to all", f"{self.leader}: disconnect from all"])
        new = self.cluster.wait_leader(other_than=self.leader)
        self.assertEqual(self.alarms(self.leader), ["fault disconnect to all", "fault disconnect from all"])
        self.cluster.run("append", "without it")
        term = self.cluster.status()["term"]
        self.fault("reconnect", self.leader)
        self.cluster.run("wait", "healthy")
        self.assertEqual((self.cluster.leader(), self.cluster.status()["term"]), (new, term))
        self.assertEqual(self.alarms(self.leader), [])
        until(lambda: self.cluster.records(self.leader) == [(1, "without it")], "the record on the old leader")
        events = self.cluster.run("events", self.leader, "-n", 100).stdout
        for kind in ("fault ", "fault_over "):
            self.assertIn(kind, events)

    def test_one_way_and_of_one_peer(self):
        one, other = self.others
        self.fault("disconnect", one, "--to", other, "--from", f"{self.leader},{other}")
        show = json.loads(self.fault("show", one, "-o", "json").stdout)
        self.assertCountEqual([(f["kind"], f["direction"], f["peer"]) for f in show["faults"]],
                              [("disconnect", "to", other), ("disconnect", "from", self.leader),
                               ("disconnect", "from", other)])
        self.cluster.run("append", "goes on")
        until(lambda: json.loads(self.fault("show", one, "-o", "json").stdout)["lost"] > 0, "a lost message")
        self.fault("clear", one)
        self.assertEqual(self.fault("show", one).stdout, f"{one}: no faults\n")
        self.cluster.run("wait", "healthy")

    def test_it_ends_by_itself(self):
        self.fault("drop", self.leader, 100, "--for", "200ms")
        until(lambda: not json.loads(self.fault("show", self.leader, "-o", "json").stdout)["faults"], "its end")
        self.cluster.run("append", "still works")

    def test_bad_links_lose_and_double_nothing(self):
        with Load(self.cluster) as load:
            load.progress()
            for name in self.cluster.names:
                self.fault("drop", name, 2)
                self.fault("delay", name, "3ms")
                self.fault("duplicate", name, 30)
            load.progress()
            for name in self.cluster.names:
                counts = json.loads(self.fault("show", name, "-o", "json").stdout)
                self.assertGreater(counts["late"], 0)
                self.assertGreater(counts["doubled"], 0)
                self.fault("clear", name)
            load.progress()
            load.finish()
        self.cluster.run("wait", "healthy")
        verify(self.cluster, load.writers)

    def test_timeout_makes_it_campaign(self):
        before = self.cluster.status()["term"]
        one = self.others[0]
        said = self.fault("timeout", one).stdout
        self.assertEqual(said, f"{one} campaigns in term {before + 1}\n")
        self.assertEqual(self.cluster.wait_leader(other_than=self.leader), one)
        self.assertEqual(self.cluster.status()["term"], before + 1)
        done = self.fault("timeout", one, check=7)
        self.assertIn("leads already", done.stderr)

    def test_what_is_wrong_is_said(self):
        for words, code, says in ((("drop", self.leader), 2, "PERCENT"),
                                  (("drop", self.leader, 0), 2, "at most 100"),
                                  (("drop", self.leader, 101), 2, "at most 100"),
                                  (("delay", self.leader, "soon"), 2, "not a duration"),
                                  (("delay", self.leader, "2m"), 2, "late by"),
                                  (("disconnect", self.leader, "--for", "2h"), 2, "10ms to 1h"),
                                  (("disconnect", self.leader, "--to", "n9"), 2, "no member is called `n9`"),
                                  (("disconnect", self.leader, "--to", self.leader), 2, "no link to itself"),
                                  (("disconnect", "n9"), 6, "no member is called `n9`"),
                                  (("disconect", self.leader), 2, "did you mean disconnect?")):
            done = self.fault(*words, check=code)
            self.assertIn(says, done.stderr, words)
        self.assertEqual(self.fault("show", self.leader).stdout, f"{self.leader}: no faults\n")
        self.cluster.kill(self.leader)
        self.fault("show", self.leader, check=3)


if __name__ == "__main__":
    main()
