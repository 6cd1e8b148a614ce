#!/usr/bin/env python3
"""The quorum is lost for good: a new cluster from what one member has, and back to three."""

import json
import unittest

from cluster import Cluster, Load, main, raftctl, until, verify


class Recover(unittest.TestCase):
    def facts(self, cluster, name):
        return json.loads(cluster.run("recover", "--force-new-cluster", f"{name}/data", "--dry-run", "-o",
                                      "json").stdout)

    def test_a_new_cluster_goes_on_behind_all_that_the_survivor_had(self):
        with Cluster(3) as cluster:
            with Load(cluster) as load:
                load.progress(200)
                cluster.run("member", "set", "n1", "--priority", "3")  # a configuration in the log
                load.progress()
                load.finish()
            cluster.run("append", "--producer", "job", stdin="one\ntwo\n")
            cluster.kill(*cluster.names)
            # As an operator would: of those that can be read, the one that has most.
            survivor = max(cluster.names, key=lambda name: (self.facts(cluster, name)["term"],
                                                            self.facts(cluster, name)["last_index"]))
            acknowledged = {}
            for writer in load.writers:
                acknowledged.update(writer.acknowledged)
            data = f"{survivor}/data"
            facts = self.facts(cluster, survivor)
            self.assertIsNone(facts["folder"])
            done = cluster.run("recover", "--force-new-cluster", data, check=2)
            self.assertIn("not agreed; nothing was made", done.stderr)
            self.assertIn(f"{survivor} of demo: term ", done.stdout)
            made = json.loads(cluster.run("recover", "--force-new-cluster", data, "--yes", "-o", "json").stdout)
            self.assertEqual(made["new_id"], 4)
            self.assertNotEqual(made["new_cluster_id"], facts["cluster_id"])
            cluster.run("recover", "--force-new-cluster", data, "--yes", check=7)  # it is there already

            old_folder, cluster.folder = cluster.folder, cluster.work / "demo-recovered"
            cluster.run("start")
            records = cluster.records(survivor)
            self.assertEqual(len(records), facts["last_lsn"])
            at = {record: lsn for lsn, record in records}
            for record, lsn in acknowledged.items():
                self.assertEqual(at.get(record), lsn, record)
            self.assertEqual(int(cluster.run("append", "behind").stdout), facts["last_lsn"] + 1)
            # The producer's place was kept; who comes with the old cluster's name is told so.
            done = cluster.run("append", "--producer", "job", "--resume", stdin="one\ntwo\nthree\n")
            self.assertEqual(int(done.stdout), facts["last_lsn"] + 2)
            done = raftctl("append", "stray", cwd=old_folder, check=False)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("of another cluster", done.stderr)

            for name in cluster.names:
                if name != survivor:
                    cluster.run("member", "add", name, "--local")
            load = Load(cluster)
            for writer in load.writers:
                writer.name_ = "new-" + writer.name_
            with load:
                load.progress(50)
                cluster.kill(cluster.wait_leader())
                load.progress(50)
                load.finish()
            cluster.run("start")
            until(lambda: cluster.status()["state"] == "healthy", "three members")
            for name in cluster.names:
                cluster.run("wait", "caught-up", name)
            self.assertGreater(verify(cluster, load.writers), facts["last_lsn"] + 2)

    def recovered(self, cluster, folder, into):
        """The cluster in `folder`, whose only member n1 is stopped, made anew in `into` and started there."""
        cluster.run("recover", "--force-new-cluster", folder / "n1" / "data", "--into", into, "--yes")
        cluster.folder = into
        cluster.run("start")

    def test_archives_are_taken_over_again_and_again(self):
        with Cluster(3) as cluster:
            for begin in (0, 100):
                cluster.run("append", "--producer", "job", *(["--resume"] if begin else []),
                            stdin="".join(f"{n}\n" for n in range(begin + 100)))
                cluster.run("snapshot", "take")
            cluster.run("cursor", "set", "audit", "40")
            cluster.run("trim", "--before", 101)
            cluster.run("append", stdin="".join(f"{n}\n" for n in range(200, 230)))
            wanted = cluster.records("n1")
            self.assertEqual(wanted, [(n + 1, str(n)) for n in range(100, 230)])
            cluster.run("wait", "caught-up", "n1")
            cluster.kill(*cluster.names)
            facts = self.facts(cluster, "n1")
            self.assertEqual((facts["first_lsn"], facts["last_lsn"]), (101, 230))
            archives = sorted((cluster.folder / "n1" / "data" / "snapshot").glob("*.zst"))
            self.recovered(cluster, cluster.folder, cluster.work / "second")
            self.assertEqual(cluster.records("n1"), wanted)
            taken = sorted((cluster.folder / "n1" / "data" / "snapshot").glob("*.zst"))
            self.assertEqual([path.name for path in taken], [path.name for path in archives])
            # Producers and cursors came along, those of the snapshot and those behind it.
            done = cluster.run("append", "--producer", "job", "--resume", stdin="".join(f"{n}\n" for n in range(201)))
            self.assertEqual(done.stdout.split()[-1], "231")
            self.assertIn("audit", cluster.run("cursor", "list").stdout)
            for name in ("n2", "n3"):
                cluster.run("member", "add", name, "--local")
            until(lambda: cluster.status()["state"] == "healthy", "three members")
            cluster.run("verify", "--deep")
            wanted = cluster.records("n2")
            file = cluster.work / "save.tar"
            cluster.run("snapshot", "save", file)
            cluster.run("stop")

            # What a restore made, and has gone on since.
            cluster.run("snapshot", "restore", file, cluster.work / "third", "--nodes", 1)
            cluster.folder = cluster.work / "third"
            cluster.run("start")
            cluster.run("append", "behind the restore")
            cluster.run("stop")
            self.recovered(cluster, cluster.folder, cluster.work / "fourth")
            self.assertEqual(cluster.records("n1"), [*wanted, (232, "behind the restore")])
            cluster.run("snapshot", "take")
            cluster.run("snapshot", "verify")
            cluster.run("stop")
            archive = sorted((cluster.folder / "n1" / "data" / "snapshot").glob("*.zst"))[0]
            content = bytearray(archive.read_bytes())
            content[len(content) // 2] ^= 1
            archive.write_bytes(content)
            done = cluster.run("recover", "--force-new-cluster", cluster.folder / "n1" / "data", "--into",
                               cluster.work / "fifth", "--yes", check=8)
            self.assertIn(f"{archive.name} at byte", done.stderr)
            self.assertFalse((cluster.work / "fifth").exists())

    def test_what_leaves_a_doubt_is_refused(self):
        with Cluster(3) as cluster:
            cluster.run("append", "a record to be hurt")
            cluster.run("append", "and one behind it")
            done = cluster.run("recover", "--force-new-cluster", "n1/data", "--yes", check=7)
            self.assertIn("is in use by process", done.stderr)
            done = cluster.run("recover", "n1/data", check=2)
            self.assertIn("--force-new-cluster", done.stderr)
            done = cluster.run("recover", "--force-new-cluster", "n1", check=2)
            self.assertIn("hint: raftctl recover --force-new-cluster n1/data", done.stderr)
            cluster.run("recover", "--force-new-cluster", "n9/data", check=6)
            cluster.kill(*cluster.names)
            segment = next((cluster.folder / "n1" / "data" / "wal").glob("*01.wal"))
            content = bytearray(segment.read_bytes())
            content[content.index(b"a record to be hurt")] ^= 1
            segment.write_bytes(content)
            done = cluster.run("recover", "--force-new-cluster", "n1/data", "--yes", check=8)
            self.assertIn(f"{segment.name} at byte", done.stderr)
            (cluster.folder / "n2" / "data" / "identity.toml").unlink()
            done = cluster.run("recover", "--force-new-cluster", "n2/data", "--yes", check=7)
            self.assertIn("half-made or emptied", done.stderr)
            self.assertFalse((cluster.work / "demo-recovered").exists())

    def test_the_new_id_comes_from_a_cluster_toml_that_has_another(self):
        with Cluster(1) as cluster:
            cluster.run("append", "one")
            cluster.run("stop")
            other = cluster.work / "other"
            other.mkdir()
            text = (cluster.folder / "cluster.toml").read_text()
            old = next(line for line in text.splitlines() if line.startswith("id = \""))
            wanted = "0123456789abcdef0123456789abcdef"
            (other / "cluster.toml").write_text(text.replace(old, f'id = "{wanted}"'))
            made = json.loads(cluster.run("--cluster", other, "recover", "--force-new-cluster", "n1/data", "--yes",
                                          "--into", cluster.work / "fresh", "-o", "json").stdout)
            self.assertEqual(made["new_cluster_id"], wanted)
            cluster.folder = cluster.work / "fresh"
            cluster.run("start")
            self.assertEqual(cluster.records("n1"), [(1, "one")])


if __name__ == "__main__":
    main()
