#!/usr/bin/env python3
"""Starts an echo server, drives it over real sockets, ends it with SIGTERM and checks what it says.

    drive.py [--prefix "strace ... --"] [--may-break LOG] [--limit N] PROGRAM [ARGUMENT ...]

Four clients at a time compare every byte. No connection may break, but with --may-break as many as strace noted INJECTED errors in
LOG: a fault concerns its own connection and no other. Nothing may hang, with or without faults. --limit is the number of
descriptors that the server may have.
"""

import argparse
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

CLIENTS, AT_ONCE, ROUNDS = 12, 4, 10
# No round trip takes a second, even with a delay at every call; the rest is for a machine with other work.
PATIENCE = 20

options = argparse.ArgumentParser()
options.add_argument("--prefix", default="", type=shlex.split)
options.add_argument("--may-break", metavar="LOG")
options.add_argument("--limit", type=int)
options.add_argument("command", nargs=argparse.REMAINDER)
options = options.parse_args()


def limit():
    if options.limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (options.limit, options.limit))


# A session of its own, so that the tracer and the server can be ended together.
server = subprocess.Popen(
    [*options.prefix, *options.command, "127.0.0.1:0"],
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    text=True,
    start_new_session=True,
    preexec_fn=limit,
)


def end_all():
    try:
        os.killpg(server.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # It has ended by itself.


def fail(why):
    end_all()
    watchdog.cancel()
    sys.exit(f"{shlex.join([*options.prefix, *options.command])}: {why}")


watchdog = threading.Timer(90, end_all)
watchdog.daemon = True
watchdog.start()

match = re.match(r"listening on 127\.0\.0\.1:(\d+)", server.stdout.readline())
if not match:
    fail("it did not say where it listens")
address = ("127.0.0.1", int(match[1]))


def talk(client):
    """One connection: None if all went well, else what broke it. Hanging and wrong bytes are never excused."""
    try:
        with socket.create_connection(address, PATIENCE) as stream:
            for turn in range(ROUNDS):
                sent = bytes((client * 31 + turn * 7 + i) & 255 for i in range(1 + turn * 700))
                stream.sendall(sent)
                got = b""
                while len(got) < len(sent):
                    piece = stream.recv(65536)
                    if not piece:
                        return "closed by the server"
                    got += piece
                if got != sent:
                    raise AssertionError(f"client {client} got other bytes than it sent, in turn {turn}")
            stream.shutdown(socket.SHUT_WR)
            if stream.recv(1) != b"":
                raise AssertionError(f"client {client} got more than it sent")
    except TimeoutError:
        raise AssertionError(f"client {client} waited for {PATIENCE} s") from None
    except ConnectionError as error:
        return str(error)


try:
    with ThreadPoolExecutor(AT_ONCE) as clients:
        broken = [why for why in clients.map(talk, range(CLIENTS)) if why]
except AssertionError as error:
    fail(error)

# With a tracer in front the server is its child; the tracer ends with it.
pid = server.pid
if options.prefix:
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        pid = int(children.read().split()[0])
os.kill(pid, signal.SIGTERM)
rest = server.stdout.read()
code = server.wait()
watchdog.cancel()
if code != 0:
    fail(f"it ended with {code}")
if not re.search(r"^served \d+ connections, \d+ bytes$", rest, re.M):
    fail(f"no summary: {rest!r}")

excused = 0
if options.may_break:
    with open(options.may_break) as log:
        excused = sum("(INJECTED)" in line for line in log)
if len(broken) > excused:
    fail(f"{len(broken)} connections broke, {excused} errors were injected: {broken}")
if len(broken) == CLIENTS:
    fail("no connection worked")
print(f"{CLIENTS - len(broken)} of {CLIENTS} connections worked; {rest.strip()}")
