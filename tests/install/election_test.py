"""The installed library in somebody else's program: three processes elect, and elect again when the leader is killed.

usage: election_test.py PROGRAM
"""
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading


def free_ports(count):
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Members:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
        self.lines, self.running, self.terms = queue.Queue(), {}, {}

    def start(self, member):
        home = os.path.join(self.folder, f"n{member}")
        os.makedirs(home, exist_ok=True)
        command = [self.program, str(member), home, *self.addresses]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.running[member] = process
        threading.Thread(target=self.read, args=(member, process), daemon=True).start()

    def read(self, member, process):
        for line in process.stdout:
            self.lines.put((member, line.strip()))

    def kill(self, member):
        process = self.running.pop(member)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def next_leader(self, after):
        """(term, member) of the first that leads a term above `after`; a hang ends with ctest's time-out."""
        while True:
            member, line = self.lines.get()
            found = re.fullmatch(r"leading term=(\d+)", line)
            if not found:
                continue
            term = int(found[1])
            assert self.terms.setdefault(term, member) == member, f"two leaders in term {term}"
            if term > after:
                return term, member


def main():
    with tempfile.TemporaryDirectory() as folder:
        members = Members(sys.argv[1], folder)
        try:
            for member in (1, 2, 3):
                members.start(member)
            term = 0
            for _ in range(4):
                term, leader = members.next_leader(term)
                print(f"n{leader} leads term {term}; killed", flush=True)
                members.kill(leader)
                term, other = members.next_leader(term)
                print(f"n{other} leads term {term}", flush=True)
                members.start(leader)
                members.kill(other)
                members.start(other)
        finally:
            for member in list(members.running):
                members.kill(member)


if __name__ == "__main__":
    main()
