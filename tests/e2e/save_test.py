#!/usr/bin/env python3
"""A cluster saved to one file while it runs, and new clusters from it: of other sizes, on several machines alike, up to
a record or a time; and files that are no saves."""

import hashlib
import io
import json
import pathlib
import re
import subprocess
import tarfile
import unittest

from cluster import BASE_PORT, BUILD, ENVIRONMENT, Cluster, Load, main, raftctl, until

PORTS = BASE_PORT + 40  # of restored clusters, beside the first one's


class Restored(Cluster):
    """A cluster in a folder that a restore made; its processes are ended like those of any other."""

    def __init__(self, work, folder, names):
        super().__init__(0)
        self.names, self.folder = names, folder

    def __enter__(self):
        self.run("start")
        return self


def restore(cluster, *arguments, check=True):
    return cluster.run("snapshot", "restore", *arguments, check=check)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Save(unittest.TestCase):
    def save(self, cluster, name="save.tar", *flags):
        file = cluster.work / name
        said = json.loads(cluster.run("snapshot", "save", file, "-o", "json", *flags).stdout)
        self.assertEqual(said["sha256"], hashlib.sha256(file.read_bytes()).hexdigest())
        self.assertEqual(said["bytes"], file.stat().st_size)
        return file, said

    def records(self, cluster, name, upto=None):
        records = cluster.records(name)
        self.assertEqual([lsn for lsn, _ in records], list(range(1, len(records) + 1)))
        return records if upto is None else records[:upto]

    def test_what_came_behind_the_last_record_is_in_it_too(self):
        with Cluster(1) as cluster:
            for begin in (0, 100, 200):
                cluster.run("append", stdin="".join(f"{n}\n" for n in range(begin, begin + 100)))
                cluster.run("snapshot", "take")
            (cluster.work / "state.bin").write_bytes(b"the application's state" * 1000)
            cluster.run("checkpoint", "put", cluster.work / "state.bin", "--upto", 300, "--trim")
            cluster.run("cursor", "set", "audit", "301")
            file, said = self.save(cluster)
            self.assertEqual((said["first_lsn"], said["lsn"]), (301, 300))
            cluster.run("stop")
            restore(cluster, file, cluster.work / "new", "--nodes", 1, "--base-port", PORTS)
            with Restored(cluster.work, cluster.work / "new", ["n1"]) as new:
                got = cluster.work / "got.bin"
                new.run("checkpoint", "get", got)
                self.assertEqual(got.read_bytes(), (cluster.work / "state.bin").read_bytes())
                self.assertIn("audit", new.run("cursor", "list").stdout)
                self.assertEqual(new.run("append", "next").stdout.split()[-1], "301")

    def test_under_load_from_a_follower_and_restored_to_one_and_back_to_three(self):
        with Cluster(3, start=False) as cluster:
            for name in cluster.names:
                cluster.configure(name, "log", segment_bytes="1MiB", buffer_bytes="2MiB")
                cluster.configure(name, "snapshot", wal_keep_bytes="4MiB")
            cluster.run("start")
            cluster.run("append", "--producer", "job", stdin="".join(f"job-{n}\n" for n in range(3)))
            cluster.run("append", stdin="".join(f"large-{n}-{'x' * 20000}\n" for n in range(200)))
            cluster.run("cursor", "set", "audit", "2")
            follower = next(name for name in cluster.names if name != cluster.wait_leader())
            with Load(cluster) as load:
                load.progress(100)
                before = [dict(writer.acknowledged) for writer in load.writers]
                file, said = self.save(cluster, "save.tar", "--node", follower)
                load.progress(100)
                load.finish()
            self.assertEqual(said["member"], follower)
            cluster.run("snapshot", "save", file, check=7)  # it exists
            cluster.run("snapshot", "save", file, "--force")
            self.assertEqual([], list(cluster.work.glob("*.unfinished")))
            self.look_into(cluster, file)
            saved = self.records(cluster, follower)
            old_endpoint = next(m["client"] for m in self.members(cluster) if m["name"] == follower)
            cluster.run("stop")

            folder = cluster.work / "alone"
            made = json.loads(restore(cluster, file, folder, "--nodes", 1, "--base-port", PORTS,
                                      "-o", "json").stdout)
            self.assertEqual([m["id"] for m in made["members"]], [4])
            self.assertGreaterEqual(made["lsn"], said["lsn"])
            restore(cluster, file, folder, check=7)  # never over what exists
            with Restored(cluster.work, folder, ["n1"]) as alone:
                records = self.records(alone, "n1")
                self.assertEqual(records, saved[:len(records)])
                at = {record: lsn for lsn, record in records}
                for acknowledged in before:
                    for record, lsn in acknowledged.items():
                        self.assertEqual(at.get(record), lsn)
                end = len(records)
                self.assertEqual(int(alone.run("append", "behind").stdout), end + 1)
                # P3, relative to what was saved: the producer goes on, its cursor stands.
                self.assertEqual(alone.run("append", "--producer", "job", "--resume",
                                           stdin="".join(f"job-{n}\n" for n in range(4))).stdout, f"{end + 2}\n")
                self.assertEqual(json.loads(alone.run("cursor", "get", "audit", "-o", "json").stdout)["lsn"], 2)
                self.former_clients_are_told(cluster, alone)
                # Members that come later get what was saved, over the seam.
                alone.run("member", "add", "n2", "--local")
                alone.run("member", "add", "n3", "--local")
                alone.names += ["n2", "n3"]
                alone.run("append", "with three")
                alone.run("snapshot", "take")
                alone.run("wait", "caught-up", "n3")
                self.assertEqual(self.records(alone, "n3"), self.records(alone, "n1"))
                self.assertEqual(alone.run("verify").returncode, 0)
                self.assertTrue(old_endpoint)
                alone.run("snapshot", "verify")
                # And again: a save of a restored cluster, from a member that was added.
                second, _ = self.save(alone, cluster.work / "second.tar", "--node", "n3")
                whole = self.records(alone, "n1")
            restore(cluster, second, cluster.work / "again", "--nodes", 3, "--base-port", PORTS)
            with Restored(cluster.work, cluster.work / "again", ["n1", "n2", "n3"]) as again:
                self.assertEqual(self.records(again, "n2"), whole)
                self.assertEqual(int(again.run("append", "on").stdout), len(whole) + 1)

    def members(self, cluster):
        text = (cluster.folder / "cluster.toml").read_text()
        return [dict(re.findall(r'^(\w+) = "([^"]*)"', block, re.M)) for block in text.split("[[member]]")[1:]]

    def look_into(self, cluster, file):
        """With ordinary tools, and with ours."""
        names = subprocess.run(["tar", "tf", file], capture_output=True, text=True, check=True).stdout.split()
        self.assertEqual(names[0], "CURRENT")
        unpacked = cluster.work / "unpacked"
        unpacked.mkdir()
        subprocess.run(["tar", "xf", file, "-C", unpacked], check=True)
        archives = list(unpacked.glob("*.zst"))
        self.assertGreaterEqual(len(archives), 1)
        for archive in archives:
            content = subprocess.run(["zstd", "-dcq", archive], capture_output=True, check=True).stdout
            self.assertTrue(archive.stem.endswith(hashlib.sha256(content).hexdigest()[:32]), archive)
        for command in ("inspect", "verify"):
            looked = json.loads(cluster.run("snapshot", command, file, "-o", "json").stdout)
            self.assertTrue(looked["good"])
            self.assertEqual(len(looked["files"]), 1 + len(archives))
        out = subprocess.run(["raftctl", "snapshot", "save", "-", "-q"], cwd=cluster.folder, env=ENVIRONMENT,
                             capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(out)) as tar:
            self.assertEqual(tar.getnames()[0], "CURRENT")

    def former_clients_are_told(self, cluster, restored):
        """H24: who names the old cluster is refused by the new one, whatever it wants."""
        text = (cluster.folder / "cluster.toml").read_text()
        address = next(m["client"] for m in self.members(restored))
        stale = cluster.work / "stale"
        stale.mkdir()
        (stale / "cluster.toml").write_text(re.sub(r'client = "[^"]*"', f'client = "{address}"', text, count=1))
        for command in (["append", "stray"], ["append", "--producer", "job", "--resume", "stray"],
                        ["tail", "-n", "1"], ["tail", "--cursor", "audit", "-n", "1"], ["cursor", "get", "audit"],
                        ["snapshot", "save", "stray.tar"]):
            done = raftctl(*command, cwd=stale, check=False)
            self.assertNotEqual(done.returncode, 0, command)
            self.assertIn("another cluster", done.stderr, command)

    def test_several_machines_restore_alike(self):
        with Cluster(3) as cluster:
            cluster.run("append", stdin="".join(f"{n}\n" for n in range(100)))
            file, _ = self.save(cluster)
            cluster.run("stop")
            text = ('format = 1\n[cluster]\nname = "fresh"\nid = "0123456789abcdef0123456789abcdef"\n'
                    'config_index = 1\n')
            for i in range(1, 4):
                text += (f'[[member]]\nid = {i}\nname = "m{i}"\npeer = "127.0.0.1:{PORTS + i}"\n'
                         f'client = "127.0.0.1:{PORTS + 10 + i}"\nrole = "voter"\npriority = 0\ndata = "m{i}"\n')
            whole = cluster.work / "cluster.toml"
            seen, parts = [], []
            for i in range(1, 4):  # each "machine" has one member
                whole.write_text(re.sub(r'data = "m(?!%d)\d"\n' % i, "", text))
                folder = cluster.work / f"machine{i}"
                made = json.loads(restore(cluster, file, folder, "--config", whole, "-o", "json").stdout)
                self.assertEqual([m["id"] for m in made["members"]], [4, 5, 6])
                seen.append((made["chain"], files_of(folder / f"m{i}" / "data" / "snapshot")))
                parts.append(folder)
            self.assertEqual(seen[0], seen[1])
            self.assertEqual(seen[0], seen[2])
            # Brought together, they are one cluster.
            joined = cluster.work / "joined"
            joined.mkdir()
            for i, part in enumerate(parts, 1):
                (part / f"m{i}").rename(joined / f"m{i}")
            ids = text
            for i in (3, 2, 1):
                ids = ids.replace(f"[[member]]\nid = {i}\n", f"[[member]]\nid = {i + 3}\n")
            (joined / "cluster.toml").write_text(ids)
            with Restored(cluster.work, joined, ["m1", "m2", "m3"]) as fresh:
                self.assertEqual(fresh.records("m3"), [(n + 1, str(n)) for n in range(100)])
                self.assertEqual(fresh.run("append", "on").stdout, "101\n")
                until(lambda: fresh.status()["state"] == "healthy", "three members")
            # The old cluster's own file is refused: the same id would mean two histories.
            done = restore(cluster, file, cluster.work / "same", "--config", cluster.folder / "cluster.toml", check=7)
            self.assertIn("has the id of the cluster that was saved", done.stderr)

    def test_up_to_a_record_or_a_time(self):
        with Cluster(1) as cluster:
            for n in range(30):
                cluster.run("append", f"record {n + 1}", "--producer", "job")
            stamps = [json.loads(line)["timestamp_ms"] for line in
                      cluster.run("tail", "-n", "all", "-o", "jsonl").stdout.splitlines()]
            file, _ = self.save(cluster)
            cluster.run("stop")
            restore(cluster, file, cluster.work / "beyond", "--to", 31, check=6)
            restore(cluster, file, cluster.work / "early", "--to", "@2001-01-01", check=6)
            restore(cluster, file, cluster.work / "what", "--to", "end", check=2)
            cut = cluster.work / "cut"
            restore(cluster, file, cut, "--to", 17, "--base-port", PORTS)
            with Restored(cluster.work, cut, ["n1"]) as short:
                self.assertEqual(short.records("n1"), [(n, f"record {n}") for n in range(1, 18)])
                self.assertEqual(short.run("append", "another 18").stdout, "18\n")
                self.assertEqual(short.run("get", "18").stdout, "another 18")
                # No producer came along: this one begins anew.
                self.assertEqual(short.run("append", "--producer", "job", "--resume", stdin="first\n").stdout, "19\n")
                short.run("snapshot", "take")
                short.run("snapshot", "verify")
            timed = cluster.work / "timed"
            restore(cluster, file, timed, "--to", f"@{stamps[11] / 1000:.3f}", "--base-port", PORTS)
            with Restored(cluster.work, timed, ["n1"]) as short:
                wanted = sum(stamp <= stamps[11] for stamp in stamps)
                self.assertEqual(len(short.records("n1")), wanted)

    def test_of_several_restores_at_once_one_wins(self):
        with Cluster(1) as cluster:
            cluster.run("append", stdin="".join(f"{n}\n" for n in range(50)))
            file, _ = self.save(cluster)
            cluster.run("stop")
            for turn in range(12):
                folder = cluster.work / f"new{turn}"
                command = [BUILD / "raftctl", "snapshot", "restore", file, folder, "--base-port", str(PORTS)]
                calls = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(4)]
                said = [call.communicate()[1] for call in calls]
                self.assertEqual(sorted(call.returncode for call in calls), [0, 7, 7, 7], said)
                self.assertEqual(sorted(path.name for path in folder.iterdir()), ["cluster.toml", "n1"])
                self.assertEqual([], list(cluster.work.glob("*.unfinished")))
            with Restored(cluster.work, folder, ["n1"]) as new:
                self.assertEqual(len(self.records(new, "n1")), 50)

    def test_files_that_are_no_saves_are_refused(self):
        with Cluster(1) as cluster:
            cluster.run("append", stdin="".join(f"{n}\n" for n in range(50)))
            file, _ = self.save(cluster)
            cluster.run("stop")
            with tarfile.open(file) as tar:
                good = [(member, tar.extractfile(member).read()) for member in tar.getmembers()]
            self.expect_refused(cluster, good, None, 0)  # packed again, by another tool: still a save
            for what, change, code in self.hostile(good):
                with self.subTest(what):
                    self.expect_refused(cluster, good, change, code)
            notes = cluster.work / "notes.txt"
            notes.write_text("nothing\n" * 100)
            restore(cluster, notes, cluster.work / "bad", check=2)
            restore(cluster, cluster.work / "missing.tar", cluster.work / "bad", check=6)
            self.assertFalse((cluster.work / "bad").exists())

    def expect_refused(self, cluster, good, change, code):
        entries = [(tarfile.TarInfo(member.name), content) for member, content in good]
        for info, content in entries:
            info.size = len(content)
        if change:
            change(entries)
        packed = cluster.work / "packed.tar"
        with tarfile.open(packed, "w", format=tarfile.USTAR_FORMAT) as tar:
            for info, content in entries:
                tar.addfile(info, io.BytesIO(content))
        before = set(cluster.work.rglob("*"))
        done = restore(cluster, packed, cluster.work / "target", "--nodes", 1, "--base-port", PORTS, check=code)
        if code == 0:
            subprocess.run(["rm", "-r", cluster.work / "target"], check=True)
        else:
            self.assertIn("packed.tar", done.stderr)
            cluster.run("snapshot", "verify", packed, check=8)  # also what can't be told from a damaged archive
        self.assertEqual(before, set(cluster.work.rglob("*")))
        self.assertFalse(pathlib.Path("/tmp/raftd-escaped").exists())

    @staticmethod
    def hostile(good):
        def named(name, kind=tarfile.REGTYPE, link=""):
            def change(entries):
                info = tarfile.TarInfo(name)
                info.type, info.linkname, info.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
                entries.insert(1, (info, b"evil"))
            return change

        def flipped(entries):
            info, content = entries[-1]
            entries[-1] = (info, bytes([content[0]]) + bytes([content[40] ^ 1]).join((content[1:40], content[41:])))

        def bomb(entries):
            packed = subprocess.run(["zstd", "-q", "-c"], input=bytes(300 << 20), capture_output=True,
                                    check=True).stdout
            info, content = entries[-1]
            info.size = len(packed) + len(content)
            entries[-1] = (info, packed + content)

        yield "a path upward", named("../escaped"), 8
        yield "an absolute path", named("/tmp/raftd-escaped"), 8
        yield "a folder's file", named("wal/0000000000000001.wal"), 8
        yield "another file of a member", named("identity.toml"), 8
        yield "a symbolic link", named("state-1", tarfile.SYMTYPE, "/etc/passwd"), 8
        yield "a hard link", named("state-1", tarfile.LNKTYPE, "CURRENT"), 8
        yield "a device", named("state-1", tarfile.CHRTYPE), 8
        yield "a pipe", named("state-1", tarfile.FIFOTYPE), 8
        yield "a folder", named("state-1", tarfile.DIRTYPE), 8
        yield "a file that nobody names", named("state-1"), 8
        yield "twice the same", lambda entries: entries.append(entries[0]), 8
        yield "one less", lambda entries: entries.pop(), 8
        yield "a flipped bit in an archive", flipped, 8
        yield "a bomb before an archive", bomb, 8
        yield "nothing at all", lambda entries: entries.clear(), 2


if __name__ == "__main__":
    main()
