"""Clusters of real processes for the end-to-end tests: made, started, hurt and looked at by raftctl and signals, as a
user would. Everything lies in a temporary folder and on loopback, and is gone at the end."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ.get("RAFTD_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build-dev"))
BASE_PORT = 10000 + os.getpid() % 200 * 100  # so that clusters of two test programs don't race for ports
PATIENCE = 60  # seconds until a condition that must come true is taken for one that never will

ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("RAFTCTL_")}
ENVIRONMENT["PATH"] = f"{BUILD}:{ENVIRONMENT['PATH']}"


def raftctl(*arguments, cwd=None, stdin="", check=True, timeout=PATIENCE):
    """Runs raftctl to its end; `check` demands exit code 0 or, given a number, that one."""
    done = subprocess.run(["raftctl", *map(str, arguments)], cwd=cwd, input=stdin, env=ENVIRONMENT, text=True,
                          capture_output=True, timeout=timeout, check=False)
    wanted = 0 if check is True else check
    if wanted is not False and done.returncode != wanted:
        raise AssertionError(f"raftctl {' '.join(map(str, arguments))}: exit {done.returncode}, not {wanted}\n"
                             f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done


def until(condition, what):
    """Waits until condition() is true, and returns what it gave."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {PATIENCE} s in vain: {what}")


class Cluster:
    """`with Cluster(3) as cluster:` is a started cluster named demo; its folder is cluster.folder."""

    def __init__(self, nodes, start=True, flags=()):
        self.names = [f"n{i}" for i in range(1, nodes + 1)]
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="raftd-e2e-"))
        self.folder = self.work / "demo"
        self._start = start
        self._flags = flags  # of init

    def __enter__(self):
        raftctl("init", "demo", "--nodes", len(self.names), "--base-port", BASE_PORT, *self._flags, cwd=self.work)
        if self._start:
            self.run("start")
        return self

    def __exit__(self, kind, error, trace):
        for name in self.names:
            with contextlib.suppress(ProcessLookupError, OSError, ValueError):
                os.kill(self.pid(name), signal.SIGKILL)
        if kind is not None:
            for log in sorted(self.folder.glob("n*/raftd.log")):
                print(f"--- {log.parent.name}/raftd.log, its end ---", file=sys.stderr)
                print("\n".join(log.read_text(errors="replace").splitlines()[-15:]), file=sys.stderr)
        shutil.rmtree(self.work, ignore_errors=True)

    def run(self, *arguments, **options):
        return raftctl(*arguments, cwd=self.folder, **options)

    def configure(self, name, section, **settings):
        """Writes settings into a member's raftd.toml; they count from its next start, or a SIGHUP."""
        file = self.folder / name / "raftd.toml"
        lines = [line for line in file.read_text().splitlines() if line.split("=")[0].strip() not in settings]
        at = lines.index(f"[{section}]") + 1
        lines[at:at] = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        file.write_text("\n".join(lines) + "\n")

    def pid(self, name):
        return int((self.folder / name / "raftd.pid").read_text().split()[0])

    def alive(self, name):
        try:
            state = pathlib.Path(f"/proc/{self.pid(name)}/stat").read_text().rsplit(")", 1)[1].split()[0]
            return state != "Z"
        except (OSError, ValueError, IndexError):  # the file is made, and then written
            return False

    def signal(self, name, number):
        os.kill(self.pid(name), number)

    def kill(self, *names):
        """kill -9, and waits until each is gone."""
        pids = {name: self.pid(name) for name in names}
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
        for name, pid in pids.items():
            until(lambda pid=pid: not running(pid), f"the end of {name}")

    def status(self):
        done = self.run("status", "-o", "json", check=False)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return {}

    def leader(self):
        """The name of the member that leads and is up, or None."""
        members = self.status().get("members", [])
        leaders = [m for m in members if m.get("role") == "leader" and m.get("reachable")]
        return max(leaders, key=lambda m: m["term"])["name"] if leaders else None

    def wait_leader(self, other_than=None):
        def found():
            name = self.leader()
            return name if name != other_than else None
        return until(found, f"a leader other than {other_than}")

    def records(self, name):
        """[(lsn, text)] of a member, everything that is committed."""
        lines = self.run("tail", "-n", "all", "--node", name, "-o", "jsonl").stdout.splitlines()
        return [(record["lsn"], record["data"]) for record in map(json.loads, lines)]


def running(pid):
    """Whether any thread of it is left: a disk thread may outlive the first one for a moment, and holds the lock."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    for thread in threads:
        with contextlib.suppress(OSError):
            stat = pathlib.Path(f"/proc/{pid}/task/{thread}/stat").read_text()
            if stat.rsplit(")", 1)[1].split()[0] not in "ZX":
                return True
    return False


def start_alone(cluster, name):
    """Runs raftd in the foreground until it ends: (exit code, what it said)."""
    done = subprocess.run(["raftd", "--config", "raftd.toml"], cwd=cluster.folder / name, env=ENVIRONMENT, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=PATIENCE, check=False)
    return done.returncode, done.stdout


class Writer(threading.Thread):
    """Appends records `NAME-1`, `NAME-2` … until stopped, and remembers what was acknowledged. A raftctl that ends
    because an outcome is unknown or nobody leads is followed by another; no record is ever sent twice."""

    ALLOWED_ENDS = {0, 3, 4, 5}

    def __init__(self, cluster, name, newest, in_flight=16):
        super().__init__(daemon=True)
        self.cluster, self.name_, self.in_flight = cluster, name, in_flight
        self.newest = newest  # [the highest LSN that any writer has seen acknowledged]
        self.floor = {}  # record -> that LSN before it was sent: the record must come behind it
        self.acknowledged = {}  # record -> lsn
        self.sent = 0
        self.unknown = 0
        self.sessions = 0  # 1: no raftctl ended before it was told to
        self.failure = None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set() and self.failure is None:
                self._session()
        except Exception as error:  # shown by the test, in its own thread
            self.failure = repr(error)

    def _session(self):
        self.sessions += 1
        process = subprocess.Popen(["raftctl", "append", "-q"], cwd=self.cluster.folder, env=ENVIRONMENT, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        open_records = []
        try:
            while not self.stopping.is_set():
                while len(open_records) < self.in_flight:
                    self.sent += 1
                    open_records.append(f"{self.name_}-{self.sent}")
                    self.floor[open_records[-1]] = self.newest[0]
                    process.stdin.write(open_records[-1] + "\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    break
                self._acknowledge(open_records.pop(0), int(line))
        except BrokenPipeError:
            pass
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        for line in process.stdout:  # what it still learns of those in flight
            self._acknowledge(open_records.pop(0), int(line))
        errors = process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        if process.wait(PATIENCE) not in self.ALLOWED_ENDS:
            self.failure = f"append ended with {process.returncode}: {errors[-500:]}"
        self.unknown += len(open_records)

    def _acknowledge(self, record, lsn):
        self.acknowledged[record] = lsn
        self.newest[0] = max(self.newest[0], lsn)

    def stop(self):
        self.stopping.set()
        self.join(PATIENCE)
        if self.is_alive():
            raise AssertionError(f"writer {self.name_} does not end")
        if self.failure:
            raise AssertionError(f"writer {self.name_}: {self.failure}")


class SteadyWriter(Writer):
    """No append may fail or stay unknown: changes of the members are no faults."""

    ALLOWED_ENDS = {0}


class Load:
    """`with Load(cluster) as load:` has writers at work; load.progress() waits until each has acknowledged more."""

    def __init__(self, cluster, writers=2, writer_type=Writer):
        newest = [0]
        self.writers = [writer_type(cluster, f"w{i}", newest) for i in range(1, writers + 1)]

    def __enter__(self):
        for writer in self.writers:
            writer.start()
        return self

    def __exit__(self, kind, error, trace):
        for writer in self.writers:
            writer.stopping.set()

    def progress(self, count=20):
        marks = [len(writer.acknowledged) + count for writer in self.writers]

        def there():
            for writer in self.writers:
                if writer.failure:
                    raise AssertionError(f"writer {writer.name_}: {writer.failure}")
            return all(len(w.acknowledged) >= mark for w, mark in zip(self.writers, marks))

        until(there, f"{count} more appends of each writer; {[len(w.acknowledged) for w in self.writers]} so far")

    def finish(self):
        for writer in self.writers:
            writer.stop()

    def unknown(self):
        return sum(writer.unknown for writer in self.writers)


def verify(cluster, writers):
    """Every acknowledged record stands once, at its LSN, on every member; all members have one stream without gap; a
    writer's records stand in the order in which they were sent; and no record stands before one that was acknowledged
    before it was sent. Returns the number of records."""
    streams = {name: cluster.records(name) for name in cluster.names}
    first = cluster.names[0]
    for name, stream in streams.items():
        if [lsn for lsn, _ in stream] != list(range(1, len(stream) + 1)):
            raise AssertionError(f"{name} has a gap or a repeat")
        if stream != streams[first]:
            raise AssertionError(f"{name} and {first} differ: {len(stream)} and {len(streams[first])} records")
    at = {}
    for lsn, record in streams[first]:
        if record in at:
            raise AssertionError(f"{record} stands twice, at {at[record]} and {lsn}")
        at[record] = lsn
    for writer in writers:
        for record, lsn in writer.acknowledged.items():
            if at.get(record) != lsn:
                raise AssertionError(f"{record} was acknowledged at {lsn} and is at {at.get(record)}")
        for record, floor in writer.floor.items():
            if at.get(record, floor + 1) <= floor:
                raise AssertionError(f"{record} is at {at[record]}, but {floor} was acknowledged before it was sent")
        mine = [lsn for _, lsn in sorted((int(record.rsplit("-", 1)[1]), lsn) for record, lsn in at.items()
                                         if record.startswith(writer.name_ + "-"))]
        if mine != sorted(mine):
            raise AssertionError(f"the records of {writer.name_} are out of order")
    return len(at)


def main():
    unittest.main(verbosity=2)
