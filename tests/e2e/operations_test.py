#!/usr/bin/env python3
"""Runs the blocks of docs/operations.md that are marked `run=`, each on a cluster of its own, and demands that every
line of them succeeds."""

import contextlib
import pathlib
import re
import socket
import subprocess
import unittest

from cluster import ENVIRONMENT, PATIENCE, Cluster, main, raftctl

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "operations.md"
BLOCKS = dict(re.findall(r"^```sh run=(\w+)\n(.*?)^```", PAGE.read_text(), re.M | re.S))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Operations(unittest.TestCase):
    def run_block(self, name, ends_in="demo"):
        with Cluster(3) as cluster, contextlib.ExitStack() as ending:
            # A block may leave a folder behind in which daemons run.
            ending.callback(subprocess.run, ["raftctl", "--cluster", str(cluster.work / ends_in), "stop", "--kill"],
                            env=ENVIRONMENT, capture_output=True, check=False)
            cluster.names += ["n4", "n5"]  # so that whatever the block starts is ended
            environment = dict(ENVIRONMENT, PORT=str(free_port()))
            done = subprocess.run(["bash", "-euxc", BLOCKS[name]], cwd=cluster.folder, env=environment, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  timeout=2 * PATIENCE, check=False)
            self.assertEqual(done.returncode, 0, done.stdout)
            raftctl("append", "still works", cwd=cluster.work / ends_in)

    def test_every_block_has_a_test(self):
        tests = {name[len("test_block_"):] for name in dir(self) if name.startswith("test_block_")}
        self.assertEqual(tests, set(BLOCKS))

    def test_block_grow(self):
        self.run_block("grow")

    def test_block_replace(self):
        self.run_block("replace")

    def test_block_readdress(self):
        self.run_block("readdress")

    def test_block_lost_quorum(self):
        self.run_block("lost_quorum", ends_in="demo-recovered")

    def test_block_offline(self):
        self.run_block("offline")

    def test_block_upgrade(self):
        self.run_block("upgrade")

    def test_block_backup(self):
        self.run_block("backup", ends_in="demo-restored")

    def test_block_fsck(self):
        self.run_block("fsck")

    def test_block_transfer(self):
        self.run_block("transfer")

    def test_block_look(self):
        self.run_block("look")


if __name__ == "__main__":
    main()
