#!/usr/bin/env python3
"""Exactly once, end to end: retries that nobody asks for, leaders that die under deep pipelines, an input that is
resumed after kill -9 of the appender itself, and the way out when even that can't tell."""

import json
import re
import signal
import subprocess
import threading
import unittest

from cluster import ENVIRONMENT, PATIENCE, Cluster, main, raftctl, until


def popen(cluster, *arguments, **options):
    return subprocess.Popen(["raftctl", *map(str, arguments)], cwd=cluster.folder, env=ENVIRONMENT, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


class Producer(threading.Thread):
    """Feeds `NAME-1`, `NAME-2` ... to one raftctl until it is told to stop: while `flood` is set as fast as that takes
    them, so that its pipeline is full, else in trickles, so that the test stays small. When raftctl ends before its
    input does, the outcomes in doubt are resolved, and another goes on behind what is in."""

    def __init__(self, cluster, name, flood):
        super().__init__(daemon=True)
        self.cluster, self.name_, self.flood = cluster, name, flood
        self.acknowledged = 0  # records, since they come in order
        self.restarts = self.doubted = 0
        self.failure = None
        self.stopping = threading.Event()

    def run(self):
        try:
            begin = 1
            while begin is not None:
                begin = self._session(begin)
        except Exception as error:  # shown by the test, in its own thread
            self.failure = repr(error)

    def _feed(self, stdin, begin):
        try:
            number = begin
            while not self.stopping.is_set():
                stdin.write("".join(f"{self.name_}-{i}\n" for i in range(number, number + 60)))
                stdin.flush()
                number += 60
                if not self.flood.is_set():
                    self.flood.wait(0.1)
            stdin.close()
        except (BrokenPipeError, ValueError):
            pass

    def _session(self, begin):
        """The record to go on with, or None when all was appended."""
        process = popen(self.cluster, "append", "-q", "--batch", 3, "--in-flight", 256, "--timeout", "30s")
        feeder = threading.Thread(target=self._feed, args=(process.stdin, begin), daemon=True)
        feeder.start()
        for line in process.stdout:
            if not line.strip().isdigit():
                raise AssertionError(f"{self.name_}: printed {line!r}")
            self.acknowledged += 1
        errors = process.stderr.read()
        code = process.wait(PATIENCE)
        process.stdout.close()
        process.stderr.close()
        feeder.join(PATIENCE)
        if code == 0:
            return None
        if code not in (3, 4, 5):
            raise AssertionError(f"{self.name_}: append ended with {code}: {errors}")
        self.restarts += 1
        if code == 5:
            self._resolve(errors)
        mine = [r for _, r in self.cluster.records(self.cluster.wait_leader()) if r.startswith(self.name_ + "-")]
        self.acknowledged = len(mine)
        return None if self.stopping.is_set() else len(mine) + 1

    def _resolve(self, errors):
        """Every sequence in doubt is found out: in the log, or never."""
        found = re.search(r"producer (\d+), sequences? (\d+)(?: to (\d+))?", errors)
        if not found:
            raise AssertionError(f"{self.name_}: an unknown outcome that names no sequence: {errors}")
        producer, first, last = found[1], int(found[2]), int(found[3] or found[2])
        for sequence in range(first, last + 1):
            self.doubted += 1
            done = self.cluster.run("append", "--resolve", f"{producer}:{sequence}", "--timeout", "30s", check=False)
            if done.returncode not in (0, 6):
                raise AssertionError(f"{self.name_}: {producer}:{sequence} stays unknown: {done.stdout}{done.stderr}")


class Repeated:
    """How many retries found that they had landed, over all starts of the members."""

    def __init__(self, cluster):
        self.cluster, self.count = cluster, 0
        self.seen = dict.fromkeys(cluster.names, 0)

    def look(self):
        for name in self.cluster.names:
            now = counters(self.cluster, name)["appends_repeated"]
            self.count += now - self.seen[name]
            self.seen[name] = now

    def forget(self, name):
        """It was killed, and counts from 0 again."""
        self.seen[name] = 0


class ExactlyOnce(unittest.TestCase):
    def test_twenty_leaders_die_under_eight_deep_pipelines(self):
        with Cluster(3) as cluster:
            flood = threading.Event()
            producers = [Producer(cluster, f"p{i}", flood) for i in range(1, 9)]
            for producer in producers:
                producer.start()
            repeated = Repeated(cluster)

            def progress(records):
                marks = [p.acknowledged + records for p in producers]
                until(lambda: any(p.failure for p in producers) or
                      all(p.acknowledged >= mark for p, mark in zip(producers, marks)), "progress of all producers")
                self.assertEqual([p.failure for p in producers if p.failure], [])

            for _ in range(20):
                dead = cluster.wait_leader()
                repeated.look()
                flood.set()
                progress(300)  # the pipelines are full by then
                cluster.kill(dead)
                flood.clear()
                repeated.forget(dead)
                progress(20)  # the others go on before it comes back
                cluster.run("start", dead)
            repeated.look()
            cluster.run("wait", "healthy")
            for producer in producers:
                producer.stopping.set()
            for producer in producers:
                producer.join(PATIENCE)
                self.assertFalse(producer.is_alive(), producer.name_)
            self.assertEqual([p.failure for p in producers if p.failure], [])
            streams = [cluster.records(name) for name in cluster.names]
            self.assertEqual(streams[0], streams[1])
            self.assertEqual(streams[0], streams[2])
            for producer in producers:
                mine = [record for _, record in streams[0] if record.startswith(producer.name_ + "-")]
                self.assertEqual(mine, [f"{producer.name_}-{i}" for i in range(1, len(mine) + 1)])
                self.assertEqual(len(mine), producer.acknowledged)
            print(f"20 leaders killed under 8 producers: {len(streams[0])} records, each once and in order; "
                  f"{sum(p.restarts for p in producers)} appenders ended early, "
                  f"{sum(p.doubted for p in producers)} outcomes in doubt, all resolved; "
                  f"{repeated.count} retries met what had landed")
            # Else nothing of all this was put to the test.
            self.assertGreater(repeated.count, 0)

    def test_of_two_processes_with_one_name_the_older_is_fenced(self):
        with Cluster(3) as cluster:
            older = popen(cluster, "append", "--producer", "job")
            older.stdin.write("old-1\nold-2\n")
            older.stdin.flush()
            self.assertEqual(older.stdout.readline(), "1\n")
            self.assertEqual(older.stdout.readline(), "2\n")
            newer = cluster.run("append", "--producer", "job", stdin="new-1\n")
            self.assertEqual(newer.stdout, "3\n")
            self.assertIn("has appended 2 records before", newer.stderr)
            out, errors = older.communicate("old-3\n", PATIENCE)
            self.assertEqual((older.returncode, out), (7, ""), errors)
            self.assertIn("fenced", errors)
            cluster.run("append", "--producer", "job", stdin="new-2\n")
            self.assertEqual([r for _, r in cluster.records("n1")], ["old-1", "old-2", "new-1", "new-2"])

    def test_an_input_is_resumed_after_kill_9_of_the_appender(self):
        with Cluster(3) as cluster:
            lines = [f"line {i}" for i in range(1, 60001)]
            (cluster.folder / "input").write_text("\n".join(lines) + "\n")
            command = ("append", "--producer", "load", "--resume", "--file", "input", "--batch", 7, "--in-flight", 64)
            kills = 0
            for length in (1, 300, 2000, 5000):
                process = popen(cluster, *command)
                said = process.stderr.readline()
                self.assertIn("resuming load at input line ", said)
                for _ in range(length):
                    process.stdout.readline()
                process.kill()
                kills += process.wait(PATIENCE) == -signal.SIGKILL
                process.communicate()
            self.assertGreaterEqual(kills, 3)
            last = cluster.run(*command)
            begin = int(re.search(r"line (\d+)", last.stderr)[1])
            self.assertEqual(len(last.stdout.split()), len(lines) - begin + 1)
            self.assertEqual([r for _, r in cluster.records("n2")], lines)
            self.assertEqual(cluster.run(*command).stdout, "")  # all of it is in
            print(f"{len(lines)} lines, the appender killed {kills} times: each once; the last one began at {begin}")

    def test_what_is_unknown_can_be_resolved(self):
        with Cluster(3) as cluster:
            cluster.run("append", "before")
            leader = cluster.wait_leader()
            others = [name for name in cluster.names if name != leader]
            # The leader has it, and no majority does; the client's patience ends before the leader's.
            for name in others:
                cluster.signal(name, signal.SIGSTOP)
            try:
                done = cluster.run("append", "--producer", "job", "--timeout", "700ms", "doubted", check=False)
                plain = cluster.run("append", "--timeout", "700ms", "x", check=False)
            finally:
                for name in others:
                    cluster.signal(name, signal.SIGCONT)
            # A producer that couldn't even be registered has sent nothing.
            self.assertIn(done.returncode, (3, 4), done.stderr)
            self.assertIn(plain.returncode, (3, 4), plain.stderr)
            cluster.run("append", "between")  # somebody leads again
            process = popen(cluster, "append", "--timeout", "700ms")
            process.stdin.write("first\n")
            process.stdin.flush()
            process.stdout.readline()
            leader = cluster.wait_leader()
            others = [name for name in cluster.names if name != leader]
            for name in others:
                cluster.signal(name, signal.SIGSTOP)
            try:
                _, errors = process.communicate("second\n", PATIENCE)
            finally:
                for name in others:
                    cluster.signal(name, signal.SIGCONT)
            self.assertEqual(process.returncode, 5, errors)
            asked = re.search(r"--resolve (\d+:\d+)", errors)[1]
            answer = json.loads(cluster.run("append", "--resolve", asked, "-o", "json", check=False).stdout)
            self.assertIn(answer["outcome"], ("committed", "never"))
            there = "second" in [r for _, r in cluster.records(cluster.wait_leader())]
            self.assertEqual(there, answer["outcome"] == "committed")
            again = cluster.run("append", "--resolve", asked, check=0 if there else 6)
            self.assertTrue(again.stdout.startswith("committed at LSN" if there else "never"), again.stdout)
            self.assertEqual(there, "second" in [r for _, r in cluster.records("n1")])

    def test_questions_about_producers(self):
        with Cluster(3) as cluster:
            cluster.run("append", "--producer", "job", "a", "b")
            self.assertEqual(cluster.run("append", "--resolve", "job:1").stdout, "committed at LSNs 1 to 2\n")
            self.assertEqual(cluster.run("append", "--resolve", "job:2", check=5).stdout.split(":")[0], "still open")
            cluster.run("append", "--resolve", "nobody:1", check=6)
            cluster.run("append", "--resolve", "nonsense", check=2)
            line = json.loads(cluster.run("append", "-o", "jsonl", "c").stdout)
            self.assertEqual((line["lsn"], line["sequence"], line["repeated"]), (3, 1, False))
            # It ended cleanly, so its producer is closed: nobody keeps what nobody will ask for.
            gone = cluster.run("append", "--resolve", f"{line['producer']}:1", check=5)
            self.assertIn("forgotten", gone.stdout)
            cluster.run("append", "--resume", check=2)
            self.assertNotIn("producer", json.loads(cluster.run("append", "--no-producer", "-o", "jsonl", "d").stdout))

    def test_conditions(self):
        with Cluster(3) as cluster:
            self.assertEqual(cluster.run("append", "--expect-lsn", 1, "a", "b").stdout, "1\n2\n")
            done = cluster.run("append", "--expect-lsn", 2, "c", check=7)
            self.assertIn("the next LSN is 3, not 2", done.stderr)
            hint = re.search(r"hint: raftctl (append --expect-lsn \d+)", done.stderr)[1].split()
            self.assertEqual(cluster.run(*hint, "c").stdout, "3\n")
            error = json.loads(cluster.run("append", "--expect-lsn", 9, "-o", "json", "d", check=7).stdout)
            self.assertEqual(error["error"]["exit"], 7)
            # Of many batches the condition is the first one's, and nothing behind a failed one lands.
            many = "".join(f"{i}\n" for i in range(500))
            cluster.run("append", "--expect-lsn", 77, "--batch", 1, stdin=many, check=7)
            self.assertEqual(len(cluster.records("n1")), 3)
            cluster.run("append", "--expect-lsn", 4, "--batch", 1, "--no-producer", stdin=many)
            self.assertEqual(len(cluster.records("n1")), 503)

    def test_racing_conditions_have_one_winner_each(self):
        with Cluster(3) as cluster:
            won = []

            def race(name):
                for lsn in range(1, 31):
                    if raftctl("append", "--expect-lsn", lsn, f"{name}-{lsn}", cwd=cluster.folder,
                               check=False).returncode == 0:
                        won.append(lsn)

            racers = [threading.Thread(target=race, args=(f"r{i}",)) for i in range(3)]
            for racer in racers:
                racer.start()
            for racer in racers:
                racer.join()
            self.assertEqual(sorted(won), list(range(1, len(won) + 1)))
            self.assertEqual(len(cluster.records("n1")), len(won))


def counters(cluster, name):
    dump = cluster.run("debug", "dump", name).stdout
    return {key: int(value) for key, value in re.findall(r"^(\w+)=(\d+)$", dump, re.M)}


if __name__ == "__main__":
    main()
