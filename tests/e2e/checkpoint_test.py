"""Checkpoints: the application's own state in place of a prefix, up and down, over kills and beside appends."""

import hashlib
import json
import os
import subprocess
import unittest

from cluster import ENVIRONMENT, Cluster, Load, main, until


class Checkpoints(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.run_ = self.cluster.run

    def make(self, name, size):
        data = os.urandom(size)
        (self.cluster.folder / name).write_bytes(data)
        return data

    def fetched(self):
        self.run_("checkpoint", "get", "back.bin")
        return (self.cluster.folder / "back.bin").read_bytes()

    def listed(self):
        return json.loads(self.run_("checkpoint", "list", "-o", "json").stdout)["checkpoints"]

    def test_put_get_and_a_new_reader(self):
        self.run_("append", stdin="".join(f"{n}\n" for n in range(1, 31)))
        self.run_("checkpoint", "get", check=6)
        data = self.make("state.bin", 3_000_001)
        self.run_("checkpoint", "put", "state.bin", "--upto", 31, check=6)
        self.run_("checkpoint", "put", "nothing.bin", "--upto", 20, check=6)
        put = json.loads(self.run_("checkpoint", "put", "state.bin", "--upto", 20, "--trim", "-o", "json").stdout)
        self.assertEqual((put["upto"], put["size"], put["whole"]), (20, len(data), True))
        self.assertEqual(put["sha256"], hashlib.sha256(data).hexdigest())
        self.assertEqual(self.fetched(), data)
        out = subprocess.run(["raftctl", "checkpoint", "get"], cwd=self.cluster.folder, env=ENVIRONMENT,
                             capture_output=True, timeout=60, check=True)
        self.assertEqual(out.stdout, data)
        self.assertIn("--from 21", out.stderr.decode())
        got = json.loads(self.run_("checkpoint", "get", "back.bin", "-o", "json").stdout)
        self.assertEqual(self.run_("tail", "--from", got["upto"] + 1, "--strict").stdout,
                         "".join(f"{n}\n" for n in range(21, 31)))
        self.assertEqual(self.run_("tail", "-n", "all").stdout.split()[0], "21")
        # Only a later one takes its place.
        self.run_("checkpoint", "put", "state.bin", "--upto", 20, check=7)
        self.run_("checkpoint", "put", "state.bin", "--upto", 15, check=6)
        other = self.make("other.bin", 0)
        self.run_("checkpoint", "put", "other.bin", "--upto", 30)
        self.assertEqual(self.fetched(), other)
        self.assertEqual([c["upto"] for c in self.listed()], [20, 30])
        self.run_("trim", "--before", 31)
        self.assertEqual([c["upto"] for c in self.listed()], [30])
        events = self.run_("events", "-n", 100).stdout
        self.assertIn("checkpoint_dropped", events)
        self.assertIn("trimmed", events)
        for name in self.cluster.names:
            self.run_("restart", name)
        self.run_("wait", "healthy")
        self.assertEqual(self.fetched(), other)
        self.assertEqual([c["upto"] for c in self.listed()], [30])

    def test_the_policy_below_the_newest_checkpoint(self):
        self.run_("append", stdin="".join(f"{n}\n" for n in range(1, 31)))
        self.run_("retention", "set", "--below-checkpoint", "on")
        self.run_("trim", "--before", 5, check=7)
        self.make("state.bin", 1000)
        self.run_("checkpoint", "put", "state.bin", "--upto", 12)
        until(lambda: self.run_("tail", "-n", "all").stdout.split()[0] == "13", "the records below it go by themselves")

    def test_an_interrupted_upload_is_nobodys_checkpoint(self):
        self.run_("append", "one")
        self.make("state.bin", 64 << 20)
        upload = subprocess.Popen(["raftctl", "checkpoint", "put", "state.bin", "--upto", "1"],
                                  cwd=self.cluster.folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        until(lambda: any(c["received"] > 0 for c in self.listed()), "an upload under way")
        upload.kill()
        upload.wait(60)
        self.run_("checkpoint", "get", check=6)
        left = self.listed()
        self.assertEqual([c["whole"] for c in left], [False])
        data = self.make("small.bin", 70_000)
        self.run_("checkpoint", "put", "small.bin", "--upto", 1)
        self.assertEqual(self.fetched(), data)
        self.run_("append", "two")
        self.run_("trim", "--before", 3)
        self.assertEqual(self.listed(), [])

    def test_over_a_killed_leader_and_beside_appends(self):
        data = self.make("state.bin", 16 << 20)
        with Load(self.cluster) as load:
            load.progress(20)
            upload = subprocess.Popen(["raftctl", "checkpoint", "put", "state.bin", "--upto", "10"],
                                      cwd=self.cluster.folder, env=ENVIRONMENT, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
            until(lambda: any(c["received"] > 1 << 20 for c in self.listed()) or upload.poll() is not None,
                  "an upload under way")
            self.cluster.kill(self.cluster.wait_leader())
            load.progress(20)
            _, told = upload.communicate(timeout=60)
            self.assertEqual(upload.returncode, 0, told)
            self.run_("start")
            load.progress(20)
            load.finish()
        self.assertEqual(self.fetched(), data)
        self.assertEqual([c["whole"] for c in self.listed() if c["received"] == c["size"]], [True])


if __name__ == "__main__":
    main()
