"""kvd and kv of examples/kv for the tests: servers on a cluster, clients that remember what they saw, and faults."""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time

from cluster import BASE_PORT, BUILD, ENVIRONMENT, PATIENCE, running, until
from linearizable import NEVER, Op

EXAMPLES = pathlib.Path(os.environ.get("RAFTD_EXAMPLES", BUILD / "examples"))


def kv(server, *arguments, stdin="", check=0):
    done = subprocess.run([EXAMPLES / "kv", "--server", server, *map(str, arguments)], input=stdin, text=True,
                          capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode != check:
        raise AssertionError(f"kv {arguments}: exit {done.returncode}, not {check}\n{done.stdout}{done.stderr}")
    return done


class Kvd:
    """One kvd, at an address of its own; what it says goes into a file of the cluster's folder."""

    def __init__(self, cluster, number, *flags):
        self.address = f"127.0.0.1:{BASE_PORT + 90 + number}"
        self.command = [EXAMPLES / "kvd", "--cluster", cluster.folder, "--listen", self.address, *map(str, flags)]
        self.log = cluster.folder / f"kvd{number}.log"
        self.process = None
        self.begins_at = None  # LSN

    def start(self):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=log, env=ENVIRONMENT,
                                            text=True)
        line = self.process.stdout.readline()
        if "listening on" not in line:
            raise AssertionError(f"kvd doesn't start: {line}{self.log.read_text()[-1000:]}")
        self.begins_at = int(line.split("from LSN ")[1].split()[0])
        return self

    def kill(self, number=signal.SIGKILL):
        """Its exit code."""
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        until(lambda: not running(self.process.pid), "the end of a kvd")
        return code


class Link:
    """A connection to a kvd: lines of JSON."""

    def __init__(self, address, timeout=20):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.socket.makefile("rb")

    def send(self, command):
        self.socket.sendall(json.dumps(command).encode() + b"\n")

    def answer(self):
        line = self.lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the kvd has gone")
        return json.loads(line)

    def ask(self, **command):
        self.send(command)
        return self.answer()

    def close(self):
        self.lines.close()
        self.socket.close()


class Client(threading.Thread):
    """Sends random commands for few keys, one at a time, to whichever kvd answers, and notes each with its interval.
    Keys change with the time, so that each has a history short enough to be judged."""

    def __init__(self, number, servers, keys=3, key_s=1.0):
        super().__init__(daemon=True)
        self.number, self.servers, self.keys, self.key_s = number, servers, keys, key_s
        self.random = random.Random(number)
        self.history = {}  # key -> [Op]
        self.seen = {}  # key -> the value of the last answer, for a cas that may match
        self.counts = {"done": 0, "unavailable": 0, "unknown": 0, "lost": 0}
        self.values = 0
        self.failure = None
        self.stopping = threading.Event()

    def run(self):
        turn = self.number
        while not self.stopping.is_set() and self.failure is None:
            turn += 1
            with contextlib.suppress(ConnectionError, TimeoutError):
                link = Link(self.servers[turn % len(self.servers)].address)
                try:
                    while not self.stopping.is_set() and self.failure is None:
                        self.command(link)
                finally:
                    link.close()
            self.stopping.wait(0.01)

    def choose(self):
        key = f"{self.random.randrange(self.keys)}.{int(time.monotonic() / self.key_s)}"
        self.values += 1
        value = f"{self.number}-{self.values}"
        drawn = self.random.random()
        if drawn < 0.45:
            return {"op": "get", "key": key}, None
        if drawn < 0.75:
            return {"op": "set", "key": key, "value": value}, value
        if drawn < 0.95:
            return {"op": "cas", "key": key, "old": self.seen.get(key), "new": value}, value
        return {"op": "delete", "key": key}, None

    def command(self, link):
        command, value = self.choose()
        op = Op(command["op"], time.monotonic(), value=value, old=command.get("old"), client=self.number)
        lost = None
        try:
            answer = link.ask(**command)
        except (ConnectionError, TimeoutError) as error:
            answer, lost = {"error": "unknown"}, error
            self.counts["lost"] += 1
        self.note(command["key"], op, answer)
        if lost is not None:
            raise lost

    def note(self, key, op, answer):
        why = answer.get("error")
        if why == "unavailable" or (why == "unknown" and op.kind == "get"):
            self.counts[why] += 1
            return
        if why not in (None, "unknown"):
            self.failure = f"{op}: {answer}"
            return
        if why is None:
            op.ended = time.monotonic()
            op.result = answer["value"] if op.kind == "get" else answer["ok"]
            if "value" in answer:
                self.seen[key] = answer["value"]
        else:
            op.ended, op.result = NEVER, None
        self.counts["unknown" if why else "done"] += 1
        self.history.setdefault(key, []).append(op)


def merged(clients):
    """key -> what all clients noted of it."""
    histories = {}
    for client in clients:
        if client.failure:
            raise AssertionError(client.failure)
        for key, ops in client.history.items():
            histories.setdefault(key, []).extend(ops)
    return histories
