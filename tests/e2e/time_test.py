"""Tails by time: `tail --from @TIME` begins with the first record stamped then or later, --to ends with the last one
stamped then or earlier, wherever the records lie: in memory, in the newest segment, in sealed ones, on any member."""

import bisect
import datetime
import json
import subprocess
import unittest

from cluster import ENVIRONMENT, Cluster, main

RECORD_BYTES = 150_000
ROUNDS = 30


class TailByTime(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(3, start=False)
        cls.cluster.__enter__()
        for name in cls.cluster.names:  # so that the records fill several segments
            path = cls.cluster.folder / name / "raftd.toml"
            text = path.read_text()
            path.write_text(text.replace("[log]\n", '[log]\nsegment_bytes = "1MiB"\n', 1) if "\n[log]\n" in text
                            else text + '\n[log]\nsegment_bytes = "1MiB"\n')
        cls.cluster.run("start")
        # Small batches of one stamp, and large ones, each a command of its own so that stamps differ.
        for i in range(ROUNDS):
            cls.cluster.run("append", "-q", f"{i}a", f"{i}b", stdin="")
            cls.cluster.run("append", "-q", "--format", "raw", stdin="x" * RECORD_BYTES)
        cls.records = cls.tail("-n", "all")
        cls.stamps = [record["timestamp_ms"] for record in cls.records]

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    @classmethod
    def tail(cls, *arguments):
        done = cls.cluster.run("tail", "-o", "jsonl", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wanted_from(self, ms):
        return self.records[bisect.bisect_left(self.stamps, ms):]

    def wanted_to(self, ms):
        return self.records[:bisect.bisect_right(self.stamps, ms)]

    def lsns(self, records):
        return [record["lsn"] for record in records]

    def at(self, ms):
        return f"@{ms // 1000}.{ms % 1000:03}"

    def check_all(self, *more):
        picked = sorted(set(self.stamps))
        picked = picked[:3] + picked[3:-3:7] + picked[-3:]
        for stamp in picked:
            for ms in (stamp - 1, stamp, stamp + 1):
                found = self.tail("--from", self.at(ms), *more)
                self.assertEqual(self.lsns(found), self.lsns(self.wanted_from(ms)), f"--from {ms} {more}")
        for stamp in (self.stamps[0], self.stamps[len(self.stamps) // 2], self.stamps[-1]):
            for ms in (stamp - 1, stamp, stamp + 1):
                found = self.tail("--to", self.at(ms), *more)
                self.assertEqual(self.lsns(found), self.lsns(self.wanted_to(ms)), f"--to {ms} {more}")

    def test_stamps_rise_and_records_of_a_batch_share_one(self):
        self.assertEqual(self.stamps, sorted(self.stamps))
        self.assertEqual(self.stamps[0], self.stamps[1])
        self.assertGreater(len(set(self.stamps)), ROUNDS)

    def test_1_from_memory(self):
        self.check_all()
        self.check_all("--local", "--node", "n2")

    def test_2_from_files(self):
        self.assertGreater(len(list((self.cluster.folder / "n1/data/wal").glob("*.wal"))), 2)
        self.cluster.run("stop")
        self.cluster.run("start")
        self.check_all()
        for name in self.cluster.names:
            self.check_all("--local", "--node", name)

    def test_both_ends_and_the_ends_of_the_log(self):
        low, high = self.stamps[7], self.stamps[-9]
        wanted = [record["lsn"] for record in self.records if low <= record["timestamp_ms"] <= high]
        self.assertEqual(self.lsns(self.tail("--from", self.at(low), "--to", self.at(high))), wanted)
        self.assertEqual(self.lsns(self.tail("--from", "@0")), self.lsns(self.records))
        self.assertEqual(self.lsns(self.tail("--from", "-7d")), self.lsns(self.records))
        self.assertEqual(self.tail("--from", "@4000000000"), [])
        self.assertEqual(self.tail("--to", "-7d"), [])
        self.assertEqual(self.tail("--from", "@4000000000", "--count", "3"), [])

    def test_forms_of_a_time(self):
        stamp = self.stamps[len(self.stamps) // 2] // 1000
        wanted = self.lsns(self.wanted_from(stamp * 1000))
        at = datetime.datetime.fromtimestamp(stamp, datetime.timezone.utc)
        east = at.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
        for form in (stamp, at.strftime("%Y-%m-%dT%H:%M:%SZ"), at.strftime("%Y-%m-%d %H:%M:%S.000Z"), east.isoformat()):
            self.assertEqual(self.lsns(self.tail("--from", f"@{form}")), wanted, form)
        local = subprocess.run(["raftctl", "tail", "-o", "jsonl", "--from", at.strftime("@%Y-%m-%dT%H:%M:%S")],
                               cwd=self.cluster.folder, env={**ENVIRONMENT, "TZ": "UTC0"}, capture_output=True,
                               check=True).stdout
        self.assertEqual([json.loads(line)["lsn"] for line in local.splitlines()], wanted)

    def test_what_is_no_time(self):
        for form, why in (("@2026-02-30", "no day"), ("@1732100000000", "milliseconds"), ("-2", "-2h"),
                          ("@yesterday", "no time"), ("2026-11-20", "no place")):
            done = self.cluster.run("tail", "--from", form, check=2)
            self.assertIn(why, done.stderr)
            self.assertIn("hint:", done.stderr)
        self.cluster.run("tail", "--from", "-1h", "--to", "-2h", check=2)

    def test_following_from_a_time_to_come_waits_for_it(self):
        """The first record at or after it is shown, those before it are not."""
        with Cluster(1) as one:
            one.run("append", "before")
            stamp = json.loads(one.run("tail", "-o", "jsonl").stdout)["timestamp_ms"]
            process = subprocess.Popen(["raftctl", "tail", "-f", "--from", self.at(stamp + 1), "--count", "1"],
                                       cwd=one.folder, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.stdout.close)
            lsn = 0
            while process.poll() is None and lsn < 200:
                lsn = int(one.run("append", f"after {lsn}").stdout)
            shown, _ = process.communicate(timeout=30)
            self.assertRegex(shown, r"^after \d+\n$")


if __name__ == "__main__":
    main()
