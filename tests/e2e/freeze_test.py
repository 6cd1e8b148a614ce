#!/usr/bin/env python3
"""`raftctl freeze` and `thaw` on real members: nothing is compacted or removed meanwhile, appends go on, restarts don't
end it, who was away is told, and it ends by itself."""

import json
import unittest

from cluster import Cluster, main, until


def archives(cluster, name):
    return sorted(file.name for file in (cluster.folder / name / "data" / "snapshot").glob("*.zst"))


def frozen(cluster):
    """Seconds left by member; None: not frozen, or down."""
    return {m["name"]: m["frozen_s"] for m in cluster.status()["members"]}


def fill(cluster, count=1500):
    cluster.run("append", "-q", stdin="".join(f"{n}-{'z' * 3000}\n" for n in range(count)))


class Freeze(unittest.TestCase):
    def test_holds_everything_and_ends(self):
        with Cluster(3, start=False) as cluster:
            for name in cluster.names:
                cluster.configure(name, "log", segment_bytes="1MiB", buffer_bytes="2MiB")
                cluster.configure(name, "snapshot", wal_keep_bytes="0")
            cluster.run("start")
            fill(cluster)
            cluster.run("snapshot", "take", "-q")
            before = {name: archives(cluster, name) for name in cluster.names}
            away = next(name for name in cluster.names if name != cluster.wait_leader())
            cluster.kill(away)
            done = cluster.run("freeze", "--for", "2h", "-o", "json", check=10)
            told = {m["name"]: m for m in json.loads(done.stdout)["members"]}
            self.assertIsNone(told[away]["frozen_s"])
            self.assertTrue(told[away]["error"])
            self.assertEqual([m["frozen_s"] for m in told.values() if m["name"] != away], [7200, 7200])
            cluster.run("start", away)
            until(lambda: all(frozen(cluster).values()), "the one that was away is told")

            cluster.run("restart")
            self.assertTrue(all(7000 < left <= 7200 for left in frozen(cluster).values()), frozen(cluster))
            fill(cluster)
            self.assertIn("raftctl thaw", cluster.run("snapshot", "take", check=7).stderr)
            cluster.run("trim", "--before", "100", check=7)
            self.assertEqual({name: archives(cluster, name) for name in cluster.names}, before)
            self.assertIn("frozen", cluster.run("events").stdout)
            self.assertIn("frozen for", cluster.run("status").stdout)
            self.assertIn("frozen: ", cluster.run("why").stdout)
            self.assertTrue(json.loads(cluster.run("verify", "--deep", "-o", "json").stdout)["identical"])

            self.assertEqual(cluster.run("thaw").stdout.count("not frozen"), 3)
            self.assertEqual(set(frozen(cluster).values()), {None})
            cluster.run("trim", "--before", "100")
            cluster.run("snapshot", "take", "-q")
            for name in cluster.names:
                self.assertGreater(len(archives(cluster, name)), len(before[name]))

            cluster.run("freeze", "--for", "1s", "-q")
            until(lambda: set(frozen(cluster).values()) == {None}, "its end by itself")
            for bad in ("0s", "8d", "soon"):
                cluster.run("freeze", "--for", bad, check=2)
            cluster.run("stop")
            cluster.run("freeze", check=3)
            # What is left of it is known to whoever removes the cluster.
            cluster.run("destroy", "--yes")
            self.assertFalse(cluster.folder.exists())

    def test_trimmed_archives_go_once_thawed(self):
        with Cluster(1, start=False) as cluster:
            cluster.configure("n1", "log", segment_bytes="1MiB", buffer_bytes="2MiB")
            cluster.run("start")
            for _ in range(4):
                fill(cluster, 200)
                cluster.run("snapshot", "take", "-q")
            made = archives(cluster, "n1")
            self.assertEqual(len(made), 4)
            cluster.run("freeze", "-q")
            cluster.run("trim", "--before", "500", check=7)
            self.assertEqual(archives(cluster, "n1"), made)
            cluster.run("thaw", "-q")
            cluster.run("trim", "--before", "500")
            fill(cluster, 10)
            cluster.run("snapshot", "take", "-q")
            until(lambda: made[0] not in archives(cluster, "n1") and made[1] not in archives(cluster, "n1"),
                  "files of what was trimmed go")
            self.assertIn(made[2], archives(cluster, "n1"))
            records = cluster.run("tail", "-n", "all", "-o", "jsonl").stdout.splitlines()
            self.assertEqual(json.loads(records[0])["lsn"], 500)
            cluster.run("tail", "--from", "1", "--strict", check=6)


if __name__ == "__main__":
    main()
