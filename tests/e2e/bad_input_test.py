#!/usr/bin/env python3
"""What users and strangers get wrong: each gets one clear line, the right exit code and a hint, and nothing is lost."""

import os
import pathlib
import signal
import socket
import struct
import subprocess
import unittest

import wire
from cluster import ENVIRONMENT, PATIENCE, Cluster, main, raftctl, until


def address(cluster, key, name="n1"):
    """The host and port of a member, out of cluster.toml."""
    block = (cluster.folder / "cluster.toml").read_text().split(f'name = "{name}"')[1]
    host, port = block.split(f'{key} = "')[1].split('"')[0].split(":")
    return host, int(port)


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(1).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def refused(self, *arguments, code, says, stdin=""):
        done = self.cluster.run(*arguments, check=code, stdin=stdin)
        self.assertTrue(done.stderr.startswith("raftctl: "), done.stderr)
        for text in (says, "hint: "):
            self.assertIn(text, done.stderr)
        self.assertEqual(done.stdout, "")

    def test_unknown_command_names_the_nearest(self):
        self.refused("stauts", code=2, says="status")

    def test_unknown_flag_names_the_nearest(self):
        self.refused("tail", "--folow", code=2, says="--follow")

    def test_lsn_0_is_no_record(self):
        done = self.cluster.run("get", "0", check=2)
        self.assertRegex(done.stderr, "^raftctl: .*from 1 on")

    def test_lsn_beyond_the_end(self):
        self.refused("get", "999999", code=6, says="999999")

    def test_record_over_the_limit(self):
        done = self.cluster.run("append", stdin="fits\n" + "x" * ((1 << 20) + 1) + "\n", check=2)
        self.assertIn("1048576", done.stderr)
        self.assertIn("line 2", done.stderr)

    def test_no_cluster(self):
        done = raftctl("status", cwd=self.cluster.work, check=False)
        self.assertIn(done.returncode, (2, 6), done.stderr)
        self.assertIn("hint: ", done.stderr)

    def test_nobody_there(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            done = self.cluster.run("append", "x", "--endpoint", f"127.0.0.1:{port}", check=3)
            self.assertIn(str(port), done.stderr)

    def test_closed_output_is_silent(self):
        self.cluster.run("append", stdin="\n".join(map(str, range(20000))))
        process = subprocess.Popen(["raftctl", "tail", "-n", "all"], cwd=self.cluster.folder, env=ENVIRONMENT,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()
        self.assertEqual(process.wait(PATIENCE), 0)

    def test_interrupt_of_a_follower(self):
        process = subprocess.Popen(["raftctl", "tail", "-f", "-n", "1"], cwd=self.cluster.folder, env=ENVIRONMENT,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.cluster.run("append", "seen")
        while process.stdout.readline().rstrip(b"\n") != b"seen":
            pass
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(PATIENCE), 130)
        process.stdout.close()
        process.stderr.close()

    def test_records_of_any_bytes_come_back(self):
        data = bytes(range(256)) * 100
        done = subprocess.run(["raftctl", "append", "--format", "raw"], cwd=self.cluster.folder, env=ENVIRONMENT,
                              input=data, capture_output=True, timeout=PATIENCE, check=True)
        got = subprocess.run(["raftctl", "get", done.stdout.strip().decode()], cwd=self.cluster.folder,
                             env=ENVIRONMENT, capture_output=True, timeout=PATIENCE, check=True)
        self.assertEqual(got.stdout, data)


class Settings(unittest.TestCase):
    def refused(self, change, says, code=2):
        """Changes raftd.toml of n1 and starts it: it says where and why, with file, line and column."""
        with Cluster(1, start=False) as cluster:
            file = cluster.folder / "n1" / "raftd.toml"
            file.write_text(change(file.read_text()))
            done = subprocess.run(["raftd", "--config", file], env=ENVIRONMENT, text=True, capture_output=True,
                                  timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertRegex(done.stderr, r"raftd\.toml:\d+:\d+")
            self.assertIn(says, done.stderr)
            done = cluster.run("start", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(says, done.stderr + done.stdout)

    def test_unknown_key_names_the_nearest(self):
        self.refused(lambda text: text + "\n[raft]\nelection_timout = \"2s\"\n"
                     if "\n[raft]\n" not in text
                     else text.replace("\n[raft]\n", "\n[raft]\nelection_timout = \"2s\"\n"), "election_timeout")

    def test_bare_number_shows_the_right_form(self):
        self.refused(lambda text: text + "\n[raft]\nelection_timeout = 2\n"
                     if "\n[raft]\n" not in text
                     else text.replace("\n[raft]\n", "\n[raft]\nelection_timeout = 2\n"),
                     'write election_timeout = "2s"')

    def test_heartbeat_close_to_election_timeout(self):
        self.refused(lambda text: text + "\n[raft]\nheartbeat_interval = \"900ms\"\n"
                     if "\n[raft]\n" not in text
                     else text.replace("\n[raft]\n", "\n[raft]\nheartbeat_interval = \"900ms\"\n"), "heartbeat")

    def test_port_in_use(self):
        with Cluster(1, start=False) as cluster, socket.socket() as taken:
            host, port = address(cluster, "client")
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((host, port))
            taken.listen()
            done = cluster.run("start", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(str(port), done.stderr)
            self.assertIn("hint: ", done.stderr)


class Strangers(unittest.TestCase):
    """Whatever is said to its ports, a member closes the connection and goes on."""

    def say(self, where, data):
        with socket.create_connection(where, timeout=PATIENCE) as connection:
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except ConnectionError:
                pass

    def resident(self, process):
        """KiB; a sanitizer's own share is there from the beginning."""
        status = pathlib.Path(f"/proc/{process}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    def test_garbage(self):
        with Cluster(1) as cluster:
            before = cluster.pid("n1")
            at_first = self.resident(before)
            for key in ("client", "peer"):
                where = address(cluster, key)
                for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", os.urandom(4096), b"\0" * 4096, b"\xff" * 64,
                             struct.pack("<IHHII", 0xFFFFFFFF, 32, 0, 1, 0) + b"x" * 1024,
                             struct.pack("<IHHII", 16, 1, 0, 0, 0), b""):
                    self.say(where, data)
            self.assertEqual(cluster.run("append", "still here").stdout, "1\n")
            self.assertEqual(cluster.pid("n1"), before)
            self.assertLess(self.resident(before) - at_first, 256 * 1024, "KiB; a claim of 4 GiB was given memory")

    def test_a_body_whose_count_lies(self):
        """Frames and checksums are right, and the number of records isn't: refused, connection and log unharmed."""
        body = struct.pack("<II", 2, 3) + b"abcde"  # two records
        lies = {"one record": (1, body), "three": (3, body), "none": (0, b""), "4 billion": (0xFFFFFFFF, body),
                "no room for the lengths": (2, b"abc"), "too long": (1, struct.pack("<I", 6) + b"abcde"),
                "too short": (1, struct.pack("<I", 4) + b"abcde"),
                "sums that wrap": (2, struct.pack("<II", 0xFFFFFFFF, 6) + b"abcde")}
        with Cluster(1) as cluster, socket.create_connection(address(cluster, "client"), timeout=PATIENCE) as member:
            member.sendall(wire.hello())
            self.assertEqual(wire.receive(member)[0], wire.HELLO_OK)
            for stream, (name, (count, body_of)) in enumerate(lies.items(), 1):
                with self.subTest(name):
                    member.sendall(wire.append(stream, count, body_of))
                    self.assertEqual(wire.append_done(member), [(stream, wire.BAD_BATCH, 0)])
            member.sendall(wire.append(90, 2, body, body_checksum=1))
            self.assertEqual(wire.append_done(member), [(90, wire.BAD_BATCH, 0)])
            member.sendall(wire.append(91, 2, body))
            self.assertEqual(wire.append_done(member), [(91, wire.COMMITTED, 1)])
            # A body of another size than it says can't be told from the frame behind it.
            member.sendall(wire.append(92, 2, body, body_bytes=12))
            self.assertEqual(member.recv(1), b"")
            self.assertEqual(cluster.records("n1"), [(1, "ab"), (2, "cde")])

    def test_daemon_that_dies_at_start_shows_its_log(self):
        with Cluster(1, start=False) as cluster:
            for file in (cluster.folder / "n1" / "data" / "wal").iterdir():
                data = bytearray(file.read_bytes())
                data[0:64] = os.urandom(64)
                file.write_bytes(data)
            done = cluster.run("start", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("n1", done.stderr)
            until(lambda: not cluster.alive("n1"), "its end")


if __name__ == "__main__":
    main()
