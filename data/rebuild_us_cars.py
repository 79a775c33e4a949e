"""Rebuilds data/us_cars_1971_1990.csv, byte for byte, from the `pyblp` wheel it comes from.

    python data/rebuild_us_cars.py rebuilt.csv

The source is `data/blp_products.csv` inside pyblp 1.3.0 (MIT licence): the automobile data of
Berry, Levinsohn and Pakes (Econometrica 63, 1995). data/README.md says what each column means.
Only this program and its test use pyblp, and they read the file without importing the package.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

COLUMNS = (
    "year",
    "car_id",
    "model_code",
    "vintage_id",
    "make",
    "firm_id",
    "region",
    "price",
    "hpwt",
    "air",
    "mpd",
    "mpg",
    "space",
    "share",
    "households_k",
    "units",
)

# US households in thousands, by model year: for each year the only integer between 60,000 and
# 97,000 with which every car's share of the market is a whole number of cars sold.
HOUSEHOLDS_K = {
    1971: 66_676,
    1972: 68_251,
    1973: 69_859,
    1974: 71_763,
    1975: 72_867,
    1976: 74_142,
    1977: 76_030,
    1978: 77_330,
    1979: 80_776,
    1980: 82_368,
    1981: 83_527,
    1982: 83_918,
    1983: 85_290,
    1984: 86_789,
    1985: 88_458,
    1986: 89_479,
    1987: 91_124,
    1988: 92_830,
    1989: 93_347,
    1990: 94_312,
}

# The first two letters of a model's code, decoded by us.
MAKES = {
    "AC": "Acura",
    "AD": "Audi",
    "AM": "AMC",
    "AR": "Alfa Romeo",
    "BK": "Buick",
    "BW": "BMW",
    "CD": "Cadillac",
    "CH": "Chrysler",
    "CP": "Capri",
    "CR": "Chrysler",
    "CV": "Chevrolet",
    "DG": "Dodge",
    "DT": "Datsun/Nissan",
    "EA": "Eagle",
    "EG": "Eagle",
    "FD": "Ford",
    "FT": "Fiat",
    "GE": "Geo",
    "GO": "Geo",
    "HD": "Honda",
    "HN": "Honda",
    "HY": "Hyundai",
    "IM": "Imperial",
    "IN": "Infiniti",
    "IS": "Isuzu",
    "JA": "Jaguar",
    "JG": "Jaguar",
    "LC": "Lincoln",
    "LN": "Lincoln",
    "LX": "Lexus",
    "MB": "Mercedes-Benz",
    "MC": "Mercury",
    "MT": "Mitsubishi",
    "MZ": "Mazda",
    "NI": "Datsun/Nissan",
    "OD": "Oldsmobile",
    "OP": "Opel",
    "PG": "Peugeot",
    "PL": "Plymouth",
    "PS": "Porsche",
    "PT": "Pontiac",
    "RN": "Renault",
    "SA": "Saab",
    "SB": "Subaru",
    "TY": "Toyota",
    "VV": "Volvo",
    "VW": "Volkswagen",
    "YG": "Yugo",
    "YU": "Yugo",
}

# A share times the households misses the whole number only by the source's twelve decimals.
UNITS_SLACK = 0.001


def main(arguments: list[str]) -> int:
    """Write the rebuilt file to the one path in `arguments`; the exit status."""
    if len(arguments) != 1:
        print(f"usage: {Path(__file__).name} TARGET.csv", file=sys.stderr)
        return 2
    Path(arguments[0]).write_bytes(rebuild(source_text()))
    return 0


def rebuild(source: str) -> bytes:
    """The data set as UTF-8 CSV with `\\n` line ends, sorted by year and car_id.

    `source` is the text of pyblp's blp_products.csv. Raises ValueError naming the car and the
    figure when a code of a make is unknown or a market share is not a whole number of cars.
    """
    rows = sorted(_rows(source), key=lambda row: (int(row["year"]), int(row["car_id"])))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def source_text() -> str:
    """The text of blp_products.csv in the installed pyblp wheel, found without importing it."""
    found = importlib.util.find_spec("pyblp")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "pyblp is not installed; `make test` installs requirements/dev.txt"
        )
    return (Path(found.origin).parent / "data" / "blp_products.csv").read_text(encoding="utf-8")


def _rows(source: str) -> Iterator[Mapping[str, str]]:
    for car in csv.DictReader(io.StringIO(source)):
        year, vintage = int(car["market_ids"]), car["clustering_ids"]
        households_k = HOUSEHOLDS_K[year]
        sold = float(car["shares"]) * households_k * 1000
        if abs(sold - round(sold)) > UNITS_SLACK:
            raise ValueError(f"{vintage} in {year}: {sold} is not a whole number of cars")
        if vintage[:2] not in MAKES:
            raise ValueError(f"{vintage} in {year}: no make is known for {vintage[:2]!r}")
        yield {
            "year": str(year),
            "car_id": car["car_ids"],
            "model_code": vintage[:-2],  # the rest is the year its design appeared
            "vintage_id": vintage,
            "make": MAKES[vintage[:2]],
            "firm_id": car["firm_ids"],
            "region": car["region"],
            "price": _rounded(car["prices"], 6),
            "hpwt": _rounded(car["hpwt"], 6),
            "air": car["air"],
            "mpd": _rounded(car["mpd"], 6),
            "mpg": _rounded(car["mpg"], 4),
            "space": _rounded(car["space"], 6),
            "share": str(float(car["shares"])),
            "households_k": str(households_k),
            "units": str(round(sold)),
        }


def _rounded(number: str, decimals: int) -> str:
    """`number` to `decimals` places, written as the shortest text that reads back the same."""
    return str(round(float(number), decimals))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
