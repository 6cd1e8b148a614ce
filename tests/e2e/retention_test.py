"""What of the log stays: trims, the standing policy, cursors with holds; over restarts and leader changes."""

import json
import signal
import subprocess
import unittest

from cluster import ENVIRONMENT, Cluster, Load, main, until


def numbers(first, last):
    return "".join(f"{n}\n" for n in range(first, last + 1))


class Retention(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.run_ = self.cluster.run

    def document(self, *arguments, **options):
        return json.loads(self.run_(*arguments, "-o", "json", **options).stdout)

    def dump(self, name):
        lines = self.run_("debug", "dump", name).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def first_everywhere(self, first):
        until(lambda: all(self.dump(name)["state_first_lsn"] == str(first) for name in self.cluster.names),
              f"first LSN {first} on each member")

    def test_a_trim_and_its_readers(self):
        self.run_("append", stdin=numbers(1, 20))
        self.assertEqual(self.run_("trim", "--before", 11).stdout, "the first record is 11\n")
        self.assertEqual(self.document("trim", "--before", 5)["first_lsn"], 11)  # never back
        self.first_everywhere(11)
        self.assertEqual(self.run_("tail", "-n", "all").stdout, numbers(11, 20))
        self.assertEqual(self.run_("tail", "-n", 15).stdout, numbers(11, 20))
        done = self.run_("tail", "--from", 3)
        self.assertEqual(done.stdout, numbers(11, 20))
        self.assertIn("LSN 11", done.stderr)
        for command in (["tail", "--from", 3, "--strict"], ["get", 10]):
            self.assertIn("LSN 11", self.run_(*command, check=6).stderr)
        self.assertEqual(self.run_("get", 11).stdout, "11")
        self.assertEqual(self.run_("tail", "--from", "@2000-01-01T00:00:00Z").stdout, numbers(11, 20))
        self.assertIn("20", self.run_("trim", "--before", 22, check=6).stderr)
        for name in self.cluster.names:
            self.run_("restart", name)
        self.run_("wait", "healthy")
        self.first_everywhere(11)
        self.assertEqual(self.run_("trim", "--before", 21).stdout, "the first record is 21\n")
        self.assertEqual(self.run_("tail", "-n", "all").stdout, "")
        self.assertEqual(self.run_("append", "x").stdout, "21\n")
        self.assertEqual(self.run_("tail", "-n", "all").stdout, "x\n")

    def test_holds_and_cursors(self):
        self.run_("append", stdin=numbers(1, 20))
        self.assertEqual(self.document("cursor", "list")["cursors"], [])
        self.run_("cursor", "get", "audit", check=6)
        self.run_("cursor", "set", "audit", 5, "--hold")
        self.run_("cursor", "set", "audit", 22, check=6)
        done = self.run_("trim", "--before", 11, check=7)
        self.assertIn("cursor audit", done.stderr)
        self.assertEqual(self.run_("tail", "-n", "all").stdout, numbers(5, 20))
        self.assertEqual(self.run_("cursor", "get", "audit").stdout, "5\n")
        self.cluster.kill(self.cluster.wait_leader())
        listed = self.document("cursor", "list")["cursors"]
        self.assertEqual([(c["name"], c["lsn"], c["hold"]) for c in listed], [("audit", 5, True)])
        self.run_("cursor", "set", "audit", 8)
        self.run_("trim", "--before", 11)
        self.assertIn("LSN 11", self.run_("cursor", "set", "audit", 10, check=6).stderr)
        self.run_("cursor", "delete", "audit")
        self.run_("cursor", "delete", "audit", check=6)

    def test_a_tail_moves_its_cursor(self):
        self.run_("append", stdin=numbers(1, 20))
        self.run_("tail", "--cursor", "job", check=6)
        tail = ["tail", "--cursor", "job", "--commit"]
        self.assertEqual(self.run_(*tail, "--count", 5).stdout, numbers(1, 5))
        self.assertEqual(self.run_("cursor", "get", "job").stdout, "6\n")
        self.assertEqual(self.run_("tail", "--cursor", "job", "--count", 2).stdout, numbers(6, 7))
        self.assertEqual(self.run_(*tail).stdout, numbers(6, 20))
        self.assertEqual(self.run_(*tail).stdout, "")
        follower = subprocess.Popen(["raftctl", *tail, "-f"], cwd=self.cluster.folder, env=ENVIRONMENT, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.run_("append", stdin=numbers(21, 25))
        self.assertEqual([follower.stdout.readline() for _ in range(5)], numbers(21, 25).splitlines(True))
        follower.send_signal(signal.SIGINT)
        self.assertEqual(follower.wait(60), 130)
        follower.stdout.close()
        follower.stderr.close()
        self.assertEqual(self.run_("cursor", "get", "job").stdout, "26\n")
        self.run_("cursor", "set", "job", 3)
        self.run_("trim", "--before", 10)
        self.assertIn("LSN 10", self.run_(*tail, "--strict", check=6).stderr)
        done = self.run_(*tail)
        self.assertEqual(done.stdout, numbers(10, 25))
        self.assertIn("warning", done.stderr)

    def test_a_trim_gives_room_back_at_once(self):
        # Nothing is appended any more, as on a full disk, so no later snapshot would let the files go.
        for part in range(3):
            self.run_("append", stdin=numbers(part * 1000 + 1, part * 1000 + 1000))
            self.run_("snapshot", "take")

        def archives():
            return [len(list((self.cluster.folder / name / "data" / "snapshot").glob("*.zst")))
                    for name in self.cluster.names]
        self.assertEqual(archives(), [3, 3, 3])
        self.run_("trim", "--before", 1500)
        until(lambda: archives() == [2, 2, 2], "the first archive goes")
        self.assertEqual(self.run_("tail", "-n", "all").stdout, numbers(1500, 3000))
        self.run_("trim", "--before", 3001)
        until(lambda: archives() == [1, 1, 1], "all go but the one that the snapshot ends with")
        for name in self.cluster.names:
            self.run_("restart", name)
        self.run_("wait", "healthy")
        self.run_("append", stdin=numbers(3001, 3010))
        self.assertEqual(self.run_("tail", "-n", "all").stdout, numbers(3001, 3010))
        self.assertEqual(json.loads(self.run_("snapshot", "take", "-o", "json").stdout)["identical"], True)
        self.assertTrue(json.loads(self.run_("snapshot", "verify", "-o", "json").stdout)["good"])

    def test_the_policy_trims_by_itself(self):
        shown = self.document("retention", "show")
        self.assertEqual([shown[name] for name in ("bytes", "age_ms", "records", "below_checkpoint")],
                         [None, None, None, False])
        self.run_("retention", "set", check=2)
        self.run_("retention", "set", "--bytes", "many", check=2)
        self.run_("append", stdin=numbers(1, 50))
        self.run_("cursor", "set", "slow", 31, "--hold")
        self.assertEqual(self.document("retention", "set", "--records", 10)["records"], 10)
        self.first_everywhere(31)
        alarm = "retention_held cursor=slow"
        until(lambda: alarm in json.dumps(self.cluster.status()), "the alarm that names the cursor")
        self.run_("cursor", "delete", "slow")
        self.first_everywhere(41)
        until(lambda: alarm not in json.dumps(self.cluster.status()), "the end of the alarm")
        self.run_("append", stdin=numbers(51, 55))
        self.first_everywhere(46)
        self.run_("retention", "set", "--records", "off", "--age", "500ms")
        self.first_everywhere(56)
        self.run_("retention", "set", "--age", "off")
        self.assertEqual(self.run_("append", "y").stdout, "56\n")

    def test_trims_under_load_and_kills(self):
        with Load(self.cluster) as load:
            load.progress(100)
            self.run_("retention", "set", "--records", 50)
            load.progress(100)
            self.cluster.kill(self.cluster.wait_leader())
            load.progress(100)
            self.run_("start")
            load.progress(100)
            load.finish()
        self.run_("wait", "healthy")
        self.first_everywhere(self.cluster.status()["last_lsn"] - 49)

        def digests():
            dumps = [self.dump(name) for name in self.cluster.names]
            return len({(dump["state_applied"], dump["state_digest"]) for dump in dumps}) == 1
        until(digests, "one state digest on all members")


if __name__ == "__main__":
    main()
