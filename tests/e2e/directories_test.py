#!/usr/bin/env python3
"""Data directories that are not what they seem: wiped, copied, put back from an image, foreign, in use. Each is
refused with its own message, and the cluster is none the worse."""

import shutil
import unittest

from cluster import Cluster, Load, main, raftctl, start_alone, verify


def copy(source, target):
    """A data directory as it lies there, but for its socket."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("admin.sock"))


class Directories(unittest.TestCase):
    def settle(self, cluster, load):
        load.progress()
        follower = next(name for name in cluster.names if name != cluster.wait_leader())
        return follower, cluster.folder / follower / "data"

    def test_wiped(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            follower, data = self.settle(cluster, load)
            cluster.kill(follower)
            shutil.rmtree(data)
            code, said = start_alone(cluster, follower)
            self.assertEqual(code, 23, said)
            self.assertIn("data", said)
            load.progress()
            load.finish()

    def test_log_removed(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            follower, data = self.settle(cluster, load)
            cluster.kill(follower)
            shutil.rmtree(data / "wal")
            code, said = start_alone(cluster, follower)
            self.assertIn(code, (21, 23), said)
            load.progress()
            load.finish()

    def test_of_another_member(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            follower, data = self.settle(cluster, load)
            other = next(n for n in cluster.names if n not in (follower, cluster.wait_leader()))
            cluster.kill(follower, other)
            shutil.rmtree(data)
            copy(cluster.folder / other / "data", data)
            code, said = start_alone(cluster, follower)
            self.assertEqual(code, 23, said)
            self.assertIn(other, said)
            cluster.run("start", other)
            load.progress()
            load.finish()

    def test_of_another_cluster(self):
        with Cluster(3) as cluster, Cluster(3, start=False) as foreign:
            cluster.kill("n1")
            shutil.rmtree(cluster.folder / "n1" / "data")
            copy(foreign.folder / "n1" / "data", cluster.folder / "n1" / "data")
            code, said = start_alone(cluster, "n1")
            self.assertEqual(code, 23, said)
            self.assertIn("cluster", said)

    def test_in_use(self):
        with Cluster(1) as cluster:
            code, said = start_alone(cluster, "n1")
            self.assertEqual(code, 23, said)
            self.assertIn("use", said)
            self.assertTrue(cluster.alive("n1"))

    def end_without(self, cluster, load, member):
        """The others go on, and hold every acknowledged record."""
        load.progress()
        load.finish()
        cluster.names.remove(member)
        verify(cluster, load.writers)

    def test_put_back_from_an_image(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            follower, data = self.settle(cluster, load)
            cluster.kill(follower)
            image = cluster.work / "image"
            copy(data, image)
            for _ in range(2):  # two starts that the others see
                cluster.run("start", follower)
                cluster.run("wait", "healthy")
                load.progress()
                cluster.kill(follower)
            shutil.rmtree(data)
            copy(image, data)
            code, said = start_alone(cluster, follower)
            self.assertEqual(code, 23, said)
            self.assertIn("rolled back", said)
            self.end_without(cluster, load, follower)

    def test_copied_and_started_twice(self):
        with Cluster(3) as cluster, Load(cluster) as load:
            follower, data = self.settle(cluster, load)
            cluster.kill(follower)
            twin = cluster.work / "twin"
            copy(data, twin)
            cluster.run("start", follower)
            cluster.run("wait", "healthy")
            load.progress()
            cluster.kill(follower)
            shutil.rmtree(data)
            copy(twin, data)
            code, said = start_alone(cluster, follower)
            self.assertEqual(code, 23, said)
            self.assertIn("copied", said)
            self.end_without(cluster, load, follower)

    def test_init_refuses_a_used_folder(self):
        with Cluster(1) as cluster:
            done = raftctl("init", "demo", cwd=cluster.work, check=7)
            self.assertIn("hint:", done.stderr)


if __name__ == "__main__":
    main()
