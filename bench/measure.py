"""The measurements of `bench/measure`, which builds what they run. Standard library only.

Each one starts its own server, on the first cpu, and `load-ours` on the second; with one cpu they share it. Where set-up would
blur the count, a long run is compared with a short one, and what the requests between them cost is the difference.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import compare
import growth
import swap

BUILT = sys.argv[1]
QUICK = "--quick" in sys.argv
CHECK = "--check" in sys.argv
NAMED = [word for word in sys.argv[2:] if not word.startswith("--")]
CPUS = sorted(os.sched_getaffinity(0))
# What a task's server keeps per connection by its own choice.
OWN_BUFFER = 16 * 1024
FEW, MANY = 1000, 5000

# What `--check` holds the counts against: somewhat above what they are (RESULTS.md), as how many requests one wait reports depends on
# the timing. They only ever come down.
MOST_CALLS = {1: 3.01, 64: 2.08}
MOST_INSTRUCTIONS = {"echo-ours": 475, "echo-ours-reactor": 270, "echo-ours-stream": 1500, "examples/echo": 485, "examples/reactor_echo": 270}
MOST_ALLOCATIONS = 0.02
MOST_CALLS_PER_WAKE = 2.1
too_many = []


def bound(what, value, most):
    """Notes what is above its bound."""
    if value > most:
        too_many.append(f"{what}: {value:.3f}, and it should be {most} at most")

# Name: program, its address argument, is the buffer each connection's own?
SERVERS = {
    "echo-epoll": ("echo-epoll", "{port}", False),
    "echo-ours": ("echo-ours", "{port}", True),
    "echo-ours-reactor": ("echo-ours-reactor", "{port}", False),
    "echo-ours-stream": ("echo-ours-stream", "{port}", False),
    "examples/echo": ("examples/echo", "127.0.0.1:{port}", True),
    "examples/reactor_echo": ("examples/reactor_echo", "127.0.0.1:{port}", False),
}


def pinned(index):
    """What a child does before it becomes its program."""
    cpu = CPUS[index % len(CPUS)]
    return lambda: os.sched_setaffinity(0, {cpu})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(name, under=(), command=None):
    """A running server, `under` a tool if one is given: its port and process. `command` is for those that are not in the list."""
    port = free_port()
    program, *arguments = (command or " ".join(SERVERS[name][:2])).format(port=port).split()
    command = [*under, os.path.join(BUILT, program), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, preexec_fn=pinned(0))
    try:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{name} did not start")
                time.sleep(0.02)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def load(mode, port, process, **options):
    words = [word for name, value in options.items() for word in ("-" + name, str(value))]
    command = [os.path.join(BUILT, "load-ours"), mode, "-p", str(port), "-P", str(process.pid), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, preexec_fn=pinned(1))
    if done.returncode:
        raise RuntimeError(f"load-ours {mode}: {done.stderr.strip()}")
    return {name: float(value) for name, value in (pair.split("=") for pair in done.stdout.split())}


def table(title, head, rows, note=""):
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    if note:
        print(f"\n{note}")
    sys.stdout.flush()


# ---- counts ----------------------------------------------------------------


def quiet_descriptors(process):
    """How many descriptors the server has once the last connection is closed: three looks that agree."""
    looks = [-1]
    while len(looks) < 3 or len(set(looks[-3:])) > 1:
        looks.append(len(os.listdir(f"/proc/{process.pid}/fd")))
        time.sleep(0.01)
    return looks[-1]


def strace_counts(lines):
    calls = {}
    for line in lines:
        # % time, seconds, usecs/call, calls, [errors,] name
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            calls[words[-1]] = int(words[3])
    return calls


def count_calls(name, connections, requests):
    with server(name) as (port, process), tempfile.NamedTemporaryFile("r") as out:
        before = quiet_descriptors(process)
        strace = subprocess.Popen(["strace", "-q", "-c", "-f", "-o", out.name, "-p", str(process.pid)])
        while "TracerPid:\t0" in open(f"/proc/{process.pid}/status").read():
            if strace.poll() is not None:
                raise RuntimeError("strace could not attach")
            time.sleep(0.01)
        load("count", port, process, c=connections, n=requests)
        # The closes belong to both runs, or their difference would not be requests alone.
        while len(os.listdir(f"/proc/{process.pid}/fd")) > before:
            time.sleep(0.01)
        strace.send_signal(signal.SIGINT)
        strace.wait()
        return strace_counts(out)


def named_counts(each):
    """The calls by name, most frequent first."""
    return ", ".join(f"{call} {n:.3f}" for call, n in sorted(each.items(), key=lambda x: -x[1]) if abs(n) >= 0.0005)


def calls():
    rows = []
    for name in SERVERS:
        for connections in (1, 64):
            # The short run is one request for each connection: a longer one may batch differently from the long run, and leave that in the difference.
            few, many = (count_calls(name, connections, n) for n in (connections, MANY))
            each = {call: (many[call] - few.get(call, 0)) / (MANY - connections) for call in many}
            added = many.get("epoll_ctl", 0) - few.get("epoll_ctl", 0)
            bound(f"system calls per echo of {name}, {connections} connections", sum(each.values()), MOST_CALLS[connections])
            bound(f"epoll_ctl in {MANY:,} echoes of {name}", added, 0)
            rows.append((name, connections, f"{sum(each.values()):.3f}", added, named_counts(each)))
    table(
        "System calls per 64 B echo",
        ["server", "connections", "calls per echo", f"epoll_ctl in {MANY:,} echoes", "which"],
        rows,
        "`strace -c -f`; the difference of two runs, so that set-up is not in it. How many connections one wait reports "
        "depends on the timing.",
    )


def calls_per_trip(program, *test):
    """System calls by name of one round trip of an in-process test, which takes their number and that of the rounds behind its own arguments."""
    counts = []
    # One trip stands for the set-up: how often a loop is told before it sleeps differs from run to run, and a longer run would leave that in the difference.
    for trips in (1, MANY):
        with tempfile.NamedTemporaryFile("r") as out:
            under = ["strace", "-q", "-c", "-f", "-o", out.name]
            micro(program, *test, trips, 1, under=under, pin=False)
            counts.append(strace_counts(out))
    few, many = counts
    return {call: (many[call] - few.get(call, 0)) / (MANY - 1) for call in many}


def notify():
    each = {call: n / 2 for call, n in calls_per_trip("micro-ours-reactor", "t3").items()}
    bound("system calls per wake", sum(each.values()), MOST_CALLS_PER_WAKE)
    table(
        "System calls per one-way wake between two sleeping loops",
        ["calls per wake", "bound", "which"],
        [(f"{sum(each.values()):.3f}", MOST_CALLS_PER_WAKE, named_counts(each))],
        f"`strace -c -f` of `t3`; the difference of 1 and {MANY:,} round trips. Waking a loop that sleeps takes a write and a "
        "wait; one that is told before it sleeps takes the wait only, which happens often here as strace slows the calls.",
    )


def count_under(tool, name, requests, pattern):
    with tempfile.NamedTemporaryFile("r") as log:
        under = ["valgrind", *tool, f"--log-file={log.name}"]
        with server(name, under) as (port, process):
            load("count", port, process, c=16, n=requests)
        found = re.findall(pattern, log.read())
        if not found:
            raise RuntimeError(f"valgrind counted nothing for {name}")
        return int(found[-1].replace(",", ""))


def one_per_echo(name, tool, pattern):
    few, many = (count_under(tool, name, n, pattern) for n in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def per_echo(tool, pattern):
    for name in SERVERS:
        yield name, one_per_echo(name, tool, pattern)


def instructions():
    tool = ["--tool=callgrind", "--callgrind-out-file=/dev/null"]
    counts = dict(per_echo(tool, r"Collected\s*:\s*(\d+)"))
    bare = counts["echo-epoll"]
    for name, most in MOST_INSTRUCTIONS.items():
        if counts[name] > most:
            # How many requests a wait reports depends on the timing, and so does the share of a wait in each: a busy machine gets another try.
            counts[name] = min(counts[name], one_per_echo(name, tool, r"Collected\s*:\s*(\d+)"))
        bound(f"user instructions per echo of {name}", counts[name], most)
    rows = [(name, f"{n:,.0f}", f"{n / bare:.2f}") for name, n in counts.items()]
    table("User instructions per 64 B echo, 16 connections", ["server", "instructions", "× bare epoll"], rows, "callgrind, libc included.")


def allocations():
    tool = ["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"]
    counts = dict(per_echo(tool, r"total heap usage: ([\d,]+) allocs"))
    for name, n in counts.items():
        bound(f"allocations per echo of {name}", n, MOST_ALLOCATIONS)
    rows = [(name, f"{n:.2f}") for name, n in counts.items()]
    table(
        "Heap allocations per 64 B echo, 16 connections",
        ["server", "allocations"],
        rows,
        "memcheck. The runs differ by a handful at their end, as connections close before or after the signal.",
    )


# ---- time and memory -------------------------------------------------------


def cpu():
    names = ["echo-epoll", "echo-ours", "echo-ours-reactor"]
    rounds, seconds = (3, 0.5) if QUICK else (9, 1.0)
    rows = []
    for connections in (64, 1000):
        costs = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                with server(name) as (port, process):
                    result = load("pingpong", port, process, c=connections, d=seconds, w=0.2)
                    costs[name].append(result["cpu_ns_per_request"])
        for name in names:
            # By round: what disturbs the machine for seconds disturbs neighbours alike.
            ratios = sorted(mine / bare for mine, bare in zip(costs[name], costs["echo-epoll"]))
            rows.append(
                (
                    name,
                    connections,
                    f"{statistics.median(costs[name]):,.0f}",
                    f"{statistics.median(ratios):.3f}",
                    f"{min(costs[name]) / min(costs['echo-epoll']):.3f}",
                    f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                )
            )
    table(
        "Server CPU per 64 B echo against a bare epoll loop",
        ["server", "connections", "ns (median)", "ratio (median of rounds)", "ratio of the best", "all rounds"],
        rows,
        f"User and system time; {rounds} rounds, the servers taking turns. Compare ratios; the nanoseconds are this machine's.",
    )


def streams():
    """Buffered streams against libevent's, and both against the bare loop, by the size of the messages."""
    names = ["echo-epoll", "echo-ours-stream", *peers("echo-libevent")]
    rounds, seconds = (3, 0.5) if QUICK else (9, 1.0)
    rows = []
    for size in (64, OWN_BUFFER):
        costs = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                with server(name, command=f"{name} {{port}}") as (port, process):
                    costs[name].append(load("pingpong", port, process, c=64, s=size, d=seconds, w=0.2)["cpu_ns_per_request"])
        ours = costs["echo-ours-stream"]
        for name in names:
            if name == "echo-ours-stream":
                continue
            ratios = sorted(mine / theirs for mine, theirs in zip(ours, costs[name]))
            rows.append(
                (
                    f"{size:,}",
                    name,
                    f"{statistics.median(ours):,.0f}",
                    f"{statistics.median(costs[name]):,.0f}",
                    f"{statistics.median(ratios):.3f}",
                    f"{min(ours) / min(costs[name]):.3f}",
                    f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                )
            )
    table(
        "Echo on buffered streams, server CPU per message, 64 connections",
        ["bytes", "against", "ours, ns", "theirs, ns", "ratio (median of rounds)", "ratio of the best", "all rounds"],
        rows,
        "`echo-libevent` is the same server on libevent's bufferevents.",
    )


def busy():
    """What it brings and costs to ask before sleeping."""
    rounds, seconds = (3, 0.5) if QUICK else (9, 1.0)
    rows = []
    for connections, think in ((1, 0), (4, 0), (1, 100), (4, 100)):
        results = {0: [], 20: []}
        for _ in range(rounds):
            for most in results:
                with server("echo-ours", command=f"echo-ours {{port}} {most}") as (port, process):
                    results[most].append(load("pingpong", port, process, c=connections, t=think, b=1, l=1, d=seconds, w=0.2))
        asleep, asking = ([sorted(r[what] for r in results[most])[rounds // 2] for what in ("answer_ns_p50", "cpu_ns_per_request")] for most in (0, 20))
        ratios = sorted(mine["cpu_ns_per_request"] / other["cpu_ns_per_request"] for mine, other in zip(results[20], results[0]))
        rows.append(
            (
                connections,
                think,
                f"{asleep[0] / 1e3:.1f}",
                f"{asking[0] / 1e3:.1f}",
                f"{asking[0] / asleep[0]:.2f}",
                f"{statistics.median(ratios):.2f}",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
            )
        )
    table(
        "Asking before sleeping: echo-ours with `Config::busy_poll` of 20 µs against none",
        ["connections", "think time, µs", "median answer, µs", "asking, µs", "ratio", "server CPU per echo, ratio", "all rounds"],
        rows,
        f"64 B; the client never sleeps; {rounds} rounds in turn.",
    )


def fairness():
    late = micro("micro-ours", "heartbeat")
    table(
        "A timer of 10 ms beside 1,000 tasks that are always ready and 100 sockets that always have data",
        ["late, median, µs", "late, 99 of 100, µs"],
        [(f"{late['heartbeat_p50_us']:.0f}", f"{late['heartbeat_p99_us']:.0f}")],
        "All on one thread, which has a cpu of its own.",
    )


def idle():
    rows = []
    for name, (_, _, own) in SERVERS.items():
        with server(name) as (port, process):
            memory = load("idle", port, process, c=4000, d=0)
        with server(name) as (port, process):
            rest = load("idle", port, process, c=1000, d=2 if QUICK else 5)
        data = memory["data_per_connection"] - (OWN_BUFFER if own else 0)
        rows.append(
            (
                name,
                f"{data:.0f}",
                f"{memory['resident_per_connection']:.0f}",
                f"{rest['idle_cpu_ns'] / 1e6:.2f}",
                f"{rest['threads']:.0f}",
            )
        )
    table(
        "Idle connections",
        ["server", "bytes each, without the program's buffer", "resident bytes each", "CPU ms, 1,000 idle", "threads"],
        rows,
        f"Memory over 4,000 connections after one echo each, as growth of the data segment; the servers on tasks have a buffer of "
        f"{OWN_BUFFER:,} bytes per connection besides, which is taken off in the first column and of which the resident column has "
        f"the touched pages. CPU in {2 if QUICK else 5} s.",
    )


def build():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CARGO_PROFILE_")}
    subprocess.run(["cargo", "fetch", "--quiet"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        start = time.monotonic()
        command = ["cargo", "build", "--quiet", "--release", "-p", "levent", "--target-dir", folder]
        subprocess.run(command, check=True, env=environment)
        seconds = time.monotonic() - start
    table("Clean release build of the facade", ["cpus", "seconds"], [(len(CPUS), f"{seconds:.1f}")])


def samples(program, *arguments, under=(), pin=True):
    """The results of one run of an in-process test, by default on the first cpu: name to median, least and most."""
    command = [*under, os.path.join(BUILT, program), *map(str, arguments)]
    environment = dict(os.environ, **({"MEASURE_QUICK": "1"} if QUICK else {}))
    keep = pinned(0) if pin else None
    output = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=keep, env=environment).stdout
    return {name: tuple(map(float, values)) for name, *values in map(str.split, output.splitlines())}


def micro(program, *arguments, **how):
    """The medians alone."""
    return {name: median for name, (median, *_) in samples(program, *arguments, **how).items()}


def peers(*names):
    return [name for name in names if os.path.exists(os.path.join(BUILT, name))]


def chain():
    names = peers("micro-ours-reactor", "micro-ours", "micro-libevent", "micro-epoll")
    pairs = [("micro-ours-reactor", "micro-libevent"), ("micro-ours-reactor", "micro-epoll"), ("micro-ours", "micro-epoll")]
    called = {"micro-ours-reactor": "callbacks", "micro-ours": "a task per socket"}
    rows = []
    for shape in ((100, 1, 100), (1000, 100, 1000), (8000, 1000, 8000)):
        costs = {name: [] for name in names}
        for round_ in range(5 if QUICK else 15):
            for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
                costs[name].append(micro(name, "chain", *shape)["chain_cpu_ns"])
        for mine, name in pairs:
            if name not in costs:
                continue
            ours = costs[mine]
            ratios = sorted(one / other for one, other in zip(ours, costs[name]))
            rows.append(
                (
                    ", ".join(map(str, shape)),
                    called[mine],
                    name,
                    f"{statistics.median(ours):,.0f}",
                    f"{statistics.median(costs[name]):,.0f}",
                    f"{statistics.median(ratios):.3f}",
                    f"{min(ours) / min(costs[name]):.3f}",
                    f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                )
            )
    table(
        "Chains of socket pairs, CPU per step",
        ["pairs, active, writes", "levent with", "against", "ours, ns", "theirs, ns", "ratio (median of rounds)", "ratio of the best", "all rounds"],
        rows,
        "User and system time of a receive, a send and a share of a wait; the programs taking turns.",
    )


def timers():
    names = peers("micro-ours-reactor", "micro-libevent")
    rows = []
    for test in ("t1", "t1common"):
        results = {name: [] for name in names}
        for _ in range(1 if QUICK else 3):
            for name in names:
                results[name].append(micro(name, test))
        for what in results[names[0]][0]:
            cells = [statistics.median(r[what] for r in results[name]) if what in results[name][0] else None for name in names]
            ratio = f"{cells[0] / cells[1]:.2f}" if len(cells) > 1 and cells[1] else "–"
            rows.append((test, what, *(f"{cell:.0f}" if cell else "–" for cell in cells), ratio))
    table(
        "Timers, CPU ns per operation",
        ["test", "operation", *names, "ratio"],
        rows,
        "Ours are armed in a callback, by the time of the turn, but for those named `outside`.",
    )


ALL = {
    "calls": calls,
    "notify": notify,
    "instructions": instructions,
    "allocations": allocations,
    "cpu": cpu,
    "streams": streams,
    "busy": busy,
    "fairness": fairness,
    "chain": chain,
    "timers": timers,
    "idle": idle,
    "build": build,
}
# Not among all: other people's crates are built for those who ask, and ten million timers take their time.
ASKED = {
    "peers": lambda: compare.compare(BUILT, QUICK, sys.modules[__name__]),
    "growth": lambda: growth.growth(QUICK, sys.modules[__name__]),
    "swap": lambda: swap.swap(BUILT, QUICK, sys.modules[__name__]),
}
NEEDS = {"calls": "strace", "notify": "strace", "instructions": "valgrind", "allocations": "valgrind"}


def main():
    known = ALL | ASKED
    unknown = [name for name in NAMED if name not in known]
    if unknown:
        sys.exit(f"measure: no measurement {unknown[0]}: {', '.join(known)}")
    failed = False
    for name in NAMED or ALL:
        if name in NEEDS and not shutil.which(NEEDS[name]):
            print(f"\n{name}: left out, {NEEDS[name]} is not installed")
            failed |= CHECK
            continue
        try:
            known[name]()
        except RuntimeError as error:
            print(f"\n{name}: {error}", file=sys.stderr)
            failed = True
    if CHECK:
        for line in too_many:
            print(f"\n{line}", file=sys.stderr)
        failed |= bool(too_many)
    sys.exit(failed)


main()
