"""examples/kv: a key-value server on the log is linearizable while leaders and servers are killed; it starts from the
newest checkpoint, also when the log behind it has gone; and what it says to whom sends rubbish."""

import collections
import copy
import json
import os
import random
import signal
import subprocess
import time
import unittest

from cluster import Cluster, main, until
from kv_cluster import EXAMPLES, Client, Kvd, Link, kv, merged
from linearizable import NEVER, Op, first_contradiction, linearizable

FAULT_SECONDS = float(os.environ.get("RAFTD_KV_SECONDS", "12"))


class Checker(unittest.TestCase):
    """The judge itself: what it must accept, and what it must not."""

    GOOD = {
        "nothing": [],
        "one after the other": [Op("set", 0, 1, 5, result=True), Op("get", 2, 3, result=5)],
        "a read beside a write sees either": [Op("set", 0, 9, 5, result=True), Op("get", 1, 2, result=None),
                                              Op("get", 3, 4, result=5)],
        "unknown and seen much later": [Op("set", 0, value=5), Op("get", 8, 9, result=5)],
        "unknown and never": [Op("set", 0, value=5), Op("get", 8, 9, result=None)],
        "an unknown cas that matched": [Op("set", 0, 1, 1, result=True), Op("cas", 2, value=2, old=1),
                                        Op("get", 8, 9, result=2)],
        "a cas that fails after another": [Op("set", 0, 1, 1, result=True), Op("cas", 2, 5, 2, old=1, result=True),
                                           Op("cas", 2, 5, 3, old=1, result=False), Op("get", 6, 7, result=2)],
        "deleted": [Op("set", 0, 1, 1, result=True), Op("delete", 2, 3, result=True), Op("get", 4, 5, result=None)],
    }
    BAD = {
        "a stale read": [Op("set", 0, 1, 1, result=True), Op("set", 2, 3, 2, result=True), Op("get", 4, 5, result=1)],
        "a lost write": [Op("set", 0, 1, 5, result=True), Op("get", 2, 3, result=None)],
        "a value from nowhere": [Op("get", 0, 1, result=7)],
        "back in time": [Op("set", 0, 9, 1, result=True), Op("get", 1, 2, result=1), Op("get", 3, 4, result=None)],
        "two who won": [Op("set", 0, 1, 1, result=True), Op("cas", 2, 5, 2, old=1, result=True),
                        Op("cas", 2, 5, 3, old=1, result=True)],
        "a cas that should have matched": [Op("set", 0, 1, 1, result=True), Op("cas", 2, 3, 2, old=1, result=False)],
        "applied twice": [Op("set", 0, 1, 1, result=True), Op("set", 2, 3, 2, result=True),
                          Op("get", 4, 5, result=2), Op("get", 6, 7, result=1)],
        "an unknown one that came and went": [Op("set", 0, value=5), Op("get", 1, 2, result=5),
                                              Op("get", 3, 4, result=None)],
        "seen before it was sent": [Op("get", 0, 1, result=5), Op("set", 2, value=5)],
        "a cas that can't have matched": [Op("set", 0, 1, 1, result=True), Op("cas", 2, value=2, old=7),
                                          Op("get", 8, 9, result=2)],
    }

    def test_good_histories_are_accepted(self):
        for name, history in self.GOOD.items():
            self.assertTrue(linearizable(history), name)

    def test_bad_histories_are_found(self):
        for name, history in self.BAD.items():
            self.assertFalse(linearizable(history), name)
            self.assertTrue(first_contradiction(history), name)

    def test_a_simulated_register_and_the_same_with_a_stale_read(self):
        for seed in range(40):
            history = simulated(random.Random(seed))
            self.assertTrue(linearizable(history), f"seed {seed}")
            self.assertEqual(linearizable(with_a_stale_read(history, random.Random(seed))), False, f"seed {seed}")


def simulated(draw, clients=5, count=120):
    """What clients of a register see that is linearizable by making: each command takes effect at a moment of its
    interval; one in twelve has an unknown outcome, and takes effect later or never."""
    moments, at = [], [0.0] * clients
    for number in range(count):
        who = draw.randrange(clients)
        began = at[who] + draw.random()
        effect, ended = began + draw.random(), began + 1 + draw.random()
        at[who] = ended
        kind = draw.choice(["get", "get", "set", "set", "cas", "delete"])
        op = Op(kind, began, ended, value=number, client=who)
        if kind != "get" and draw.random() < 1 / 12:
            op.ended = NEVER
            effect = draw.choice([began + 20 * draw.random(), None])
        moments.append((NEVER if effect is None else effect, op))
    value = None
    for effect, op in sorted(moments, key=lambda moment: moment[0]):
        op.old = value if draw.random() < 0.7 else "other"  # nobody has that
        matches = op.kind != "cas" or op.old == value
        if op.ended != NEVER:
            op.result = value if op.kind == "get" else matches
        if op.kind != "get" and matches and effect != NEVER:
            value = None if op.kind == "delete" else op.value
    return [op for _, op in moments]


def with_a_stale_read(history, draw):
    """The same with one more read, of a value that was surely gone: two sets were acknowledged one after the other,
    another value was read by then, and the value of the first is unique."""
    history = copy.deepcopy(history)
    sets = [op for op in history if op.kind == "set" and op.ended != NEVER]
    pairs = [(a, b) for a in sets for b in sets if a.ended < b.began]
    first, second = draw.choice(pairs)
    return history + [Op("get", second.ended + 0.0001, second.ended + 0.0002, result=first.value)]


class Linearizable(unittest.TestCase):
    def test_leaders_and_servers_are_killed_under_load(self):
        with Cluster(5) as cluster:
            servers = [Kvd(cluster, n, "--checkpoint-every", 700).start() for n in range(3)]
            clients = [Client(n, servers) for n in range(6)]
            try:
                for client in clients:
                    client.start()
                faults = self.hurt(cluster, servers, clients)
                for client in clients:
                    client.stopping.set()
                for client in clients:
                    client.join(60)
                self.judge(cluster, servers, clients, faults)
            finally:
                for server in servers:
                    server.process.kill()
                    server.process.wait()
                    server.process.stdout.close()

    def hurt(self, cluster, servers, clients):
        """Kills in turn a leader, a kvd, and a leader with a kvd; each comes back, and all goes on between."""
        faults, end = collections.Counter(), time.monotonic() + FAULT_SECONDS
        while time.monotonic() < end or faults["leader"] < 3 or faults["kvd"] < 2:
            self.progress(clients)
            number = sum(faults.values())
            leader = cluster.wait_leader() if number % 3 != 1 else None
            server = servers[number % len(servers)] if number % 3 != 0 else None
            if leader:
                cluster.kill(leader)
                faults["leader"] += 1
            if server:
                server.kill()
                faults["kvd"] += 1
            self.progress(clients)
            if leader:
                cluster.run("start", leader)
            if server:
                server.start()
        self.progress(clients)
        return faults

    def progress(self, clients, count=40):
        marks = [client.counts["done"] + count for client in clients]
        until(lambda: any(client.failure for client in clients) or
              all(client.counts["done"] >= mark for client, mark in zip(clients, marks)), "answers for each client")

    def judge(self, cluster, servers, clients, faults):
        histories = merged(clients)
        counts = sum((collections.Counter(client.counts) for client in clients), collections.Counter())
        # Each server must say the same at the end; these reads belong to the history.
        for server in servers:
            link = Link(server.address)
            for key, history in histories.items():
                began = time.monotonic()
                history.append(Op("get", began, result=link.ask(op="get", key=key)["value"], client=server.address))
                history[-1].ended = time.monotonic()
            link.close()
        for key, history in histories.items():
            if not linearizable(history):
                self.fail(f"key {key} isn't linearizable:\n{first_contradiction(history)}")
        long = [history for history in histories.values() if len(history) > 100]
        self.assertTrue(long)
        for history in long:
            self.assertFalse(linearizable(with_a_stale_read(history, random.Random(1))), "a stale read isn't found")
        records = [json.loads(line)["id"] for _, line in cluster.records(cluster.wait_leader())]
        self.assertEqual(len(records), len(set(records)), "a command stands in the log twice")
        checkpoints = json.loads(cluster.run("checkpoint", "list", "-o", "json").stdout)["checkpoints"]
        print(f"\n{dict(faults)} killed; {dict(counts)}; {len(histories)} keys, "
              f"{max(map(len, histories.values()))} commands at most for one; "
              f"stale reads planted in {len(long)}, all found; "
              f"checkpoint at LSN {checkpoints[-1]['upto'] if checkpoints else 0}")
        self.assertTrue(any(one["whole"] for one in checkpoints))
        self.assertGreater(max(server.begins_at for server in servers), 1, "no kvd began from a checkpoint")


class Server(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__, None, None, None)
        self.servers = []
        self.addCleanup(self.end_servers)

    def end_servers(self):
        for server in self.servers:
            if server.process.poll() is None:
                server.process.send_signal(signal.SIGCONT)
                server.kill()

    def start(self, *flags):
        self.servers.append(Kvd(self.cluster, len(self.servers), *flags).start())
        return self.servers[-1]

    def first_lsn(self):
        return json.loads(self.cluster.run("retention", "show", "-o", "json").stdout)["first_lsn"]

    def test_commands_by_hand(self):
        one, two = self.start().address, self.start().address
        self.assertEqual(kv(one, "set", "colour", "green").stdout, "green\n")
        self.assertEqual(kv(two, "get", "colour").stdout, "green\n")
        self.assertEqual(kv(two, "cas", "colour", "green", "blue").stdout, "blue\n")
        self.assertIn("another value", kv(one, "cas", "colour", "green", "red", check=1).stderr)
        self.assertEqual(kv(one, "--json", "set", "shape", '{"sides": [3, 4]}').stdout, '{"sides":[3,4]}\n')
        self.assertEqual(kv(one, "--json", "cas", "new", "null", "1").stdout, "1\n")
        kv(one, "delete", "colour")
        self.assertIn("no such key", kv(f"127.0.0.1:1,{two}", "get", "colour", check=1).stderr)
        kv("127.0.0.1:1", "--timeout", "0.2", "get", "colour", check=4)
        many = "".join(json.dumps({"op": "set", "key": f"k{n % 7}", "value": n}) + "\n" for n in range(500))
        answers = kv(one, stdin=many + '{"op":"get","key":"k6"}').stdout.splitlines()
        self.assertEqual([json.loads(line)["value"] for line in answers], [*range(500), 496])
        for server in self.servers:
            self.assertEqual(server.kill(signal.SIGTERM), 0)
        for program in ("kvd", "kv"):
            told = subprocess.run([EXAMPLES / program, "--help"], capture_output=True, text=True, check=True)
            self.assertIn(f"{program} --", told.stdout)

    def test_rubbish_gets_words(self):
        link = Link(self.start().address)
        for line, words in ((b"rubbish", "isn't JSON"), (b"[]", "JSON object"), (b'{"op":"get"}', '"key"'),
                            (b'{"op":"sit","key":"a"}', '"op"'), (b'{"op":"set","key":"a"}', '"value"'),
                            (b'{"op":"set","key":"a","value":null}', "delete"), (b'{"op":"get","key":"\xff"}', "UTF-8"),
                            (b'{"op":"cas","key":"a","new":1}', '"old"'), (b"[" * 60000, "deeper"),
                            (b'{"op":"set","key":"a","value":1e999}', "isn't JSON")):
            link.socket.sendall(line + b"\n")
            self.assertIn(words, link.answer()["error"], line[:60])
        self.assertEqual(link.ask(op="set", key="a", value=1), {"ok": True, "value": 1})
        self.assertEqual(link.ask(op="cas", key="a", old=2, new=3), {"ok": False})
        link.socket.sendall(b'{"op":"set","key":"a","value":"' + b"x" * 200000)
        self.assertIn("65536 bytes", link.answer()["error"])
        with self.assertRaises(ConnectionError):
            link.answer()
        link.close()

    def test_without_a_quorum_nothing_is_promised(self):
        server = self.start("--timeout", "0.5")
        link = Link(server.address)
        link.ask(op="set", key="a", value=1)
        leader = self.cluster.wait_leader()
        self.cluster.kill(*(name for name in self.cluster.names if name != leader))
        self.assertEqual(link.ask(op="get", key="a"), {"error": "unavailable"})
        self.assertIn(link.ask(op="set", key="a", value=2), ({"error": "unknown"}, {"error": "unavailable"}))
        self.cluster.run("start")
        until(lambda: "ok" in link.ask(op="set", key="a", value=3), "a quorum again")
        self.assertEqual(link.ask(op="get", key="a")["value"], 3)
        link.close()

    def test_a_reader_that_was_overtaken_begins_with_the_newest_checkpoint(self):
        writer, sleeper = self.start("--checkpoint-every", 50), self.start("--checkpoint-every", 0)
        link = Link(writer.address)
        link.ask(op="set", key="a", value="old")
        self.assertEqual(kv(sleeper.address, "get", "a").stdout, "old\n")
        sleeper.process.send_signal(signal.SIGSTOP)
        for number in range(300):  # more than the connections of one that doesn't read can hold
            link.ask(op="set", key="b", value="x" * 60000)
            link.ask(op="set", key="a", value=number)
            if number % 100 == 50:
                self.cluster.run("snapshot", "take")  # an archive ends there, so that what is below can go
        until(lambda: self.first_lsn() > 400, "a checkpoint in place of the log's beginning")
        # Their connections end, so that it must ask anew where it stood.
        for name in self.cluster.names:
            self.cluster.run("restart", name)
        sleeper.process.send_signal(signal.SIGCONT)
        until(lambda: kv(sleeper.address, "get", "a").stdout == "299\n", "the overtaken one")
        self.assertIn("starting from the newest checkpoint", sleeper.log.read_text())
        # And one that is new needs nothing of what is gone.
        new = self.start()
        self.assertGreater(new.begins_at, 400)
        self.assertEqual(kv(new.address, "get", "a").stdout, "299\n")
        link.close()


if __name__ == "__main__":
    main()
