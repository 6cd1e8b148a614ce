#!/usr/bin/env python3
"""init --min-members and --max-members: no first election before that many are there, no growing beyond."""

import json
import re
import unittest

from cluster import Cluster, main, raftctl, until


class Bounds(unittest.TestCase):
    def test_the_first_election_waits_for_the_members_and_later_ones_do_not(self):
        with Cluster(3, start=False, flags=("--min-members", "3")) as cluster:
            cluster.run("start", "n1", "n2", "--wait", "ready")
            done = cluster.run("wait", "leader", "--timeout", "3s", check=4)
            self.assertIn("waiting for members (2 of the 3 that the first election needs)", done.stderr)
            status = cluster.status()
            self.assertEqual(status["config"]["min_members"], 3)
            self.assertIsNone(status["config"]["max_members"])
            self.assertEqual({member["term"] for member in status["members"] if member["reachable"]}, {0})
            cluster.run("start", "n3")
            cluster.run("append", "now")
            cluster.run("stop")
            cluster.run("start", "n1", "n2")
            cluster.run("append", "two are enough once it has begun")

    def test_it_never_grows_beyond_its_bound(self):
        with Cluster(3, flags=("--max-members", "3")) as cluster:
            done = cluster.run("member", "add", "n4", "--local", check=7)
            self.assertIn("was made with --max-members 3", done.stderr)
            self.assertIn("hint: raftctl member remove", done.stderr)
            self.assertFalse((cluster.folder / "n4").exists())
            self.assertEqual(cluster.status()["config"]["max_members"], 3)
            self.assertIn("cluster.max_members = 3", cluster.run("config", "show").stdout)

            # The daemon says so too: a fourth member in a file, at the address of one that is there.
            wanted = cluster.folder / "wanted.toml"
            blocks = (cluster.folder / "cluster.toml").read_text().split("\n[[member]]\n")
            fourth = blocks[3].replace('"n3"', '"n4"').replace("id = 3", "id = 4")
            fourth = re.sub(r"127\.0\.0\.1:(\d+)", lambda port: f"127.0.0.1:{int(port[1]) + 50}", fourth)
            wanted.write_text("\n[[member]]\n".join(blocks + [fourth]))
            done = cluster.run("member", "apply", "wanted.toml", "--yes", check=7)
            self.assertIn("4 members are more than this cluster may have", done.stderr)

            # One that is replaced stands twice for a while, and that is no growth; nor is coming back to the bound.
            lost = next(name for name in cluster.names if name != cluster.wait_leader())
            cluster.kill(lost)
            cluster.names.append(f"{lost}-2")
            cluster.run("member", "replace", lost, "--local")
            cluster.run("member", "remove", lost)
            cluster.names.append("n5")
            cluster.run("member", "add", "n5", "--local")
            until(lambda: cluster.status()["state"] == "healthy", "three members again")
            listed = json.loads(cluster.run("member", "list", "-o", "json").stdout)["members"]
            self.assertEqual(len(listed), 3)

    def test_bounds_that_could_never_hold_are_refused(self):
        with Cluster(1, start=False) as cluster:
            for flags, words in ((("--min-members", "4"), "it would never have a leader"),
                                 (("--max-members", "2"), "--max-members 2: the cluster begins with 3 members"),
                                 (("--min-members", "0"), "--min-members"), (("--max-members", "17"), "--max-members")):
                done = raftctl("init", "other", *flags, cwd=cluster.work, check=2)
                self.assertIn(words, done.stderr)
                self.assertFalse((cluster.work / "other").exists())


if __name__ == "__main__":
    main()
