"""The measurement `growth` of `bench/measure`: what one costs as there are more of them. Standard library only."""

import statistics

CONNECTIONS = (1, 16, 256, 2_000, 8_000, 18_000)
TIMERS = tuple(10**power for power in range(2, 8))
TASKS = tuple(10**power for power in range(2, 7))


def growth(quick, tools):
    """Prints the tables. `tools` is what `measure.py` runs programs with."""
    connections(quick, tools)
    micro(
        tools,
        "grow-timers",
        TIMERS[:-1] if quick else TIMERS,
        "Timers as futures, CPU ns each, by how many there are",
        {"grow_arm_ns": "arm", "grow_cancel_ns": "cancel", "grow_expire_ns": "expire"},
    )
    micro(
        tools,
        "grow-tasks",
        TASKS,
        "Tasks, CPU ns each, by how many there are",
        {"grow_spawn_ns": "spawn, run and join", "grow_yield_ns": "yield"},
    )


def connections(quick, tools):
    names = ["echo-epoll", "echo-ours", "echo-ours-reactor"]
    rounds, seconds = (3, 0.5) if quick else (5, 1.0)
    rows = []
    for count in CONNECTIONS:
        costs = {name: [] for name in names}
        for round_ in range(rounds):
            for name in names[round_ % 3 :] + names[: round_ % 3]:
                with tools.server(name) as (port, process):
                    result = tools.load("pingpong", port, process, c=count, d=seconds, w=0.3 + count / 20_000, b=int(count == 1))
                costs[name].append(result["cpu_ns_per_request"])
        bare = costs["echo-epoll"]
        cells = [f"{statistics.median(bare):,.0f}"]
        for name in names[1:]:
            ratios = sorted(mine / other for mine, other in zip(costs[name], bare))
            cells.append(f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
        rows.append((f"{count:,}", *cells))
    tools.table(
        "Server CPU per 64 B echo, by the number of connections, all of them busy",
        ["connections", "bare epoll loop, ns", "tasks, × bare", "callbacks, × bare"],
        rows,
        f"{rounds} rounds in turn; median and range.",
    )


def micro(tools, test, counts, title, columns):
    rows = []
    for count in counts:
        results = tools.micro("micro-ours", test, count)
        cells = [f"{results[name]:.0f}" if name in results else "–" for name in columns]
        rows.append((f"{count:,}", *cells))
    tools.table(title, ["how many", *columns.values()], rows)
