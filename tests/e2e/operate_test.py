#!/usr/bin/env python3
"""The operating commands as scripts and people use them: init, start, stop, restart, status, wait, logs, config,
destroy. Exit codes and JSON are the interface; texts are compared where they tell what to do next."""

import json
import os
import shlex
import socket
import subprocess
import tempfile
import unittest

from cluster import ENVIRONMENT, PATIENCE, Cluster, Load, main, raftctl, until, verify


def shell(command, cwd):
    done = subprocess.run(["bash", "-c", command], cwd=cwd, env=ENVIRONMENT, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False)
    return done.returncode, done.stdout, done.stderr


def hint_of(done):
    """The command of the hint, to be run."""
    return next(line[len("hint: "):] for line in done.stderr.splitlines() if line.startswith("hint: "))


class Init(unittest.TestCase):
    def test_skips_busy_ports(self):
        with tempfile.TemporaryDirectory(prefix="raftd-e2e-") as work, socket.socket() as taken:
            port = next(p for p in range(21000, 32000) if not taken.connect_ex(("127.0.0.1", p)) == 0)
            with socket.socket() as listener:
                listener.bind(("127.0.0.1", port))
                listener.listen()
                done = raftctl("init", "x", "--nodes", 1, "--base-port", port, "-o", "json", cwd=work)
            member = json.loads(done.stdout)["members"][0]
            self.assertNotEqual(member["peer"], f"127.0.0.1:{port}")

    def test_what_cannot_be_leaves_nothing(self):
        with tempfile.TemporaryDirectory(prefix="raftd-e2e-") as work:
            for arguments in (["--nodes", 0], ["--nodes", 10], ["--nodes", 9, "--learners", 8],
                              ["--member", "n1=127.0.0.1"], ["--member", "a b=127.0.0.1:7000"],
                              ["--member", "n1=127.0.0.1:22000", "--member", "n1=127.0.0.1:22001"],
                              ["--member", "n1=127.0.0.1:22000", "--member", "n2=127.0.0.1:22000"]):
                done = raftctl("init", "x", *arguments, cwd=work, check=2)
                self.assertTrue(done.stderr.startswith("raftctl: "), done.stderr)
                self.assertEqual(os.listdir(work), [], arguments)

    def test_members_on_several_machines_begin_alike(self):
        with tempfile.TemporaryDirectory(prefix="raftd-e2e-") as work:
            done = raftctl("init", "x", "--member", "a=127.0.0.1:23101", "--member", "b=127.0.0.1:23102", cwd=work)
            self.assertIn("move x/b", done.stderr)
            manifests = {name: open(f"{work}/x/{name}/data/snapshot/manifest-0.json", "rb").read() for name in "ab"}
            self.assertEqual(manifests["a"], manifests["b"])


class Running(unittest.TestCase):
    def test_start_and_stop_say_what_is(self):
        with Cluster(3) as cluster:
            again = cluster.run("start")
            self.assertEqual(again.stderr.count("already runs"), 3)
            self.assertEqual(cluster.run("stop").stdout, "")
            self.assertIn("nothing runs", cluster.run("stop").stderr)
            for name in cluster.names:
                self.assertFalse((cluster.folder / name / "raftd.pid").exists())
            self.assertEqual(cluster.run("status", check=3).stdout.count("down"), 3)
            alone = cluster.run("start", "n1")  # no leader can come of it, and that is no failure of n1
            self.assertIn("1 of 3 members up", alone.stderr)
            self.assertIn("no leader", cluster.run("status", check=4).stdout)
            self.assertEqual(cluster.run("append", "x", "--timeout", "300ms", check=False).returncode, 4)
            self.assertEqual(cluster.run("wait", "leader", "--timeout", "300ms", check=False).returncode, 4)
            cluster.run("start")
            self.assertEqual(cluster.run("append", "x").stdout, "1\n")

    def test_stop_signals_only_who_holds_the_lock(self):
        with Cluster(1) as cluster:
            cluster.run("stop")
            with subprocess.Popen(["sleep", "600"]) as bystander:
                (cluster.folder / "n1" / "raftd.pid").write_text(f"{bystander.pid}\n")
                cluster.run("stop")
                cluster.run("stop", "--kill")
                self.assertIsNone(bystander.poll())
                bystander.kill()

    def test_hints_help(self):
        with Cluster(3) as cluster:
            cluster.kill("n2")
            cluster.wait_leader()  # it may have been the leader: until there is another, status is "unavailable" (4)
            done = cluster.run("status")
            self.assertIn("n2", hint_of(done))
            code, _, _ = shell(hint_of(done), cluster.folder)
            self.assertEqual(code, 0)
            cluster.run("wait", "healthy")
            cluster.run("status", "--check")
            cluster.run("stop")
            shell(hint_of(cluster.run("status", check=3)), cluster.folder)
            cluster.run("status", "--check")

    def test_check_and_wait_tell_degraded_from_down(self):
        with Cluster(3) as cluster:
            cluster.wait_leader()
            dead = next(name for name in cluster.names if name != cluster.leader())
            cluster.kill(dead)
            self.assertEqual(cluster.run("status", "--check", check=10).returncode, 10)
            cluster.run("wait", "healthy", "--timeout", "300ms", check=10)
            cluster.run("append", "one", "two")
            cluster.run("wait", "lsn", "2")
            cluster.run("wait", "lsn", "3", "--timeout", "300ms", check=4)
            cluster.kill(*[name for name in cluster.names if name != dead])
            cluster.run("status", "--check", check=3)
            cluster.run("append", "x", "--timeout", "1s", check=3)

    def test_rolling_restart_under_load(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            load.progress()
            before = [cluster.pid(name) for name in cluster.names]
            cluster.run("restart", "--rolling")
            self.assertEqual(len(set(before) & {cluster.pid(name) for name in cluster.names}), 0)
            load.progress()
            load.finish()
            cluster.run("wait", "healthy")
            verify(cluster, load.writers)

    def test_half_made_directory(self):
        with Cluster(1, start=False) as cluster:
            (cluster.folder / "n1" / "data" / "identity.toml").unlink()
            done = cluster.run("start", check=1)
            for text in ("n1 ended at once with exit code 23", "half-made", "hint: "):
                self.assertIn(text, done.stderr)

    def test_foreground_is_the_daemon(self):
        with Cluster(1, start=False) as cluster:
            with subprocess.Popen(["raftctl", "start", "--foreground"], cwd=cluster.folder, env=ENVIRONMENT,
                                  stderr=subprocess.DEVNULL) as process:
                until(lambda: cluster.leader() == "n1", "n1 leads")
                self.assertEqual(cluster.pid("n1"), process.pid)
                process.terminate()
                self.assertEqual(process.wait(PATIENCE), 0)


class Looking(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3).__enter__()
        cls.cluster.run("append", "a", "b")

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def test_status_as_json(self):
        status = self.cluster.status()
        self.assertEqual(status["state"], "healthy")
        self.assertEqual((status["first_lsn"], status["commit_lsn"]), (1, 2))
        self.assertEqual(set(status), {"schema", "cluster", "cluster_id", "state", "leader", "term", "first_lsn",
                                       "commit_lsn", "last_lsn", "commit_index", "config", "members"})
        self.assertEqual(status["config"]["voters"], ["n1", "n2", "n3"])
        self.assertEqual(set(status["members"][0]), {
            "id", "name", "role", "state", "reachable", "term", "commit_index", "commit_lsn", "match_index",
            "lag_records", "wal_bytes", "archive_bytes", "snapshot_lsn", "rtt_ms", "sync_p99_ms", "uptime_s", "version",
            "alarms", "error", "applied_index", "producers", "install", "frozen_s", "sync_max_ms", "unsynced_ms",
            "disk_free_bytes", "scrub"})

    def test_flags_work_anywhere(self):
        for arguments in (["-o", "json", "status"], ["status", "-ojson"], ["status", "--output=json"]):
            self.assertEqual(json.loads(self.cluster.run(*arguments).stdout)["schema"], 1)
        self.assertEqual(self.cluster.run("wait", "leader", "-q").stderr, "")

    def test_errors_as_json_are_one_document(self):
        for code, arguments in ((2, ["stauts"]), (2, ["status", "--chek"]), (2, ["stop", "n9"]), (2, ["wait"]),
                                (3, ["status", "--endpoint", "127.0.0.1:1"]), (6, ["get", "99"])):
            done = self.cluster.run(*arguments, "-o", "json", check=code)
            error = json.loads(done.stdout)["error"]
            self.assertEqual(error["exit"], code)
            self.assertTrue(error["message"])

    def test_any_member_tells_of_all(self):
        toml = (self.cluster.folder / "cluster.toml").read_text()
        endpoint = toml.split('client = "')[1].split('"')[0]
        status = json.loads(raftctl("status", "-o", "json", "--endpoint", endpoint, cwd="/").stdout)
        self.assertEqual([member["state"] for member in status["members"]], ["up"] * 3)

    def test_output_that_cannot_be_written_is_an_error(self):
        for target in (">&-", ">/dev/full"):
            code, _, said = shell(f"raftctl status {target}", self.cluster.folder)
            self.assertEqual(code, 1)
            self.assertIn("standard output", said)
        code, out, _ = shell("raftctl status | head -1; echo ${PIPESTATUS[0]}", self.cluster.folder)
        self.assertTrue(out.endswith("\n0\n"), out)

    def test_logs_are_merged_by_time(self):
        lines = self.cluster.run("logs", "-n", "1000").stdout.splitlines()
        times = [line.split()[1] for line in lines]
        self.assertEqual(times, sorted(times))
        self.assertEqual({line.split()[0] for line in lines}, {"n1", "n2", "n3"})

    def test_inside(self):
        self.assertIn("member=n1", self.cluster.run("debug", "dump", "n1").stdout)
        segment = next((self.cluster.folder / "n1" / "data" / "wal").glob("*.wal"))
        self.assertIn("entries=1", self.cluster.run("debug", "wal", segment).stdout)
        findings = json.loads(self.cluster.run("doctor", "-o", "json", check=False).stdout)["findings"]
        self.assertIn("clock", [finding["subject"] for finding in findings])
        measured = [finding["measured"] for finding in findings if "sync_p50_us" in finding.get("measured", {})]
        self.assertEqual(len(measured), 3)
        for one in measured:
            self.assertTrue(0 < one["syncs"] <= 1000)
            self.assertTrue(one["sync_p50_us"] <= one["sync_p99_us"] <= one["sync_p999_us"] <= one["sync_max_us"])
            self.assertGreaterEqual(one["election_timeout_min_ms"] * 1000, one["sync_p999_us"] * 10)

    def test_a_list_of_parts_has_a_line_each(self):
        for command in ("snapshot", "member", "cursor", "fault"):
            parts = self.cluster.run(command, "--help").stdout.split("Subcommands:\n")[1].split("\n\n")[0]
            for line in parts.splitlines():
                self.assertRegex(line, r"^  [a-z]+ +[a-z]", f"of {command}")
            self.assertNotIn("raftctl", parts)

    def test_every_help_begins_with_two_examples(self):
        everything = self.cluster.run("help", "all").stdout.split("flags that work")[0]
        commands = [line.split()[0] for line in everything.splitlines() if line.startswith("  ") and line[2] != " "]
        self.assertGreater(len(commands), 10)
        for command in commands:
            lines = self.cluster.run(command, "--help").stdout.splitlines()
            for line in lines[:2]:
                self.assertIn("raftctl ", line, command)
                shlex.split(line)

    def test_destroy_refuses_a_running_cluster(self):
        self.assertIn("raftctl stop", self.cluster.run("destroy", "--yes", check=7).stderr)


class Files(unittest.TestCase):
    def test_every_problem_is_named_with_its_place(self):
        with Cluster(2, start=False) as cluster:
            toml = cluster.folder / "cluster.toml"
            good = toml.read_text()
            toml.write_text(good.replace("id = 2", "id = 1").replace('role = "voter"', 'rolle = "voter"', 1))
            done = cluster.run("config", "check", check=2)
            self.assertRegex(done.stderr, r"cluster\.toml:\d+:\d+: member\.id: .* already")
            self.assertRegex(done.stderr, r"cluster\.toml:\d+:\d+: member\.rolle: .*did you mean member\.role\?")
            self.assertRegex(cluster.run("start", check=2).stderr, r"cluster\.toml:\d+:\d+: ")
            toml.write_text(good)
            cluster.run("config", "check")
            shown = json.loads(cluster.run("config", "show", "n1/raftd.toml", "-o", "json").stdout)
            self.assertIn({"setting": "raft.election_timeout", "value": '"1s"', "default": '"1s"', "origin": "default"},
                          shown["settings"])

    def test_destroy_leaves_what_it_does_not_know(self):
        with Cluster(1) as cluster:
            cluster.run("stop")
            (cluster.folder / "n1" / "mine.txt").write_text("keep")
            cluster.run("destroy", check=2)
            cluster.run("destroy", "--yes")
            self.assertEqual([str(p.relative_to(cluster.folder)) for p in cluster.folder.rglob("*")],
                             ["n1", "n1/mine.txt"])
            raftctl("status", cwd=cluster.folder, check=6)


if __name__ == "__main__":
    main()
