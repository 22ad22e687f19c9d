#!/usr/bin/env python3
"""Draws chain.svg, the picture of a chain in README: `python3 docs/chain.py` writes it beside this file.

Only the standard library; the same bytes each time. Colours follow the reader's light or dark mode.
"""
from pathlib import Path

WIDTH, HEIGHT = 880, 290
BOX, GAP, LEFT, TOP = 100, 40, 40, 78
STYLE = """
    text { font: 14px system-ui, sans-serif; fill: #1f2328; text-anchor: middle }
    .small { font-size: 12px; fill: #59636e }
    .file { font: 12px ui-monospace, monospace }
    .box { fill: #f6f8fa; stroke: #59636e; stroke-width: 1.5 }
    .plain { fill: none; stroke: #59636e; stroke-width: 1.5; stroke-dasharray: 4 3 }
    .line { fill: none; stroke: #59636e; stroke-width: 1.5 }
    .again { fill: none; stroke: #0969da; stroke-width: 2 }
    .head { fill: #59636e }
    .headagain { fill: #0969da }
    .check { fill: #0969da; font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      text { fill: #f0f6fc }
      .small { fill: #9198a1 }
      .box { fill: #151b23; stroke: #9198a1 }
      .plain, .line { stroke: #9198a1 }
      .again { stroke: #4493f8 }
      .head { fill: #9198a1 }
      .headagain, .check { fill: #4493f8 }
    }
"""


def text(x, y, words, kind=""):
    return f'  <text x="{x}" y="{y}"' + (f' class="{kind}"' if kind else "") + f">{words}</text>"


def box(x, y, kind="box"):
    return f'  <rect x="{x}" y="{y}" width="{BOX}" height="60" rx="6" class="{kind}"/>'


def arrow(path, kind="line", head="head"):
    return f'  <path d="{path}" class="{kind}" marker-end="url(#{head})"/>'


def marker(name):
    return (
        f'  <marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
        f' markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" class="{name}"/></marker>'
    )


def picture():
    places = [LEFT + i * (BOX + GAP) for i in range(6)]
    middle = TOP + 30
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        '  <title id="title">A run is cut into segments by snapshots; anyone can run one segment again and compare</title>',
        f"  <style>{STYLE}  </style>",
        marker("head"),
        marker("headagain"),
        text(WIDTH // 2, 28, "One run, cut by the gas limit: each snapshot contains the hash of the one before it"),
    ]
    names = ["job", "1.snap", "2.snap", "3.snap", "...", "receipt.json"]
    below = ["program, input", "1.bin", "2.bin", "3.bin", "", "result, gas"]
    for i, (x, name, second) in enumerate(zip(places, names, below)):
        centre = x + BOX // 2
        if name != "...":
            lines.append(box(x, TOP, "plain" if i in (0, 5) else "box"))
        lines.append(text(centre, middle - 2, name, "file"))
        lines.append(text(centre, middle + 18, second, "small"))
        if i:
            lines.append(arrow(f"M{x - GAP + 2} {middle} H{x - 3}"))
            lines.append(text(x - GAP // 2, TOP - 10, "gas limit" if i < 5 else "the end", "small"))
    start, end = places[2] + BOX // 2, places[3] + BOX // 2
    lines += [
        arrow(f"M{start} {TOP + 62} V{TOP + 118} H{places[3] - 3}", "again", "headagain"),
        box(places[3], TOP + 88),
        text(end, TOP + 116, "3.snap", "file"),
        text(end, TOP + 136, "3.bin", "small"),
        arrow(f"M{end} {TOP + 86} V{TOP + 64}", "again", "headagain"),
        text(end + 58, TOP + 79, "same bytes?", "check"),
        text(WIDTH // 2, TOP + 180, "Anyone takes snapshot 2, runs one segment on any machine, and compares with snapshot 3"),
        text(WIDTH // 2, TOP + 200, "stepmark verify does this for all segments, in parallel", "small"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("chain.svg").write_text(picture(), encoding="utf-8", newline="\n")
