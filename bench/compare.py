"""The measurement `peers` of `bench/measure`: levent beside other runtimes on the same work. Standard library only.

The programs of the others are in `bench/peers`, a workspace of its own. What could not be built is left out.
"""

import os
import statistics

import chart

BARE = "bare epoll loop"
# Name: program and its arguments for the echo server, the same for the in-process tests.
RUNTIMES = {
    BARE: ("echo-epoll {port}", None),
    "levent, callbacks": ("echo-ours-reactor {port}", None),
    "levent, tasks": ("echo-ours {port}", "micro-ours"),
    "tokio, current thread": ("echo-tokio {port}", "micro-tokio"),
    "smol, local executor": ("echo-smol {port}", "micro-smol"),
    "monoio, epoll": ("echo-monoio {port} epoll", "micro-monoio epoll"),
    "monoio, io_uring": ("echo-monoio {port} io_uring", "micro-monoio io_uring"),
}
OURS = "levent, tasks"
CONNECTIONS = (1, 64, 1000)
# Other workloads on the same servers: title, the client's mode and its options.
WORKLOADS = {
    "64 B, 8,000 connections": ("pingpong", {"c": 8000, "w": 0.7}),
    "16 KiB, 64 connections": ("pingpong", {"c": 64, "s": 16384, "w": 0.2}),
    "connect, 64 B, close; 16 at a time": ("connect", {"c": 16}),
}
OPERATIONS = {
    "t1": {
        "t1_arm_cancel_ns": "arm and cancel",
        "t1_reset_100k_ns": "move one of 100,000",
        "t1_arm_1m_ns": "arm a million",
        "t1_expire_1m_ns": "expire a million",
    },
    "t2": {
        "t2_spawn_await_ns": "spawn and await",
        "t2_spawn_batch_ns": "spawn 1,000 and join",
        "t2_yield_solo_ns": "yield, alone",
        "t2_yield_100tasks_ns": "yield, 100 tasks",
    },
}


def compare(built, quick, tools):
    """Prints the tables and, but for a quick run, draws the chart. `tools` is what `measure.py` runs programs with."""
    echo(built, quick, tools)
    others(built, quick, tools)
    micro(built, quick, tools, "t1", "Timers as futures")
    micro(built, quick, tools, "t2", "Tasks")


def present(built, which):
    """The runtimes whose program was built: name to command."""
    commands = {name: pair[which] for name, pair in RUNTIMES.items() if pair[which]}
    return {name: line for name, line in commands.items() if os.path.exists(os.path.join(built, line.split()[0]))}


def takes_turns(names, round_):
    """Each round begins with another one, so that none is always after the same neighbour."""
    first = round_ % len(names)
    return names[first:] + names[:first]


def spread(values):
    """Median and range."""
    return statistics.median(values), min(values), max(values)


def ranged(values):
    return "{:.2f} ({:.2f} to {:.2f})".format(*spread(values))


def against_bare(commands, rounds, tools, mode, **options):
    """CPU per request of each server as multiples of the bare loop's, and the median of that."""
    costs = {name: [] for name in commands}
    for round_ in range(rounds):
        for name in takes_turns(list(commands), round_):
            with tools.server(name, command=commands[name]) as (port, process):
                costs[name].append(tools.load(mode, port, process, **options)["cpu_ns_per_request"])
    # By round: what disturbs the machine for seconds disturbs neighbours alike.
    ratios = {name: [mine / bare for mine, bare in zip(costs[name], costs[BARE])] for name in commands}
    return ratios, statistics.median(costs[BARE])


def others(built, quick, tools):
    commands = present(built, 0)
    rounds, seconds = (3, 0.5) if quick else (7, 0.6)
    columns = [against_bare(commands, rounds, tools, mode, d=seconds, **options) for mode, options in WORKLOADS.values()]
    rows = [(name, *(ranged(ratios[name]) for ratios, _ in columns)) for name in commands]
    rows[0] = (BARE, *(f"1 ({nanos:,.0f} ns)" for _, nanos in columns))
    tools.table("Other workloads, server CPU, × a bare epoll loop", ["server", *WORKLOADS], rows, f"Median and range of {rounds} rounds, as above.")


def echo(built, quick, tools):
    commands = present(built, 0)
    names = list(commands)
    rounds, seconds = (3, 0.5) if quick else (7, 0.6)
    ratios, nanos = {}, {}
    for connections in CONNECTIONS:
        found, nanos[connections] = against_bare(
            commands, rounds, tools, "pingpong", c=connections, d=seconds, w=0.2, b=int(connections == 1)
        )
        for name in names:
            ratios[name, connections] = found[name]
    rows = [(name, *(ranged(ratios[name, connections]) for connections in CONNECTIONS)) for name in names]
    rows[0] = (BARE, *(f"1 ({nanos[connections]:,.0f} ns)" for connections in CONNECTIONS))
    tools.table(
        "Server CPU per 64 B echo, × a bare epoll loop",
        ["server", *(f"{n:,} connection{'s' * (n > 1)}" for n in CONNECTIONS)],
        rows,
        f"User and system time; median and range of {rounds} rounds, the servers taking turns within each. With one connection the client "
        "stays busy, so that each echo has the server's sleep and wake in it and no sleep of the client's. A machine that does other "
        "things too widens the range; what lies within it is no finding.",
    )
    if not quick:
        figures = {name: [spread(ratios[name, connections]) for connections in CONNECTIONS] for name in names if name != BARE}
        chart.draw(os.path.join(os.path.dirname(__file__), "chart.svg"), CONNECTIONS, figures, rounds)


def micro(built, quick, tools, test, title):
    commands = present(built, 1)
    names = list(commands)
    # The million timers wait for their deadlines: once is a minute and a half.
    passes = 3 if test == "t2" and not quick else 1
    results = {name: [] for name in names}
    for round_ in range(passes):
        for name in takes_turns(names, round_):
            program, *arguments = commands[name].split()
            results[name].append(tools.samples(program, test, *arguments))
    rows = []
    for operation, words in OPERATIONS[test].items():
        cells = []
        for name in names:
            found = [run[operation] for run in results[name] if operation in run]
            cells.append(merged(found) if found else None)
        if cells[0]:
            rows.append((words, *(cell(figures, cells[0], name == OURS) for name, figures in zip(names, cells))))
    tools.table(
        f"{title}, CPU ns per operation",
        ["operation", *names],
        rows,
        f"Median and range over {passes} run{'s' * (passes > 1)} of each program in turn, {3 if quick else 5} rounds in each"
        f"{' (3 for the million)' if test == 't1' else ''}; in front, the ratio to levent: above 1.00 levent is cheaper.",
    )


def merged(found):
    """The median of the runs' medians, and the range of all their rounds."""
    medians, least, most = zip(*found)
    return statistics.median(medians), min(least), max(most)


def cell(figures, ours, is_ours):
    if not figures:
        return "–"
    middle, least, most = figures
    ratio = "" if is_ours else f"{middle / ours[0]:.2f} × : "
    return f"{ratio}{middle:,.0f} ({least:,.0f} to {most:,.0f})"
