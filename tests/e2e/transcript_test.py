#!/usr/bin/env python3
"""Runs the five-minute transcript of the README, line by line, and compares what comes with it. What may differ
from run to run (ports, process ids, who leads, terms, sizes) is compared by shape only."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from cluster import ENVIRONMENT, PATIENCE, main

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def transcript():
    """[(command, [expected lines])] of the first block of the README that holds `$ raftctl init`."""
    for block in re.findall(r"^```\n(.*?)^```", README.read_text(), re.M | re.S):
        if "$ raftctl init" in block:
            steps = []
            for line in block.splitlines():
                if line.startswith("$ "):
                    steps.append((line[2:], []))
                else:
                    steps[-1][1].append(line)
            return steps
    raise AssertionError("the README has no transcript")


def shape(line):
    """A line without what may differ."""
    line = re.sub(r"\bn[123]\b", "nX", line)
    line = re.sub(r"127\.0\.0\.1:\d+|\d+-\d+", "PORT", line)
    line = re.sub(r"\(pid \d+\)", "(pid P)", line)
    line = re.sub(r"leads term \d+", "leads term T", line)
    line = re.sub(r"\b\d+ [KMG]iB\b", "SIZE", line)
    return re.sub(r" +", " ", line).strip()


def member_row(line):
    """Of a row of status: role, state, commit and lag, whoever it is. A follower holds the newest record (lag 0), but
    hears that it is committed only with the leader's next message."""
    _, role, state, _, commit, lag, *_ = line.split()
    return role, state, "any" if role == "follower" else commit, lag


class Transcript(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="raftd-e2e-"))
        self.folder = self.work

    def tearDown(self):
        subprocess.run(["raftctl", "stop", "--kill"], cwd=self.folder, env=ENVIRONMENT, capture_output=True,
                       timeout=PATIENCE, check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    def shell(self, command):
        done = subprocess.run(["bash", "-c", command + "; echo; pwd"], cwd=self.folder, env=ENVIRONMENT, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              timeout=PATIENCE, check=False)
        *lines, blank, folder = done.stdout.splitlines()
        self.folder = pathlib.Path(folder)
        return lines + ([blank] if blank else [])

    def test_readme(self):
        for command, expected in transcript():
            if "kill -9" in command:  # the README's n2 is whoever leads now
                status = self.shell("raftctl status")
                leader = next(line.split()[0] for line in status if " leader " in line)
                command = command.replace("n2/", leader + "/")
            got = self.shell(command)
            print(f"$ {command}", *got, sep="\n", flush=True)
            rows = [line for line in got if re.match(r"n\d ", line) and "started" not in line]
            wanted_rows = [line for line in expected if re.match(r"n\d ", line) and "started" not in line]
            self.assertEqual(sorted(map(member_row, rows)), sorted(map(member_row, wanted_rows)))
            self.assertEqual([shape(line) for line in got if line not in rows],
                             [shape(line) for line in expected if line not in wanted_rows])


if __name__ == "__main__":
    main()
