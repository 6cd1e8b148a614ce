#!/usr/bin/env python3
"""Changes of the members that something gets in the way of, and their news: `member apply` over the end of the leader,
`events -f`."""

import json
import signal
import subprocess
import unittest

from cluster import ENVIRONMENT, PATIENCE, Cluster, Load, main, until, verify


def voters(cluster):
    listed = json.loads(cluster.run("member", "list", "-o", "json").stdout)["members"]
    return sorted(member["name"] for member in listed if member["role"] == "voter")


class Changes(unittest.TestCase):
    def test_a_file_is_applied_though_the_leader_is_killed(self):
        with Cluster(5) as cluster, Load(cluster) as load:
            load.progress()
            leads = cluster.wait_leader()
            others = [name for name in cluster.names if name != leads]
            text = (cluster.folder / "cluster.toml").read_text()
            head, *blocks = text.split("\n[[member]]\n")
            gone = [f'name = "{name}"' for name in others[:2]]
            kept = [block for block in blocks if not any(name in block for name in gone)]
            (cluster.folder / "wanted.toml").write_text("\n[[member]]\n".join([head, *kept]))
            apply = subprocess.Popen(["raftctl", "member", "apply", "wanted.toml", "--yes"], cwd=cluster.folder,
                                     env=ENVIRONMENT, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
            cluster.kill(leads)
            said, _ = apply.communicate(timeout=PATIENCE)
            self.assertEqual(apply.returncode, 0, said)
            self.assertEqual(voters(cluster), sorted([leads, *others[2:]]))
            cluster.run("start", leads)
            cluster.names = sorted([leads, *others[2:]])
            load.progress()
            load.finish()
            cluster.run("wait", "healthy")
            for name in cluster.names:
                cluster.run("wait", "caught-up", name)
            verify(cluster, load.writers)
            cluster.names += others[:2]  # so that they are ended, too

    def test_events_are_followed(self):
        with Cluster(3) as cluster:
            leads = cluster.wait_leader()
            other = next(name for name in cluster.names if name != leads)
            news = cluster.work / "news"
            with news.open("w") as out:
                follow = subprocess.Popen(["raftctl", "events", "-f", "-n", "0"], cwd=cluster.folder, env=ENVIRONMENT,
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            try:
                # What happened before it looked isn't news: handed over until it tells of it.
                def told():
                    to = other if cluster.leader() != other else leads
                    cluster.run("transfer-leader", to, check=False)
                    return "became_leader" in news.read_text()
                until(told, "a new leader among the events")
                self.assertIsNone(follow.poll())
            finally:
                follow.send_signal(signal.SIGINT)
                follow.wait(PATIENCE)


if __name__ == "__main__":
    main()
