"""One thread of a process held still while the others go on: a member whose disk thread is held has a disk that hangs,
for as long as the test likes, on any machine that lets it trace its own descendants."""

import contextlib
import ctypes
import os
import pathlib
import signal

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
LIBC.ptrace.restype = ctypes.c_long
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
SUBREAPER = 36
WAIT_ALL = 0x40000000


def adopt_daemons():
    """Daemons that are started from now on stay descendants of this program, which some systems ask for."""
    LIBC.prctl(SUBREAPER, 1, 0, 0, 0)


def ptrace(request, thread):
    if LIBC.ptrace(request, thread, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def thread_of(pid, name):
    for comm in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"):
        if comm.read_text().strip() == name:
            return int(comm.parent.name)
    raise AssertionError(f"process {pid} has no thread {name}")


@contextlib.contextmanager
def held(pid, name):
    """Holds that thread for the time of the block. OSError when the system doesn't let us."""
    thread = thread_of(pid, name)
    ptrace(SEIZE, thread)
    try:
        ptrace(INTERRUPT, thread)
        os.waitpid(thread, WAIT_ALL)
        yield
    finally:
        with contextlib.suppress(OSError):  # the process may have been killed meanwhile
            ptrace(DETACH, thread)


def why_not():
    """Why this system doesn't let us; empty when it does."""
    adopt_daemons()
    child = os.fork()
    if child == 0:
        while True:
            signal.pause()
    try:
        with held(child, pathlib.Path(f"/proc/{child}/comm").read_text().strip()):
            return ""
    except OSError as error:
        return str(error)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
