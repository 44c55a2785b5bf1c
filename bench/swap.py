"""The measurement `swap` of `bench/measure`: programs of other runtimes' users, on levent and on what they were written for. Standard library only."""

import os

import compare


def swap(built, quick, tools):
    """Prints the table. `tools` is what `measure.py` runs programs with."""
    rounds = 3 if quick else 9
    rows = []
    if os.path.exists(os.path.join(built, "pair-smol")):
        ratios = [tools.micro("pair-ours", 50_000, 3)["pair_ns"] / tools.micro("pair-smol", 50_000, 3)["pair_ns"] for _ in range(rounds)]
        rows.append(("64 B there and back between two tasks, CPU", "levent-smol / smol", compare.ranged(ratios)))
        calls = [f"{sum(tools.calls_per_trip(name).values()):.1f}" for name in ("pair-ours", "pair-smol")]
        rows.append(("the same, system calls per round trip", "levent-smol, smol", ", ".join(calls)))
    if os.path.exists(os.path.join(built, "http-tokio")):
        rows.append(("hyper, 64 keep-alive connections, CPU per request", "levent / tokio", compare.ranged(servers("http", "http-ours", "http-tokio", rounds, tools))))
    rows.append(
        (
            "echo by tasks outside our loops, 64 connections, CPU",
            "outside / at home",
            compare.ranged(servers("pingpong", "echo-ours-foreign", "echo-ours", rounds, tools)),
        )
    )
    tools.table("In the place of others", ["work", "what", "ratio"], rows, f"Median and range of {rounds} rounds, the programs taking turns.")


def servers(mode, ours, theirs, rounds, tools):
    ratios = []
    for round_ in range(rounds):
        costs = {}
        for name in compare.takes_turns([ours, theirs], round_):
            with tools.server(name, command=f"{name} {{port}}") as (port, process):
                costs[name] = tools.load(mode, port, process, c=64, d=0.6, w=0.2)["cpu_ns_per_request"]
        ratios.append(costs[ours] / costs[theirs])
    return ratios

