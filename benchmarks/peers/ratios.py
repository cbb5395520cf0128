"""Prints our rows beside the peers' and the ratios. Usage: ratios.py FOLDER

FOLDER holds files SUITE.WAY.ROUND (ways ours, theirs, tuned) of rows: name, p50_us, and
steps_per_s where the rows are rates; JSON lines, or one object whose "rows" they are. A name
counts once a round (its last row); rows that only one side has are listed without a ratio."""

import collections
import json
import pathlib
import statistics
import sys

WAYS = ("ours", "theirs", "tuned")
# Rows of several forms, of which PyTorch may bring its best: our name -> the names of the forms.
BEST = {
    f"bilstm-128 {what}, 64 packed": [
        f"bilstm-128 {what}, 64 {form}" for form in ("packed", "flipped")
    ]
    for what in ("forward", "forward + backward")
}


def rows_of(path):
    """The timed rows of one file, by name."""
    text = path.read_text()
    try:
        rows = json.loads(text)["rows"]
    except (ValueError, KeyError, TypeError):
        rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {row["name"]: row for row in rows if "p50_us" in row}


def collect(folder):
    """{suite: {way: {name: [row of each round]}}}"""
    found = collections.defaultdict(lambda: {way: collections.defaultdict(list) for way in WAYS})
    for path in sorted(pathlib.Path(folder).iterdir()):
        part = path.name.split(".")
        if len(part) == 3 and part[1] in WAYS and part[2].isdigit():
            for name, row in rows_of(path).items():
                found[part[0]][part[1]][name].append(row)
    return found


def value(rows, rate):
    """Median over rounds; None where there is no row."""
    return (
        statistics.median(row["steps_per_s" if rate else "p50_us"] for row in rows)
        if rows
        else None
    )


def compare(name, ways):
    """Ours, theirs, tuned in one unit, which is returned first."""
    sides = []
    for way in WAYS:
        forms = (name,) if way == "ours" else BEST.get(name, (name,))
        sides.append([ways[way][form] for form in forms if ways[way][form]])
    rate = all("steps_per_s" in row for forms in sides for rows in forms for row in rows)
    pick = max if rate else min
    return rate, [pick((value(rows, rate) for rows in forms), default=None) for forms in sides]


def text(number):
    return "-" if number is None else f"{number:,.0f}" if number >= 1000 else f"{number:.1f}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    line = "{:<41} {:>8} {:>12} {:>12} {:>12} {:>9} {:>9}"
    for suite, ways in collect(sys.argv[1]).items():
        print(line.format(suite, "unit", *WAYS, "ratio", "to tuned"))
        for name in dict.fromkeys(name for way in WAYS for name in list(ways[way])):
            rate, numbers = compare(name, ways)
            ratios = []
            for other in numbers[1:]:
                both = numbers[0] is not None and other is not None
                ratios.append(
                    f"{numbers[0] / other if rate else other / numbers[0]:.2f}" if both else "-"
                )
            print(line.format(name, "steps/s" if rate else "us", *map(text, numbers), *ratios))
        print()


if __name__ == "__main__":
    main()
