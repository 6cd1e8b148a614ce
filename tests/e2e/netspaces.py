"""Hosts in network namespaces, for end-to-end tests: each with an address of its own on one switch, all made by the
test and gone at its end. The test itself moves onto the switch, so that whatever it starts can reach every host.

A cut of one way is a blackhole route in the sender's host, so nothing is refused or reset: packets vanish."""

import atexit
import ctypes
import os
import re
import subprocess

CLONE_NEWNET = 0x40000000
PREFIX = "raftd-test-"


def ip(*words, namespace=None):
    into = ["-n", namespace] if namespace else []
    done = subprocess.run(["ip", *into, *map(str, words)], text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def why_not():
    """Why this machine can't have namespaces; None when it can."""
    name = f"{PREFIX}{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        try:
            ip("link", "add", "one", "type", "veth", "peer", "name", "other", namespace=name)
            ip("link", "add", "switch", "type", "bridge", namespace=name)
            ip("route", "add", "blackhole", "10.77.0.1/32", namespace=name)
        finally:
            ip("netns", "del", name)
    except (OSError, FileNotFoundError) as error:
        return str(error)
    return None


def remove_left():
    """Namespaces of tests that ended without a chance to clean up."""
    for line in ip("netns", "list").splitlines():
        found = re.match(PREFIX + r"(\d+)-", line)
        if found and not os.path.exists(f"/proc/{found[1]}"):
            ip("netns", "del", line.split()[0])


class Hosts:
    """`with Hosts(["n1", "n2"]) as hosts:` runs its block on the switch; hosts.address["n1"] is 10.77.0.1."""

    def __init__(self, names):
        self.names = names
        self.address = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
        self.switch = f"{PREFIX}{os.getpid()}-switch"
        self.home = None

    def __enter__(self):
        remove_left()
        atexit.register(self.remove)
        try:
            self._make()
            self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
            self._move(f"/run/netns/{self.switch}")
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, kind, error, trace):
        self.remove()

    def namespace(self, name):
        return f"{PREFIX}{os.getpid()}-{name}"

    def _make(self):
        ip("netns", "add", self.switch)
        ip("link", "set", "lo", "up", namespace=self.switch)
        ip("link", "add", "switch", "type", "bridge", namespace=self.switch)
        ip("addr", "add", "10.77.0.254/24", "dev", "switch", namespace=self.switch)
        ip("link", "set", "switch", "up", namespace=self.switch)
        for name in self.names:
            there = self.namespace(name)
            ip("netns", "add", there)
            ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "net", "netns", there,
               namespace=self.switch)
            ip("link", "set", f"to-{name}", "master", "switch", "up", namespace=self.switch)
            ip("addr", "add", f"{self.address[name]}/24", "dev", "net", namespace=there)
            ip("link", "set", "lo", "up", namespace=there)
            ip("link", "set", "net", "up", namespace=there)

    def _move(self, path_or_fd):
        fd = path_or_fd if isinstance(path_or_fd, int) else os.open(path_or_fd, os.O_RDONLY)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(fd)

    def remove(self):
        atexit.unregister(self.remove)
        if self.home is not None:
            self._move(self.home)
            self.home = None
        known = {line.split()[0] for line in ip("netns", "list").splitlines() if line}
        for name in [self.switch, *map(self.namespace, self.names)]:
            if name in known:
                ip("netns", "del", name)

    def inside(self, name):
        """What to put before a command that is to run on that host."""
        return ["ip", "netns", "exec", self.namespace(name)]

    def cut(self, sender, receiver):
        """From now on nothing gets from one host to the other; the way back stays open."""
        ip("route", "add", "blackhole", f"{self.address[receiver]}/32", namespace=self.namespace(sender))

    def mend(self, sender, receiver):
        ip("route", "del", "blackhole", f"{self.address[receiver]}/32", namespace=self.namespace(sender))

    def apart(self, one, other):
        self.cut(one, other)
        self.cut(other, one)

    def mend_all(self):
        for name in self.names:
            for line in ip("route", "show", "type", "blackhole", namespace=self.namespace(name)).splitlines():
                ip("route", "del", *line.split(), namespace=self.namespace(name))
            self.plug(name)

    def unplug(self, name):
        ip("link", "set", f"to-{name}", "down", namespace=self.switch)

    def plug(self, name):
        ip("link", "set", f"to-{name}", "up", namespace=self.switch)
