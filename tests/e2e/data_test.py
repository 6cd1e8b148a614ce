"""Append, tail and get against real members: exact bytes in every framing, the documented exit codes, and what happens
when the reader, the user or a member goes away in the middle."""

import base64
import json
import os
import pty
import random
import select
import signal
import subprocess
import unittest

from cluster import ENVIRONMENT, PATIENCE, Cluster, main, until


class Data(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3)
        cls.cluster.__enter__()
        cls.random = random.Random(7)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def ctl(self, *arguments, stdin=b"", wanted=0):
        done = subprocess.run(["raftctl", *map(str, arguments)], cwd=self.cluster.folder, input=stdin, env=ENVIRONMENT,
                              capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, wanted, f"{arguments}: {done.stdout[-500:]} {done.stderr[-500:]}")
        return done

    def start(self, *arguments, **options):
        process = subprocess.Popen(["raftctl", *map(str, arguments)], cwd=self.cluster.folder, env=ENVIRONMENT,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
            self.addCleanup(stream.close)
        return process

    def end(self):
        """The LSN after the last record."""
        lines = self.ctl("tail", "-n", 1, "-o", "jsonl").stdout.splitlines()
        return json.loads(lines[0])["lsn"] + 1 if lines else 1

    def lsns(self, done):
        return [int(line) for line in done.stdout.split()]

    def test_each_framing_keeps_every_byte(self):
        any_bytes = [b"", b"\0", b"\xff\xfe\x00", os.urandom(70_000), b"x" * (1 << 20), b"a\r\n\0b"]
        framings = {
            "lines": ([b"", b"a\r", b"\x00\xff", b"last"], lambda r: b"\n".join(r)),
            "nul": ([b"", b"a\nb", b"\xff"], lambda r: b"".join(x + b"\0" for x in r)),
            "length": (any_bytes, lambda r: b"".join(len(x).to_bytes(4, "big") + x for x in r)),
            "raw": ([b"one\nrecord\0 of all of it\n"], lambda r: r[0]),
        }
        for framing, (records, encode) in framings.items():
            with self.subTest(framing):
                first = self.end()
                done = self.ctl("append", "--format", framing, stdin=encode(records))
                self.assertEqual(self.lsns(done), list(range(first, first + len(records))))
                for lsn, record in enumerate(records, first):
                    self.assertEqual(self.ctl("get", lsn).stdout, record)
                back = self.ctl("tail", "--from", first, "--format", framing).stdout
                ended = encode(records) + (b"\n" if framing == "lines" else b"")
                self.assertEqual(back, ended)

    def test_a_log_is_cloned_by_its_own_output(self):
        whole = self.ctl("tail", "-n", "all", "--format", "length").stdout
        with Cluster(1) as other:
            done = subprocess.run(["raftctl", "append", "-q", "--format", "length"], cwd=other.folder, input=whole,
                                  env=ENVIRONMENT, capture_output=True, timeout=PATIENCE, check=True)
            self.assertEqual(len(done.stdout.split()), self.end() - 1)
            copy = subprocess.run(["raftctl", "tail", "-n", "all", "--format", "length"], cwd=other.folder,
                                  env=ENVIRONMENT, capture_output=True, timeout=PATIENCE, check=True).stdout
        self.assertEqual(copy, whole)

    def test_many_records_in_order(self):
        first = self.end()
        lines = [f"{i} {self.random.random()}" for i in range(50_000)]
        done = self.ctl("append", stdin="\n".join(lines).encode())
        self.assertEqual(self.lsns(done), list(range(first, first + len(lines))))
        back = self.ctl("tail", "--from", first).stdout.decode().splitlines()
        self.assertEqual(back, lines)
        part = self.ctl("tail", "--from", first + 10, "--to", first + 12, "--with-lsn").stdout.decode()
        self.assertEqual(part, "".join(f"{first + i}\t{lines[i]}\n" for i in (10, 11, 12)))
        self.assertEqual(self.ctl("tail", "--from", first, "--count", 3).stdout.decode().splitlines(), lines[:3])
        self.assertEqual(self.ctl("tail", "-n", 3).stdout.decode().splitlines(), lines[-3:])

    def test_arguments_files_and_json(self):
        first = self.end()
        self.assertEqual(self.lsns(self.ctl("append", "a", "", "ä")), [first, first + 1, first + 2])
        path = self.cluster.work / "input"
        path.write_bytes(b"x\ny\n")
        summary = json.loads(self.ctl("append", "--file", path, "--file", path, "-o", "json").stdout)
        self.assertEqual((summary["schema"], summary["records"], summary["first_lsn"], summary["last_lsn"]),
                         (1, 4, first + 3, first + 6))
        line = json.loads(self.ctl("append", "z", "-o", "jsonl").stdout)
        self.assertEqual((line["lsn"], line["count"]), (first + 7, 1))
        self.ctl("append", "--format", "raw", stdin=b"\xff\0")
        document = json.loads(self.ctl("tail", "--from", first + 2, "-o", "json").stdout)
        datas = [record.get("data") for record in document["records"]]
        self.assertEqual(datas, ["ä", "x", "y", "x", "y", "z", None])
        self.assertEqual(base64.b64decode(document["records"][-1]["data_base64"]), b"\xff\0")

    def test_a_record_over_the_limit_names_its_line(self):
        first = self.end()
        done = self.ctl("append", stdin=b"fits\n" + b"y" * ((1 << 20) + 1) + b"\nnever\n", wanted=2)
        self.assertEqual(self.lsns(done), [first])
        self.assertIn(b"line 2 is over the limit", done.stderr)
        self.assertIn(b"1 record was appended", done.stderr)
        self.assertEqual(self.end(), first + 1)
        self.ctl("append", "--format", "length", stdin=b"\0\0\0\5abc", wanted=2)
        self.assertEqual(self.end(), first + 1)

    def test_exit_codes(self):
        self.ctl("append", "there")
        self.ctl("get", 0, wanted=2)
        self.ctl("get", "-1", wanted=2)
        self.ctl("get", self.end(), wanted=6)
        self.ctl("tail", "--from", self.end(), wanted=6)
        self.ctl("tail", "--node", "n9", wanted=6)
        self.ctl("tail", "-n", "x", wanted=2)
        self.ctl("tail", "--cursor", "c", wanted=6)  # nobody set one
        self.ctl("tail", "--max-lag", "1s", wanted=2)  # not built yet: absent
        self.ctl("append", "x", "--resume", wanted=2)  # of what, without a name?
        self.ctl("append", "--endpoint", "127.0.0.1:1", "x", wanted=3)
        error = json.loads(self.ctl("get", self.end(), "-o", "json", wanted=6).stdout)["error"]
        self.assertEqual((error["code"], error["exit"]), ("not_found", 6))

    def test_the_broken_pipe_is_silent(self):
        self.ctl("append", stdin=b"line\n" * 20_000)
        tail = self.start("tail", "-n", "all")
        tail.stdout.read(10)
        tail.stdout.close()
        self.assertEqual(tail.stderr.read(), b"")
        self.assertEqual(tail.wait(PATIENCE), 0)
        follow = self.start("tail", "-n", "1", "-f")
        follow.stdout.readline()
        follow.stdout.close()  # nothing more is written, and it ends all the same
        self.assertEqual(follow.wait(PATIENCE), 0)

    def test_a_terminal_gets_no_control_bytes(self):
        lsn = self.lsns(self.ctl("append", "--format", "raw", stdin=b"\x1b[31mred\xff"))[0]
        mine, theirs = pty.openpty()
        done = subprocess.run(["raftctl", "tail", "-n", "1"], cwd=self.cluster.folder, env=ENVIRONMENT, stdout=theirs,
                              timeout=PATIENCE, check=True)
        os.close(theirs)
        shown = os.read(mine, 1000)
        os.close(mine)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(shown.strip(), b"\\x1b[31mred\\xff")
        self.assertEqual(self.ctl("get", lsn).stdout, b"\x1b[31mred\xff")

    def test_each_line_goes_when_it_is_there(self):
        append = self.start("append", stdin=subprocess.PIPE)
        for _ in range(3):  # no end of input, no full buffer: the answer comes all the same
            append.stdin.write(b"typed\n")
            append.stdin.flush()
            self.assertTrue(select.select([append.stdout], [], [], PATIENCE)[0])
            self.assertTrue(append.stdout.readline().strip().isdigit())
        append.stdin.close()
        self.assertEqual(append.wait(PATIENCE), 0)

    def test_interrupted(self):
        append = self.start("append", stdin=subprocess.PIPE)
        append.stdin.write(b"typed\n")
        append.stdin.flush()
        append.stdout.readline()
        append.send_signal(signal.SIGINT)  # all that was sent is answered
        self.assertEqual(append.wait(PATIENCE), 130)
        self.assertIn(b"1 record was appended", append.stderr.read())
        follow = self.start("tail", "-f")
        self.assertTrue(select.select([follow.stdout], [], [], PATIENCE)[0])
        follow.send_signal(signal.SIGINT)
        self.assertEqual(follow.wait(PATIENCE), 130)

    def test_following_over_a_killed_leader(self):
        start = self.end()
        follow = self.start("tail", "-f", "--from", start, "--count", 300, "--with-lsn")
        appended = {}
        for part in range(3):
            done = self.ctl("append", stdin="".join(f"{part}-{i}\n" for i in range(100)).encode())
            appended.update(zip(self.lsns(done), (f"{part}-{i}" for i in range(100))))
            leader = self.cluster.wait_leader()
            self.cluster.kill(leader)
            self.cluster.run("start", leader)
        got = dict(line.split("\t") for line in follow.stdout.read().decode().splitlines())
        self.assertEqual(follow.wait(PATIENCE), 0, follow.stderr.read())
        self.assertEqual({int(lsn): text for lsn, text in got.items()}, appended)
        self.assertEqual(sorted(appended), list(range(start, start + 300)))

    def test_interrupted_with_an_append_under_way(self):
        with Cluster(3) as cluster:
            leader = cluster.wait_leader()
            others = [name for name in cluster.names if name != leader]
            append = subprocess.Popen(["raftctl", "append"], cwd=cluster.folder, env=ENVIRONMENT,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            append.stdin.write(b"first\n")
            append.stdin.flush()
            self.assertEqual(append.stdout.readline(), b"1\n")
            for name in others:
                cluster.signal(name, signal.SIGSTOP)
            append.stdin.write(b"maybe\n")
            append.stdin.flush()

            def in_its_log():
                lines = cluster.run("debug", "dump", leader).stdout.splitlines()
                dump = dict(line.split("=", 1) for line in lines)
                return append.poll() is not None or int(dump["last"]) > int(dump["commit"])

            until(in_its_log, "the append in the leader's log")
            append.send_signal(signal.SIGINT)
            out, err = append.communicate(timeout=PATIENCE)
            self.assertEqual((append.returncode, out), (5, b""), err)
            self.assertIn(b"unknown", err)
            for name in others:
                cluster.signal(name, signal.SIGCONT)
            cluster.wait_leader()
            self.assertIn(cluster.run("tail", "-n", "all").stdout, ("first\n", "first\nmaybe\n"))

    def test_without_a_quorum_nothing_is_claimed(self):
        with Cluster(3) as cluster:
            cluster.run("append", "before")
            leader = cluster.wait_leader()
            others = [name for name in cluster.names if name != leader]
            cluster.kill(*others)
            # The leader takes it, can't commit it, and loses office or the client its patience: never a success.
            done = cluster.run("append", "lost?", "--timeout", "3s", check=False)
            self.assertIn(done.returncode, (4, 5))
            self.assertEqual(done.stdout, "")
            read = cluster.run("tail", "--timeout", "2s", check=4)
            self.assertEqual(read.stdout, "")
            self.assertEqual(cluster.run("tail", "--local", "--node", leader).stdout, "before\n")
            cluster.run("start")
            after = until(lambda: cluster.run("append", "after", check=False).stdout, "an append after the return")
            texts = cluster.run("tail", "-n", "all").stdout.split()
            self.assertEqual(texts[0], "before")
            self.assertEqual(texts[int(after) - 1], "after")
            self.assertLessEqual(texts.count("lost?"), 1)


if __name__ == "__main__":
    main()
