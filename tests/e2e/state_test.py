#!/usr/bin/env python3
"""The replicated state's store is a cache: deleted, old, another member's, damaged or ahead of the log, the member
starts all the same, makes the state again from the log, and has the same as the others."""

import json
import random
import shutil
import unittest

from cluster import Cluster, Load, main, raftctl, until


def dumped(cluster, name):
    """`debug dump` as a dictionary."""
    lines = cluster.run("debug", "dump", name).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and " " not in line.split("=", 1)[0])


def logged(cluster, name, event):
    """Lines of the member's log since its last start that tell of `event`."""
    lines = (cluster.folder / name / "raftd.log").read_text().splitlines()
    starts = [i for i, line in enumerate(lines) if " wal_recovered " in line]
    return [line for line in lines[starts[-1] if starts else 0:] if f" {event} " in line]


def damage(state, seed):
    """Changes bytes in the middle of each of LevelDB's files."""
    chosen = random.Random(seed)
    for file in sorted(state.iterdir()):
        content = bytearray(file.read_bytes())
        for _ in range(4):
            if content:
                content[chosen.randrange(len(content))] ^= 0xFF
        file.write_bytes(bytes(content))


class State(unittest.TestCase):
    def expect_equal(self, cluster):
        """All members have applied everything, and what they have is the same."""
        def equal():
            dumps = [dumped(cluster, name) for name in cluster.names]
            applied = {d["state_applied"] for d in dumps}
            if len(applied) != 1 or any(d["state_applied"] != d["commit"] for d in dumps):
                return None
            return dumps
        dumps = until(equal, "everything applied everywhere")
        self.assertEqual(len({d["state_digest"] for d in dumps}), 1, dumps)
        self.assertGreater(int(dumps[0]["state_applied"]), 20)

    def write(self, cluster):
        with Load(cluster) as load:
            load.progress(200)
            load.finish()

    def test_store_gone_old_foreign_or_damaged(self):
        with Cluster(3) as cluster:
            states = {name: cluster.folder / name / "data" / "state" for name in cluster.names}
            self.write(cluster)
            cluster.run("stop")
            old = {name: shutil.copytree(state, cluster.work / f"old-{name}") for name, state in states.items()}
            cluster.run("start")
            self.assertTrue(all(logged(cluster, name, "state_loaded") for name in cluster.names))
            self.write(cluster)
            cluster.run("stop")

            # n1: gone, n2: an old one put back, n3: damaged.
            shutil.rmtree(states["n1"])
            shutil.rmtree(states["n2"])
            shutil.copytree(old["n2"], states["n2"])
            damage(states["n3"], 1)
            cluster.run("start")
            self.expect_equal(cluster)
            self.assertTrue(logged(cluster, "n1", "state_rebuilt"))
            self.assertTrue(logged(cluster, "n2", "state_loaded"))
            self.assertTrue(logged(cluster, "n3", "state_rebuilt"))

            # n1 and n2: each other's, while n3 has its own.
            self.write(cluster)
            cluster.run("stop")
            shutil.move(states["n1"], cluster.work / "moved")
            shutil.move(states["n2"], states["n1"])
            shutil.move(cluster.work / "moved", states["n2"])
            cluster.run("start")
            self.expect_equal(cluster)
            for name in ("n1", "n2"):
                self.assertIn("another member", logged(cluster, name, "state_rebuilt")[-1])
            self.write(cluster)
            self.expect_equal(cluster)

    def test_killed_members_take_it_up_again(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            for _ in range(3):
                load.progress(100)
                victim = next(name for name in cluster.names if name != cluster.wait_leader())
                cluster.kill(victim)
                load.progress(50)
                cluster.run("start", victim)
            load.progress(50)
            load.finish()
            self.expect_equal(cluster)

    def test_state_ahead_of_an_old_log(self):
        """The log was put back, the state wasn't: it holds what this log never said."""
        with Cluster(1) as cluster:
            data = cluster.folder / "n1" / "data"
            self.write(cluster)
            cluster.run("stop")
            shutil.copytree(data / "wal", cluster.work / "old-wal")
            cluster.run("start")
            self.write(cluster)
            cluster.run("stop")
            shutil.rmtree(data / "wal")
            shutil.move(cluster.work / "old-wal", data / "wal")
            cluster.run("start")
            self.assertIn("behind the end", logged(cluster, "n1", "state_rebuilt")[-1])
            self.expect_equal(cluster)

    def test_debug_state(self):
        with Cluster(1) as cluster:
            data = cluster.folder / "n1" / "data"
            self.write(cluster)
            live = dumped(cluster, "n1")
            refused = raftctl("debug", "state", data, check=7)
            self.assertIn("in use", refused.stderr)
            self.assertIn("debug dump", refused.stderr)
            cluster.run("stop")
            found = json.loads(raftctl("debug", "state", data, "-o", "json").stdout)
            self.assertGreaterEqual(found["mark"]["index"], int(live["state_applied"]))
            self.assertEqual(found["used_ids"], [{"id": 1}])
            self.assertEqual(str(found["feature_level"]), live["state_feature_level"])
            self.assertIn("applied to entry", raftctl("debug", "state", data).stdout)

            damage(data / "state", 2)
            self.assertIn("start the member", raftctl("debug", "state", data, check=8).stderr)
            shutil.rmtree(data / "state")
            self.assertIn("no replicated state", raftctl("debug", "state", data, check=6).stderr)
            self.assertFalse((data / "state").exists())
            raftctl("debug", "state", cluster.work / "nowhere", check=6)
            cluster.run("start")
            self.expect_equal(cluster)


if __name__ == "__main__":
    main()
