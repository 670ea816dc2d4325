"""Become another program, and ask the kernel to be told when the parent dies. Run as a script, never imported.

``python -I -S exec_child.py PARENT_PID SIGNAL COMMAND…``

``prctl(PR_SET_PDEATHSIG)`` outlives execve(2) but must be set in the child. Doing it here, after the fork and in a
program of its own, needs no ``preexec_fn`` (which is not safe where the parent has threads). Other systems than
Linux have no such call: there, leftovers are ended by the next ``metaqore up``.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


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
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"exec_child: cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
