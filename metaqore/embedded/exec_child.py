"""Become another program, which may open many files and is told by the kernel when its parent dies.

Run as a script, never imported:

``python -I -S exec_child.py PARENT_PID SIGNAL COMMAND…``

``prctl(PR_SET_PDEATHSIG)`` outlives execve(2) but must be set in the child. Doing it here, after the fork and in a
program of its own, needs no ``preexec_fn`` (which is not safe where the parent has threads). Other systems than
Linux have no such call: there, leftovers are ended by the next ``metaqore up``.
"""

import ctypes
import os
import resource
import sys

PR_SET_PDEATHSIG = 1
#: Files and connections that a process may have open, where the system allows it: 1024 of them, which is what most
#: begin with, are used up by a thousand connections to the API that ask nothing.
OPEN_FILES = 32_768


def main(arguments: list[str]) -> None:
    """Set the parent-death signal and replace this process by the command."""
    parent, signal_number, *command = arguments
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0) != 0:
            sys.exit(f"exec_child: prctl failed: {os.strerror(ctypes.get_errno())}")
        # The parent may have died before the call above; then nobody would ever send the signal.
        if os.getppid() != int(parent):
            sys.exit("exec_child: the parent is gone")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"exec_child: cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
