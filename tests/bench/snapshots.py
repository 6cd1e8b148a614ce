"""What `scripts/bench --what snapshots` measures: how fast the log is archived, what that takes from appends, how fast
a member catches up by a snapshot and what is sent again when it is killed, tails from archives, `snapshot take`."""

import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import bounded
import cluster as clusters

MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
WINDOW = 8 * MIB  # what a kill may have sent again
WAL_KEEP = 256 * MIB
ARCHIVE = 64 * MIB


def median(values):
    return statistics.median(values)


def span(values, digits=0):
    return f"{min(values):,.{digits}f}..{max(values):,.{digits}f}"


def row(what, measured, spread, goal, ratio, met):
    return {"what": what, "measured": measured, "range": spread, "goal": goal, "ratio": ratio, "met": bool(met)}


def rows_as_markdown(rows):
    yield "| what | measured | (range) | goal | ratio | |"
    yield "|---|---|---|---|---|---|"
    for each in rows:
        yield (f"| {each['what']} | {each['measured']} | {each['range']} | {each['goal']} | {each['ratio']} "
               f"| {'met' if each['met'] else 'missed'} |")


class Members(clusters.Cluster):
    """Clusters that can run side by side, and numbers of their members."""

    made = 0

    def __init__(self, nodes, **settings):
        Members.made += 1
        super().__init__(nodes, start=False, flags=["--base-port", clusters.BASE_PORT + 20 * Members.made])
        self.settings = settings

    def __enter__(self):
        clusters.raftctl("init", "demo", "--nodes", len(self.names), *self._flags, cwd=self.work)
        for name in self.names:
            for section, values in self.settings.items():
                self.configure(name, section, **values)
        self.run("start")
        self.run("wait", "healthy")
        return self

    def addresses(self):
        text = (self.folder / "cluster.toml").read_text()
        return dict(zip(re.findall(r'^name = "(n\d+)"', text, re.M), re.findall(r'^client = "(.*)"', text, re.M)))

    def counters(self, name):
        text = self.run("debug", "dump", name).stdout
        return {key: int(value) for key, value in re.findall(r"^(\w+)=(\d+)$", text, re.M)}

    def pool_seconds(self, name):
        """CPU time of the thread that archives; it also fills segments and serves files."""
        for task in pathlib.Path(f"/proc/{self.pid(name)}/task").iterdir():
            if (task / "comm").read_text().strip() == "raftd-pool":
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                return (int(fields[11]) + int(fields[12])) / TICKS
        raise AssertionError(f"{name} has no thread that archives")

    def wal_bytes(self, name):
        return bounded.disk_of(self.folder / name / "data" / "wal")

    def append(self, count_bytes, record=16 << 10):
        pour = bounded.Pour(self, record)
        pour.give(count_bytes)
        pour.end()
        return pour.given

    def load(self, seconds, *flags):
        done = self.run("bench", "append", "--duration", f"{seconds:g}s", "-o", "json", *flags,
                        timeout=seconds + clusters.PATIENCE)
        return json.loads(done.stdout)

    def log(self, name, event):
        """Each line of that event, as a dictionary."""
        text = (self.folder / name / "raftd.log").read_text(errors="replace")
        return [dict(re.findall(r"(\w+)=(\S+)", line)) for line in re.findall(rf" {event} (.*)", text)]


# ---- archiving alone ----

def archiving(options, programs, work):
    done = subprocess.run([programs / "bench_archive", work, "--rounds", str(4 * options.rounds)], check=True,
                          stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    rate, hashing = found["archive_mb_per_cpu_s"], found["sha256_mb_per_cpu_s"]
    yield row("archiving on one core, incompressible", f"{rate:,.0f} MB per CPU second", "", "300",
              f"{rate / hashing:.2f} x SHA-256 alone ({hashing:,.0f})", rate >= 300)
    read = found["read_mb_per_cpu_s"]
    yield row("reading an archive, every check", f"{read:,.0f} MB per CPU second", "", "300",
              f"{read / hashing:.2f} x SHA-256 alone", read >= 300)


# ---- beside appends: one cluster archives, the other is frozen ----

class Beside:
    """The same load on both in turns."""

    def __init__(self, options, archiving_one, frozen_one):
        self.options, self.pair = options, (archiving_one, frozen_one)
        frozen_one.run("freeze", "--for", "1h")

    def rounds(self, *flags):
        """[(of the one that archives, of the frozen one)]; the order turns round."""
        found = []
        for number in range(self.options.rounds):
            results = {}
            for which in ((0, 1) if number % 2 == 0 else (1, 0)):
                results[which] = self.one(self.pair[which], *flags)
            found.append((results[0], results[1]))
        return found

    def one(self, cluster, *flags):
        names = cluster.names
        before = {name: (cluster.counters(name)["archived_bytes"], cluster.pool_seconds(name)) for name in names}
        process = subprocess.Popen(
            ["raftctl", "bench", "append", "--duration", f"{self.options.seconds:g}s", "-o", "json", *flags],
            cwd=cluster.folder, env=clusters.ENVIRONMENT, stdout=subprocess.PIPE)
        begin, low = time.monotonic(), {}  # low: as long as the log is below twice its target
        while process.poll() is None:
            time.sleep(0.1)
            for name in names:
                if cluster.wal_bytes(name) < 2 * WAL_KEEP and (name not in low or low[name][2]):
                    low[name] = (cluster.pool_seconds(name), time.monotonic(), True)
                elif name in low:
                    low[name] = (*low[name][:2], False)
        result = json.loads(process.stdout.read())
        result["archived"] = min(cluster.counters(name)["archived_bytes"] - before[name][0] for name in names)
        shares = [(low[name][0] - before[name][1]) / (low[name][1] - begin) for name in names if name in low]
        result["pool_share"] = median(shares) if shares else None
        result["wal_bytes"] = max(map(cluster.wal_bytes, names))
        self.settle(cluster)
        return result

    def settle(self, cluster):
        """Until the log isn't archived any more: the next round begins alike."""
        def stands():
            before = [cluster.counters(name)["archived_bytes"] for name in cluster.names]
            time.sleep(0.5)
            return before == [cluster.counters(name)["archived_bytes"] for name in cluster.names]
        clusters.until(stands, "the end of archiving")


def beside_appends(options):
    settings = {"log": {"scrub_rate": "0"}}
    with Members(3, **settings) as one, Members(3, **settings) as other:
        beside = Beside(options, one, other)
        steady = beside.rounds("--size", "4096", "--rate", str(25_000_000 // 4096))
        ratios = [on["bytes_per_s"] / off["bytes_per_s"] for on, off in steady]
        archived = sum(on["archived"] for on, _ in steady)
        if archived < ARCHIVE:
            raise AssertionError(f"only {archived} bytes were archived meanwhile")
        p50 = [median(each["p50_ms"] for each in side) for side in zip(*steady)]
        yield row("appends at 25 MB/s while archives are made",
                  f"{median(on['bytes_per_s'] for on, _ in steady) / 1e6:.1f} MB/s, p50 {p50[0]:.2f} ms, "
                  f"without {p50[1]:.2f} ms",
                  span([on["bytes_per_s"] / 1e6 for on, _ in steady], 1), "at most 10 % off",
                  f"{median(ratios):.3f} ({span(ratios, 3)})", median(ratios) >= 0.9)
        full = beside.rounds("--size", "4096", "--in-flight", "256")
        ratios = [on["bytes_per_s"] / off["bytes_per_s"] for on, off in full]
        yield row("appends, saturated, while archives are made",
                  f"{median(on['bytes_per_s'] for on, _ in full) / 1e6:,.0f} MB/s, without "
                  f"{median(off['bytes_per_s'] for _, off in full) / 1e6:,.0f} MB/s",
                  span([on["bytes_per_s"] / 1e6 for on, _ in full]), "(no goal)",
                  f"{median(ratios):.2f} ({span(ratios, 2)})", True)
        shares = [(on["pool_share"], off["pool_share"]) for on, off in full
                  if on["pool_share"] is not None and off["pool_share"] is not None]
        net = [on - off for on, off in shares]
        yield row("the archiving thread, saturated, until the log is twice its target",
                  f"{median(net):.2f} of a core ({median(on for on, _ in shares):.2f} with filling and serving, "
                  f"{median(off for _, off in shares):.2f} without archives)", span(net, 2), "at most 0.25 of a core",
                  f"archived {median(on['archived'] for on, _ in full) / options.seconds / 1e6:.0f} MB/s",
                  median(net) <= 0.25)


# ---- a member that was away ----

def sequential_mb_per_s(folder):
    """What the disk writes in a row: 256 MiB and a sync."""
    path, block = folder / "sequential", os.urandom(MIB)
    begin = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        for _ in range(256):
            file.write(block)
        os.fsync(file.fileno())
    taken = time.monotonic() - begin
    path.unlink()
    return 256 * MIB / 1e6 / taken


def away(cluster, count_bytes):
    """A follower that is down while so much is appended and archived; returns its name."""
    leader = cluster.wait_leader()
    name = [each for each in cluster.names if each != leader][-1]
    cluster.kill(name)
    cluster.append(count_bytes)
    cluster.run("snapshot", "take", *[each for each in cluster.names if each != name])
    return name


def sent(cluster, but):
    return sum(cluster.counters(name)["files_sent_bytes"] for name in cluster.names if name != but)


def catch_up(options, cluster, work):
    rates, floors = [], []
    for _ in range(options.rounds):
        name = away(cluster, options.away)
        floors.append(sequential_mb_per_s(work))
        before = len(cluster.log(name, "snapshot_installed"))
        cluster.run("start", name, "--wait", "none")
        done = clusters.until(lambda: cluster.log(name, "snapshot_installed")[before:], f"{name} caught up")[0]
        rates.append(int(done["bytes"]) / 1e3 / int(done["ms"]))
        floors.append(sequential_mb_per_s(work))
        cluster.run("wait", "healthy")
    ratio = median(rates) / median(floors)
    yield row(f"catch-up by a snapshot, {options.away // MIB} MiB each", f"{median(rates):,.0f} MB/s", span(rates),
              f"half of the disk's {median(floors):,.0f} MB/s in a row", f"{ratio:.2f} ({span(floors)})", ratio >= 0.5)


def killed_thrice(options, cluster):
    """What its sources send of the snapshot's files while it is killed three times, against what it lacks."""
    name = away(cluster, options.away)
    folder = cluster.folder / name / "data" / "snapshot"
    here = {file.name for file in folder.iterdir()}
    before = sent(cluster, name)

    def fetched():
        total = 0
        for file in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += file.stat().st_size if file.name not in here and file.suffix in (".zst", ".part") else 0
        return total

    installed = len(cluster.log(name, "snapshot_installed"))
    cluster.run("start", name, "--wait", "none")
    for kill in range(1, 4):
        # In the midst of an archive: at its end nothing is under way.
        clusters.until(lambda kill=kill: fetched() >= (2 * kill - 1) * options.away // 8, "a quarter more of it")
        cluster.kill(name)
        cluster.run("start", name, "--wait", "none")
    if len(cluster.log(name, "snapshot_installed")) != installed:
        raise AssertionError("it was installed before the last kill")
    clusters.until(lambda: len(cluster.log(name, "snapshot_installed")) > installed, f"{name} caught up")
    lacked = sum(file.stat().st_size for file in folder.iterdir()
                 if file.name not in here and (file.suffix == ".zst" or file.name.startswith("state-")))
    again = (sent(cluster, name) - before - lacked) / 3
    cluster.run("wait", "healthy")
    yield row(f"sent again for each of three kills of {lacked / MIB:,.0f} MiB", f"{again / MIB:.2f} MiB", "",
              "at most 8 MiB", f"{again / WINDOW:.2f} of the window", again <= WINDOW)


def tails(options, programs, cluster, expected):
    rates = []
    for _ in range(options.rounds):
        for name, address in cluster.addresses().items():
            done = subprocess.run([programs / "bench_load", "tail", "--address", address], check=True,
                                  stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout)
            if found["bytes"] < expected:
                raise AssertionError(f"{name} gave {found['bytes']} bytes of {expected}")
            rates.append(found["megabytes_per_second"])
    yield row("tail of a log in archives", f"{median(rates):,.0f} MB/s", span(rates), "300",
              f"{median(rates) / 300:.2f}", median(rates) >= 300)


# ---- snapshot take ----

def take(options):
    """One member, as each would be on a machine of its own; all that is retained lies in its archives."""
    found = {}
    with Members(1, snapshot={"wal_keep_bytes": "0"}) as cluster:
        retained = 0
        for goal in (ARCHIVE, options.retained):
            retained += cluster.append(goal - retained)
            cluster.run("snapshot", "take")
            times = []
            for _ in range(options.rounds):
                retained += cluster.append(ARCHIVE - MIB)
                begin = time.monotonic()
                cluster.run("snapshot", "take")
                times.append(time.monotonic() - begin)
            found[goal] = times
    little, much = found[ARCHIVE], found[options.retained]
    yield row(f"`snapshot take`, {options.retained / (1 << 30):g} GiB retained, 63 MiB new", f"{median(much):.2f} s",
              span(much, 2), "1 s", f"{median(much) / median(little):.2f} x with 64 MiB retained", median(much) < 1)


def measure(options, programs, work):
    rows = []

    def show(more):
        for each in more:
            rows.append(each)
            print(f"  {each['what']}: {each['measured']}, {each['ratio']}", file=sys.stderr, flush=True)

    parts = options.part or ["archiving", "beside", "away", "take"]
    if "archiving" in parts:
        show(archiving(options, programs, work))
    if "beside" in parts:
        show(beside_appends(options))
    if "away" in parts:
        # No log is kept, so that each time a snapshot is needed.
        settings = {"log": {"segment_bytes": "16MiB", "scrub_rate": "0"},
                    "snapshot": {"wal_keep_bytes": "0", "transfer_keep_bytes": "0"}}
        with Members(3, **settings) as cluster:
            show(catch_up(options, cluster, work))
            show(killed_thrice(options, cluster))
            show(tails(options, programs, cluster, options.away * (options.rounds + 1)))
    if "take" in parts:
        show(take(options))
    return rows
