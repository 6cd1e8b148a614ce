"""Feature levels with two programs: build/old holds raftd and raftctl as of level 1, from the same sources. A cluster
of both works at level 1; it is raised once all are new; an old program on a newer log stops with 24, and says what to
do."""

import json
import os
import shutil
import subprocess
import unittest

from cluster import BASE_PORT, BUILD, ENVIRONMENT, PATIENCE, Cluster, main, until

OLD = BUILD / "old"
TOO_NEW = 24


class Mixed(Cluster):
    """A cluster whose members are started by either program."""

    def __init__(self, made_by_old):
        super().__init__(3, start=False)
        self._made_by_old = made_by_old

    def __enter__(self):
        self.folder.parent.mkdir(exist_ok=True)
        program = self.old if self._made_by_old else self.new
        program("init", "demo", "--nodes", 3, "--base-port", BASE_PORT, cwd=self.work)
        return self

    def call(self, folder, arguments, check=0, cwd=None):
        environment = {**ENVIRONMENT, "PATH": f"{folder}:{os.environ['PATH']}"}
        done = subprocess.run([folder / "raftctl", *map(str, arguments)], cwd=cwd or self.folder, env=environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
        if check is not None and done.returncode != check:
            raise AssertionError(f"{folder}/raftctl {arguments}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def old(self, *arguments, **options):
        return self.call(OLD, arguments, **options)

    def new(self, *arguments, **options):
        return self.call(BUILD, arguments, **options)

    def all_linked(self):
        return until(lambda: all(member["level_max"] for member in self.features()["members"]), "all members connected")

    def features(self):
        return json.loads(self.new("feature", "show", "-o", "json").stdout)

    def upgrade(self, name):
        self.old("stop", name)
        self.new("start", name)
        self.new("wait", "healthy", "--timeout", "30s")


class Upgrade(unittest.TestCase):
    def test_a_rolling_upgrade(self):
        with Mixed(made_by_old=True) as cluster:
            cluster.old("start")
            self.assertEqual(cluster.old("append", "by all old").stdout, "1\n")
            self.assertIn("nothing to raise", cluster.old("feature", "raise").stderr)
            cluster.upgrade("n1")
            cluster.upgrade("n2")
            cluster.all_linked()
            self.assertEqual(cluster.new("append", "by both").stdout, "2\n")
            self.assertIn("feature", cluster.new("append", "--producer", "job", "x", check=None).stderr)
            self.assertIn("feature level is 1", cluster.new("trim", "--before", 1, check=7).stderr)
            self.assertEqual(cluster.old("append", "by both, old client").stdout, "3\n")
            features = cluster.features()
            self.assertEqual({member["name"]: member["level_max"] for member in features["members"]},
                             {"n1": 3, "n2": 3, "n3": 1})
            self.assertEqual((features["level"], features["raisable_to"]), (1, 1))

            refused = cluster.new("feature", "raise", check=7)
            self.assertIn("n3 (older program, level 1)", refused.stderr)
            self.assertNotIn("n1", refused.stderr)
            self.assertIn("hint:", refused.stderr)
            cluster.new("feature", "raise", "--to", 2, check=7)
            cluster.old("stop", "n3")
            until(lambda: cluster.new("feature", "raise", check=7).stderr.find("n3 (not connected)") >= 0,
                  "a raise that names who isn't connected")
            self.assertEqual(cluster.features()["level"], 1)

            cluster.new("start", "n3")
            cluster.new("wait", "healthy", "--timeout", "30s")
            cluster.all_linked()
            self.assertIn("feature level 3", cluster.new("feature", "raise").stdout)
            again = cluster.new("feature", "raise")
            self.assertIn("nothing to raise", again.stderr)
            self.assertEqual(cluster.features()["level"], 3)
            self.assertIn("older program, level 3", cluster.new("feature", "raise", "--to", 4, check=7).stderr)
            self.assertEqual(cluster.new("append", "at level 3").stdout, "4\n")
            self.check_producers(cluster)
            self.check_over_restarts(cluster)

    def check_producers(self, cluster):
        """What the raise brought works, over a change of leadership: before it nobody may number an append."""
        named = json.loads(cluster.new("append", "--producer", "job", "-o", "jsonl", "numbered").stdout)
        self.assertEqual((named["lsn"], named["sequence"], named["repeated"]), (5, 1, False))
        leader = json.loads(cluster.new("status", "-o", "json").stdout)["leader"]
        cluster.new("transfer-leader", next(name for name in cluster.names if name != leader))
        resumed = cluster.new("append", "--producer", "job", "--resume", "numbered", "numbered too")
        self.assertIn("resuming job at input record 2", resumed.stderr)
        self.assertEqual(resumed.stdout, "6\n")
        self.assertEqual(cluster.new("append", "--resolve", "job:1").stdout, "committed at LSN 5\n")

    def check_over_restarts(self, cluster):
        """The level outlives all members, and an old program doesn't go on from there."""
        cluster.new("stop")
        cluster.new("start")
        self.assertEqual(cluster.features()["level"], 3)
        cluster.new("stop", "n3")
        self.stops_as_too_old(cluster, "n3")
        shutil.rmtree(cluster.folder / "n3/data/state", ignore_errors=True)  # from the log alone, too
        self.stops_as_too_old(cluster, "n3")
        cluster.new("start", "n3")
        cluster.new("wait", "healthy", "--timeout", "30s")
        until(lambda: cluster.new("tail", "--local", "--node", "n3", "-n", "1").stdout == "numbered too\n",
              "n3 shows what is committed")

    def stops_as_too_old(self, cluster, name):
        done = subprocess.run([OLD / "raftd", "--config", cluster.folder / name / "raftd.toml"], capture_output=True,
                              text=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, TOO_NEW, done.stderr)
        self.assertRegex(done.stderr, "feature level")
        self.assertRegex(done.stderr, "install the version that the other members run")

    def test_a_cluster_of_the_new_program_begins_at_its_level(self):
        with Mixed(made_by_old=False) as cluster:
            self.stops_as_too_old(cluster, "n1")
            cluster.new("start")
            self.assertEqual(cluster.features()["level"], 3)
            self.assertIn("nothing to raise", cluster.new("feature", "raise").stderr)

    def test_without_a_leader_nothing_is_claimed(self):
        with Mixed(made_by_old=True) as cluster:
            cluster.new("start", "n1", "--wait", "none")
            cluster.new("feature", "raise", "--timeout", "1s", check=4)


if __name__ == "__main__":
    main()
