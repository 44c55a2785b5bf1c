#!/usr/bin/env python3
"""Starts an echo server, drives it over real sockets, ends it with SIGTERM and checks what it says.

    drive.py [--tolerant] [--prefix "strace ... --"] PROGRAM [ARGUMENT ...]

Contents are compared always. With --tolerant a connection may break, but must not hang or lie, and most must work.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading

arguments = sys.argv[1:]
tolerant = "--tolerant" in arguments
if tolerant:
    arguments.remove("--tolerant")
prefix = []
if "--prefix" in arguments:
    at = arguments.index("--prefix")
    prefix = shlex.split(arguments[at + 1])
    del arguments[at : at + 2]

CLIENTS, ROUNDS = 12, 10


def fail(why):
    server.kill()
    sys.exit(f"{' '.join(prefix + arguments)}: {why}")


server = subprocess.Popen(
    [*prefix, *arguments, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True, start_new_session=True
)
watchdog = threading.Timer(60, lambda: os.killpg(server.pid, signal.SIGKILL))
watchdog.start()
match = re.match(r"listening on 127\.0\.0\.1:(\d+)", server.stdout.readline())
if not match:
    fail("it did not say where it listens")
port = int(match[1])

worked, wrong = 0, 0
for client in range(CLIENTS):
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as stream:
            stream.settimeout(20)
            for turn in range(ROUNDS):
                sent = bytes((client * 31 + turn * 7 + i) & 255 for i in range(1 + turn * 700))
                stream.sendall(sent)
                got = b""
                while len(got) < len(sent):
                    piece = stream.recv(65536)
                    if not piece:
                        raise ConnectionError("closed")
                    got += piece
                if got != sent:
                    wrong += 1
                    break
            else:
                worked += 1
    except (ConnectionError, BrokenPipeError) as error:
        if not tolerant:
            fail(f"client {client}: {error}")
    except TimeoutError:
        fail(f"client {client} waited for 20 s")
if wrong:
    fail(f"{wrong} connections got other bytes than they sent")
if worked < (CLIENTS // 3 if tolerant else CLIENTS):
    fail(f"only {worked} of {CLIENTS} connections worked")

# With a tracer in front the server is its child; the tracer ends with it.
children = subprocess.run(["pgrep", "-P", str(server.pid)], capture_output=True, text=True).stdout.split()
os.kill(int(children[0]) if prefix and children else server.pid, signal.SIGTERM)
rest = server.stdout.read()
code = server.wait()
watchdog.cancel()
if code != 0:
    fail(f"it ended with {code}")
if not re.search(r"^served \d+ connections, \d+ bytes$", rest, re.M):
    fail(f"no summary: {rest!r}")
print(f"{worked} of {CLIENTS} connections worked; {rest.strip()}")
