#!/usr/bin/env python3
"""Members come, go, move and hand over while appends go on; nobody's append fails, and nothing is lost."""

import json
import shutil
import socket
import unittest

from cluster import Cluster, Load, SteadyWriter, main, raftctl, start_alone, until, verify


def steady_load(cluster):
    return Load(cluster, writer_type=SteadyWriter)


def members(cluster):
    listed = json.loads(cluster.run("member", "list", "-o", "json").stdout)
    return {member["name"]: member for member in listed["members"]}


def voters(cluster):
    return sorted(name for name, member in members(cluster).items() if member["role"] == "voter")


def listens(address):
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
        return True
    except OSError:
        return False


class Members(unittest.TestCase):
    def add(self, cluster, name, *flags):
        if name not in cluster.names:
            cluster.names.append(name)
        return cluster.run("member", "add", name, "--local", *flags)

    def remove(self, cluster, name):
        cluster.run("member", "remove", name)
        cluster.names.remove(name)
        self.assertFalse(cluster.alive(name))

    def test_grows_from_one_to_five_and_shrinks_back_under_load(self):
        with Cluster(1) as cluster, steady_load(cluster) as load:
            for name in ("n2", "n3", "n4", "n5"):
                self.add(cluster, name)
                self.assertEqual(voters(cluster), sorted(cluster.names))
                load.progress()
            for _ in range(4):
                leads = cluster.wait_leader()
                gone = leads if leads != "n1" else cluster.names[-1]
                self.remove(cluster, gone)
                load.progress()
            self.assertEqual(voters(cluster), ["n1"])
            load.finish()
            print(f"1 to 5 members and back: {verify(cluster, load.writers)} records")

    def test_the_leader_is_removed_again_and_again(self):
        with Cluster(3) as cluster, steady_load(cluster) as load:
            for number in range(4, 10):
                leads = cluster.wait_leader()
                self.remove(cluster, leads)
                load.progress()
                self.add(cluster, f"n{number}")
                load.progress()
            load.finish()
            verify(cluster, load.writers)

    def test_leadership_is_handed_over_under_load(self):
        with Cluster(3) as cluster, steady_load(cluster) as load:
            for _ in range(10):
                before = cluster.wait_leader()
                cluster.run("transfer-leader")
                self.assertNotEqual(cluster.wait_leader(), before)
                load.progress(5)
            for name in cluster.names:
                cluster.run("transfer-leader", name)
                self.assertEqual(cluster.leader(), name)
            load.finish()
            verify(cluster, load.writers)

    def test_a_lost_disk_is_replaced_by_a_new_member_of_the_same_name(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            load.progress()
            lost = next(name for name in cluster.names if name != cluster.wait_leader())
            before = members(cluster)[lost]["id"]
            cluster.kill(lost)
            shutil.rmtree(cluster.folder / lost / "data")
            cluster.run("member", "replace", lost, "--local")
            after = members(cluster)
            self.assertEqual(sorted(after), sorted(cluster.names))
            self.assertGreater(after[lost]["id"], before)
            self.assertEqual(after[lost]["role"], "voter")
            load.progress()
            load.finish()
            cluster.run("wait", "caught-up", lost)
            verify(cluster, load.writers)

    def test_a_lost_learner_is_replaced_and_stays_one(self):
        with Cluster(1) as cluster:
            cluster.names.append("n2")
            cluster.run("append", "one")
            cluster.run("member", "add", "n2", "--local", "--learner")
            before = members(cluster)["n2"]["id"]
            cluster.kill("n2")
            shutil.rmtree(cluster.folder / "n2" / "data")
            cluster.run("member", "replace", "n2", "--local")
            after = members(cluster)
            self.assertGreater(after["n2"]["id"], before)
            self.assertEqual(after["n2"]["role"], "learner")
            cluster.run("wait", "healthy")
            verify(cluster, [])

    def test_an_id_never_returns(self):
        with Cluster(3) as cluster:
            self.add(cluster, "n4", "--learner")
            first = members(cluster)["n4"]["id"]
            self.remove(cluster, "n4")
            cluster.run("stop")
            cluster.run("start")
            self.add(cluster, "n5", "--learner")
            self.assertGreater(members(cluster)["n5"]["id"], first)

    def test_who_was_removed_or_replaced_is_told_so_when_it_starts(self):
        with Cluster(3) as cluster:
            self.add(cluster, "n4")
            self.remove(cluster, "n4")
            code, said = start_alone(cluster, "n4")
            self.assertEqual(code, 23, said)
            self.assertIn("n4 (id 4) is in no configuration of its log, and cluster.toml doesn't have it", said)
            self.assertIn("raftctl member list", said)

            replaced = next(name for name in cluster.names if name != cluster.wait_leader())
            old = json.loads(cluster.run("member", "list", "-o", "json").stdout)
            old = next(member["id"] for member in old["members"] if member["name"] == replaced)
            cluster.names.append(f"{replaced}-2")  # where the new one lies
            cluster.run("member", "replace", replaced, "--local")  # while the old one runs, so that it hears of it
            until(lambda: "removed" in (cluster.folder / replaced / "raftd.log").read_text(), "the news")
            cluster.kill(replaced)
            code, said = start_alone(cluster, replaced)
            self.assertEqual(code, 23, said)
            self.assertIn(f"{replaced} (id {old}) is in no configuration of its log", said)
            self.assertIn(f"the {replaced} of cluster.toml is another", said)

    def test_a_dead_address_is_said_at_once_and_changes_nothing(self):
        with Cluster(3) as cluster:
            before = members(cluster)
            text = (cluster.folder / "cluster.toml").read_text()
            done = cluster.run("member", "add", "n4", "--peer", "127.0.0.1:1", check=3)
            self.assertIn("the members were not changed", done.stderr)
            self.assertEqual(members(cluster), before)
            self.assertEqual((cluster.folder / "cluster.toml").read_text(), text)
            cluster.run("append", "still works")

    def test_a_member_of_another_machine_is_made_moved_started_and_added(self):
        with Cluster(3) as cluster:
            there = cluster.work / "elsewhere"
            peer = "127.0.0.1:" + str(int(members(cluster)["n3"]["peer"].rsplit(":", 1)[1]) + 7)
            cluster.run("member", "add", "n4", "--peer", peer, "--make-folder", there)
            (there / "n4").rename(cluster.folder / "n4")  # where the harness looks for pids
            shutil.copy(there / "cluster.toml", cluster.work / "cluster.toml")
            (cluster.folder / "n4" / "raftd.toml").write_text(
                (cluster.folder / "n4" / "raftd.toml").read_text().replace("../cluster.toml", "../../cluster.toml"))
            (cluster.work / "n4").symlink_to(cluster.folder / "n4")
            raftctl("--cluster", cluster.work, "start", "--wait", "none")
            cluster.names.append("n4")
            until(lambda: listens(peer), "n4 to listen")
            cluster.run("member", "add", "n4", "--peer", peer)
            self.assertEqual(voters(cluster), ["n1", "n2", "n3", "n4"])
            cluster.run("append", "from here")
            until(lambda: cluster.records("n4") == [(1, "from here")], "the record on n4")

    def test_demoted_promoted_and_listed(self):
        with Cluster(3) as cluster:
            leads = cluster.wait_leader()
            cluster.run("member", "demote", leads)
            self.assertEqual(members(cluster)[leads]["role"], "learner")
            self.assertNotEqual(cluster.wait_leader(), leads)
            cluster.run("member", "promote", leads)
            self.assertEqual(voters(cluster), cluster.names)
            cluster.run("member", "remove", "n9", check=2)
            cluster.run("member", "add", "n1", "--local", check=7)
            self.assertFalse((cluster.folder / "n1-2").exists())
            config = (cluster.folder / "cluster.toml").read_text()
            self.assertEqual(config.count("[[member]]"), 3)

    def test_a_member_moves_to_another_address(self):
        with Cluster(3) as cluster:
            moved = next(name for name in cluster.names if name != cluster.wait_leader())
            peer = "127.0.0.1:" + str(int(members(cluster)[moved]["peer"].rsplit(":", 1)[1]) + 20)
            cluster.run("member", "set", moved, "--peer", peer)
            cluster.run("restart", moved)
            cluster.run("wait", "healthy")
            self.assertEqual(members(cluster)[moved]["peer"], peer)
            self.assertIn(peer, (cluster.folder / "cluster.toml").read_text())
            cluster.run("append", "after the move")
            cluster.run("stop")
            cluster.run("start")
            self.assertEqual(members(cluster)[moved]["peer"], peer)

    def test_a_change_without_a_quorum_is_refused_before_it_begins(self):
        with Cluster(3) as cluster:
            leads = cluster.wait_leader()
            others = [name for name in cluster.names if name != leads]
            cluster.kill(others[0])
            until(lambda: cluster.status().get("state") == "degraded", "n's absence is seen")
            # Two voters of which one is dead could decide nothing.
            done = cluster.run("member", "remove", others[1], check=7)
            self.assertIn("the cluster would stop", done.stderr)
            self.assertEqual(voters(cluster), cluster.names)
            cluster.run("append", "still works")

    def test_a_file_is_compared_planned_and_applied(self):
        with Cluster(3) as cluster:
            self.assertEqual(cluster.run("member", "diff", "cluster.toml").stdout, "")
            leads = cluster.wait_leader()
            wanted = cluster.folder / "wanted.toml"
            blocks = (cluster.folder / "cluster.toml").read_text().split("\n[[member]]\n")
            kept = [block for block in blocks if f'name = "{leads}"' not in block]
            wanted.write_text("\n[[member]]\n".join(kept).replace("priority = 0", "priority = 0  # for now"))
            diff = cluster.run("member", "diff", "wanted.toml", check=8).stdout
            self.assertIn(f"- {leads} ", diff)
            listed = json.loads(cluster.run("member", "list", "-o", "json").stdout)
            same = json.loads(cluster.run("member", "diff", "cluster.toml", "-o", "json").stdout)
            self.assertEqual((same["config_index"], same["steps"]), (listed["config_index"], []))
            diff = json.loads(cluster.run("member", "diff", "wanted.toml", "-o", "json", check=8).stdout)
            self.assertEqual(diff["config_index"], listed["config_index"])
            self.assertEqual([step["kind"] for step in diff["steps"]], ["joint", "leave_joint"])
            plan = json.loads(cluster.run("member", "apply", "wanted.toml", "--dry-run", "-o", "json").stdout)
            self.assertEqual([step["kind"] for step in plan["steps"]], ["joint", "leave_joint"])
            self.assertEqual(plan["steps"][0]["needs"], ["2 of 3", "2 of 2"])
            self.assertEqual(voters(cluster), cluster.names)
            cluster.run("member", "apply", "wanted.toml", check=2)  # nobody agreed
            cluster.run("member", "apply", "wanted.toml", "--yes")
            self.assertEqual(voters(cluster), [name for name in cluster.names if name != leads])
            self.assertEqual((cluster.folder / "cluster.toml").read_text().count("[[member]]"), 2)
            cluster.run("member", "add", "n4", "--local")
            cluster.names.append("n4")
            cluster.run("member", "apply", "wanted.toml", "--yes", check=7)  # it is older now

    def test_a_plan_without_a_quorum_names_its_step(self):
        with Cluster(3) as cluster:
            leads = cluster.wait_leader()
            others = [name for name in cluster.names if name != leads]
            cluster.kill(others[0])
            text = (cluster.folder / "cluster.toml").read_text()
            blocks = text.split("\n[[member]]\n")
            wanted = cluster.folder / "wanted.toml"
            wanted.write_text("\n[[member]]\n".join(b for b in blocks if f'name = "{others[1]}"' not in b))
            done = cluster.run("member", "apply", "wanted.toml", "--yes", check=7)
            self.assertIn("step 1 can't be taken", done.stderr)
            self.assertIn(others[0], done.stderr)
            self.assertEqual((cluster.folder / "cluster.toml").read_text(), text)
            cluster.run("append", "still works")


if __name__ == "__main__":
    main()
