#!/usr/bin/env python3
"""Members change all the time, with real processes: from one member to seven and back without a failed append; then a
minute of additions, removals, replacements, transfers and kills under four writers and two readers. At the end all
members are equal, and every acknowledged record stands once, in order."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

from cluster import ENVIRONMENT, PATIENCE, Cluster, Load, SteadyWriter, Writer, main, until, verify

SECONDS = int(os.environ.get("RAFTD_CHURN_SECONDS", "60"))
VOTERS_MAX = 7
# Ends of a command that a kill in the middle may bring: it couldn't, it can't tell, or another was under way.
TROUBLE = {0, 3, 4, 5, 7, 10}


class CalmWriter(Writer):
    """One append at a time: what is looked at is the changes, and all of it is read back from each member."""

    def __init__(self, cluster, name, newest):
        super().__init__(cluster, name, newest, in_flight=1)


class Reader(threading.Thread):
    """Follows the log from its first record, over whatever happens to the members, and checks as it goes that no
    record is missing or comes again."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.seen = []
        self.failure = None
        self.process = subprocess.Popen(["raftctl", "tail", "-f", "--from", "first", "-o", "jsonl"], text=True,
                                        cwd=cluster.folder, env=ENVIRONMENT, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.start()

    def run(self):
        for line in self.process.stdout:
            record = json.loads(line)
            if record["lsn"] != len(self.seen) + 1:
                self.failure = f"{record['lsn']} comes after {len(self.seen)}"
            self.seen.append(record["data"])

    def finish(self, records):
        until(lambda: self.failure or self.process.poll() is not None or len(self.seen) >= records,
              f"{records} records at a reader")
        if self.failure or self.process.poll() is not None:
            raise AssertionError(f"a reader ended: {self.failure}, {self.process.stderr.read()[-500:]}")
        self.stop()
        return self.seen

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)
        self.join(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()


class Churn:
    """Changes chosen at random; `done` counts those that came about, by kind."""

    def __init__(self, cluster, seed):
        self.cluster, self.random = cluster, random.Random(seed)
        self.done = dict.fromkeys(("add", "remove", "replace", "transfer", "kill", "demote", "promote"), 0)
        self.undecided = 0  # commands that a kill kept from an answer
        self.next_name = 2

    def members(self):
        listed = json.loads(self.cluster.run("member", "list", "-o", "json").stdout)["members"]
        return {member["name"]: member["role"] for member in listed}

    def command(self, kind, *words):
        done = self.cluster.run(*words, check=False, timeout=2 * PATIENCE)
        if done.returncode not in TROUBLE:
            raise AssertionError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        if done.returncode == 0:
            self.done[kind] += 1
        else:
            self.undecided += 1

    def step(self):
        members = self.members()
        voters = [name for name, role in members.items() if role == "voter"]
        learners = [name for name in members if name not in voters]
        kinds = ["transfer", "kill"]
        if len(voters) >= 3:  # of two, one lost for good would be the quorum
            kinds.append("replace")
        if len(members) < VOTERS_MAX:
            kinds += ["add"] * 3
        if len(voters) > 3:
            kinds += ["remove"] * 2 + ["demote"]
        if learners:
            kinds += ["promote"] * 2 + ["remove"]
        kind = self.random.choice(kinds)
        getattr(self, kind)(voters, learners)
        # Whatever that left half-done goes on by itself; whoever was killed comes back.
        for words in (("start", "--timeout", "30s"), ("wait", "members-stable", "--timeout", "60s"),
                      ("wait", "healthy", "--timeout", "60s")):
            done = self.cluster.run(*words, check=False, timeout=2 * PATIENCE)
            if done.returncode != 0:
                raise AssertionError(f"{kind}, then {' '.join(words)}: {done.stderr}\n{self.look()}")
        self.cluster.names = sorted(self.members())

    def add(self, _voters, _learners):
        name = f"n{self.next_name}"
        self.next_name += 1
        self.cluster.every.add(name)
        words = ("member", "add", name, "--local", *(["--learner"] * (self.random.random() < 0.3)))
        self.with_kill("add", *words)
        # Cut short before the change began, it has made a member that waits to be one: the same command goes on.
        self.cluster.run("start", "--timeout", "30s")

        def settled():
            if f'name = "{name}"' not in (self.cluster.folder / "cluster.toml").read_text() or name in self.members():
                return True
            return self.cluster.run(*words, check=False, timeout=2 * PATIENCE).returncode == 0

        until(settled, f"{name} is added, or nothing is left of it")

    def remove(self, voters, learners):
        pool = voters + learners if len(voters) > 3 else learners
        self.with_kill("remove", "member", "remove", self.random.choice(pool))

    def demote(self, voters, _learners):
        self.command("demote", "member", "demote", self.random.choice(voters))

    def promote(self, _voters, learners):
        self.command("promote", "member", "promote", self.random.choice(learners))

    def transfer(self, voters, _learners):
        self.command("transfer", "transfer-leader", self.random.choice(voters))

    def replace(self, voters, learners):
        name = self.random.choice(voters + learners)
        self.cluster.kill(name)
        shutil.rmtree(self.cluster.folder / name / "data")
        # A name without a directory has to come back: asked until it has.
        said = [""]

        def replaced():
            done = self.cluster.run("member", "replace", name, "--local", check=False, timeout=2 * PATIENCE)
            said[0] = done.stderr
            return done.returncode == 0

        try:
            until(replaced, f"{name} is replaced")
        except AssertionError:
            raise AssertionError(f"member replace {name}: {said[0]}\n" + self.look()) from None
        self.done["replace"] += 1

    def look(self):
        """What the cluster says of itself, for a failure."""
        said = [self.cluster.run(*words, check=False) for words in (("status",), ("member", "list"), ("why",))]
        return "\n".join(done.stdout + done.stderr for done in said)

    def kill(self, voters, learners):
        name = self.random.choice(voters + learners)
        self.cluster.kill(name)
        self.done["kill"] += 1

    def with_kill(self, kind, *words):
        """The change, and now and then kill -9 of a member, perhaps the leader, in the middle of it."""
        victim = self.random.choice(sorted(self.members())) if self.random.random() < 0.4 else None
        timer = threading.Timer(self.random.random() * 0.3, self.kill_now, [victim]) if victim else None
        if timer:
            timer.start()
        self.command(kind, *words)
        if timer:
            timer.join()
            self.done["kill"] += 1

    def kill_now(self, name):
        try:
            self.cluster.kill(name)
        except (OSError, ValueError):
            pass  # it was removed meanwhile, or not started yet


class Members(unittest.TestCase):
    def voters(self, cluster):
        listed = json.loads(cluster.run("member", "list", "-o", "json").stdout)["members"]
        return sorted(member["name"] for member in listed if member["role"] == "voter")

    def grow(self, cluster, to):
        while len(cluster.names) < to:
            name = f"n{len(cluster.names) + 1}"
            cluster.names.append(name)
            cluster.run("member", "add", name, "--local", timeout=2 * PATIENCE)
        self.assertEqual(self.voters(cluster), sorted(cluster.names))

    def shrink(self, cluster, to):
        """By one joint change; the leader is among those who go."""
        leads = cluster.wait_leader()
        others = [name for name in cluster.names if name != leads]
        gone = [leads, *others][:len(cluster.names) - to]
        cluster.run("member", "remove", *gone, timeout=2 * PATIENCE)
        cluster.names = [name for name in cluster.names if name not in gone]
        self.assertEqual(self.voters(cluster), sorted(cluster.names))

    def test_from_one_to_seven_and_back_without_a_failed_append(self):
        with Cluster(1) as cluster, Load(cluster, writer_type=SteadyWriter) as load:
            for count in (3, 5, 7):
                self.grow(cluster, count)
                load.progress()
            for count in (5, 3, 1):
                self.shrink(cluster, count)
                load.progress()
            load.finish()
            self.assertEqual([writer.sessions for writer in load.writers], [1, 1])
            print(f"1, 3, 5, 7, 5, 3, 1 members: {verify(cluster, load.writers)} records, none failed", file=sys.stderr)

    def test_a_minute_of_churn(self):
        seed = int(os.environ.get("RAFTD_CHURN_SEED", int.from_bytes(os.urandom(4), "big")))
        print(f"seed {seed}", file=sys.stderr)
        with Cluster(1) as cluster, Load(cluster, writers=4, writer_type=CalmWriter) as load:
            cluster.every = {"n1"}
            churn = Churn(cluster, seed)
            readers = [Reader(cluster), Reader(cluster)]
            try:
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    churn.step()
                    load.progress(1)
                load.finish()
                cluster.run("wait", "healthy", "--timeout", "60s")
                records = verify(cluster, load.writers)
                stream = [record for _, record in cluster.records(cluster.names[0])]
                for reader in readers:
                    self.assertEqual(reader.finish(records)[:records], stream)
            finally:
                cluster.names = sorted(cluster.every)  # so that whoever still runs is ended
                for reader in readers:
                    reader.stop()
            changes = sum(churn.done.values()) - churn.done["kill"]
            self.assertGreater(changes, 0)
            self.assertEqual(sum(len(w.acknowledged) for w in load.writers) + load.unknown(),
                             sum(w.sent for w in load.writers))
            print(f"churn, seed {seed}: {changes} changes {churn.done}, {churn.undecided} undecided; {records} "
                  f"records, {load.unknown()} unknown, at 2 readers each once", file=sys.stderr)


if __name__ == "__main__":
    main()
