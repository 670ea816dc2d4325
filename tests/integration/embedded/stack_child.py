"""A small process for the supervisor's tests: ``stack_child.py FOLDER NAME MODE``. It keeps a journal of its life."""

import os
import signal
import socket
import subprocess
import sys
import time

folder, name, mode = sys.argv[1:4]
asked: list[int] = []


def note(what: str) -> None:
    with open(os.path.join(folder, "journal"), "a") as journal:
        journal.write(f"{name} {what}\n")


def broker_answers() -> bool:
    password, _, place = os.environ["BROKER_URL"].removeprefix("redis://:").partition("@")
    port = int(place.split(":")[1].split("/")[0])
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
        answer = b""
        while b"PONG" not in answer and b"-" not in answer:
            answer += connection.recv(100)
    return b"PONG" in answer


for number in (signal.SIGTERM, signal.SIGQUIT):
    signal.signal(number, lambda received, _frame: asked.append(received))
if mode == "failing" or (mode == "flaky" and not os.path.exists(os.path.join(folder, "flaky"))):
    open(os.path.join(folder, "flaky"), "w").close()
    note("start 0")
    sys.exit("bad luck")
note(f"start {os.getpid()}")
if mode == "family":
    grandchild = subprocess.Popen(
        [sys.executable, "-S", "-c", "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"]
    )
    note(f"child {grandchild.pid}")
if mode != "never-ready":
    os.makedirs(os.path.join(folder, "run"), exist_ok=True)
    with open(os.path.join(folder, "run", f"{name}.ready"), "w") as ready:
        ready.write(f"{os.getpid()}\n")
while True:
    while not asked:
        time.sleep(0.01)
    received = asked.pop()
    note(signal.Signals(received).name)
    if mode == "busy":
        while not os.path.exists(os.path.join(folder, "release")):
            time.sleep(0.01)
        note("finished")
    if mode == "asks-broker":
        note("PONG" if broker_answers() else "no broker")
    if mode == "stubborn" or (mode == "hands-back" and received == signal.SIGTERM):
        continue
    note("end")
    sys.exit(0)
