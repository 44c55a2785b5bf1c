"""The chart of `bench/measure peers`: a dot for the median of each runtime and a line for the range of its rounds, one panel for each
number of connections. Plain SVG on white, so that it is the same on every page."""

from xml.sax.saxutils import escape

NAMES, PANEL, ROW, TOP = 170, 220, 24, 74
# Beyond this a line ends in an arrow: one disturbed round must not squeeze the others together.
MOST = 2.5
OURS, THEIRS, PALE, INK = "#c2410c", "#475569", "#cbd5e1", "#0f172a"


def draw(path, connections, figures, rounds):
    """Writes the chart. `figures` is runtime to (median, least, most) for each number of connections, × the bare loop."""
    low = min(0.9, *(least for row in figures.values() for _, least, _ in row))
    low = max(0.5, int(low * 10) / 10)
    width, height = NAMES + PANEL * len(connections) + 20, TOP + ROW * len(figures) + 52

    def place(panel, value):
        inside = (min(max(value, low), MOST) - low) / (MOST - low)
        return NAMES + panel * PANEL + 10 + inside * (PANEL - 70)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape('Server CPU per 64 B echo, as a multiple of a bare epoll loop')}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(16, 24, "Server CPU per 64 B echo, × a bare epoll loop (less is better)", size=15, weight="bold"),
        text(16, height - 12, f"Dot: median of {rounds} interleaved rounds. Line: all rounds, which other work on the machine widens.", fill=THEIRS),
    ]
    bottom = TOP + ROW * len(figures)
    for panel, count in enumerate(connections):
        parts.append(text(place(panel, low), 52, f"{count:,} connection{'s' * (count > 1)}", weight="bold"))
        for mark in (0.5, 1.0, 1.5, 2.0, 2.5):
            if mark >= low:
                x = place(panel, mark)
                parts.append(line(x, TOP - 12, x, bottom, INK if mark == 1.0 else PALE))
                parts.append(text(x, bottom + 16, f"{mark:.1f}", anchor="middle"))
    for index, (name, row) in enumerate(figures.items()):
        y = TOP + ROW * index + ROW / 2 - 6
        ours = name.startswith("levent")
        colour, weight = (OURS, "bold") if ours else (THEIRS, "normal")
        parts.append(text(16, y + 4, name, fill=colour, weight=weight))
        for panel, (middle, least, most) in enumerate(row):
            parts.append(line(place(panel, least), y, place(panel, most), y, colour, 2))
            if most > MOST:
                x = place(panel, MOST)
                parts.append(f'<path d="M{x:.1f} {y - 4:.1f} l6 4 l-6 4 z" fill="{colour}"/>')
            parts.append(f'<circle cx="{place(panel, middle):.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>')
            parts.append(text(NAMES + (panel + 1) * PANEL - 16, y + 4, f"{middle:.2f}", anchor="end", fill=colour, weight=weight))
    parts.append("</svg>")
    with open(path, "w") as file:
        file.write("\n".join(parts) + "\n")


def text(x, y, words, fill=INK, anchor="start", weight="normal", size=12):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}">'
        f"{escape(words)}</text>"
    )


def line(x1, y1, x2, y2, colour, thick=1):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{thick}"/>'
