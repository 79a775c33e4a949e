"""The shipped data set: where it comes from, what its README says of it, and what DVC says."""

import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from data import rebuild_us_cars
from tests.repository import REPOSITORY

CARS = REPOSITORY / "data" / "us_cars_1971_1990.csv"
README = (REPOSITORY / "data" / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    with CARS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def dvc_copy(tmp_path: Path) -> Path:
    """A repository of its own with the committed pointer, the file and DVC's settings."""
    (tmp_path / "data").mkdir()
    for name in (".dvc/config", ".dvcignore", f"data/{CARS.name}", f"data/{CARS.name}.dvc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    return tmp_path


def dvc_status(repository: Path) -> str:
    """What the real `dvc status` prints, kept away from this machine's own DVC settings."""
    places = {
        name: str(repository / ".dvc" / "tmp" / name.lower())
        for name in ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")
    }
    finished = subprocess.run(
        [sys.executable, "-m", "dvc", "status"],
        cwd=repository,
        env={**os.environ, **places, "DVC_NO_ANALYTICS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout


def test_the_data_set_is_rebuilt_byte_for_byte_from_the_wheel_it_comes_from(tmp_path: Path) -> None:
    rebuilt = tmp_path / "rebuilt.csv"

    assert rebuild_us_cars.main([str(rebuilt)]) == 0

    assert rebuilt.read_bytes() == CARS.read_bytes()


def test_the_rebuild_asks_for_one_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert rebuild_us_cars.main([]) == 2
    assert "usage: rebuild_us_cars.py TARGET.csv" in capsys.readouterr().err


def test_the_rebuild_refuses_a_make_it_does_not_know() -> None:
    strange = rebuild_us_cars.source_text().replace("AMGREM71", "ZZGREM71")
    with pytest.raises(ValueError, match=r"ZZGREM71 in 1971: no make is known for 'ZZ'"):
        rebuild_us_cars.rebuild(strange)


def test_the_rebuild_refuses_a_share_that_is_not_a_whole_number_of_cars() -> None:
    strange = rebuild_us_cars.source_text().replace("0.001051292819", "0.001051299")
    with pytest.raises(ValueError, match=r"AMGREM71 in 1971: 70096\.\d+ is not a whole number"):
        rebuild_us_cars.rebuild(strange)


def test_the_readme_names_the_bytes_that_are_committed() -> None:
    stored = CARS.read_bytes()

    assert hashlib.sha256(stored).hexdigest() in README
    assert hashlib.md5(stored, usedforsecurity=False).hexdigest() in README
    assert f"{len(stored):,}" in README
    assert b"\r" not in stored


def test_the_readme_counts_the_rows_the_columns_and_what_is_in_them(
    rows: list[dict[str, str]],
) -> None:
    regions = Counter(row["region"] for row in rows)

    assert f"| rows | {len(rows):,}, and a header |" in README
    assert f"| columns | {len(rows[0])}, no missing values |" in README
    assert all(value for row in rows for value in row.values())
    assert f"US {regions['US']:,} rows, EU {regions['EU']}, JP {regions['JP']}" in README
    assert f"({len({row['model_code'] for row in rows})} distinct)" in README
    assert f"({len({row['vintage_id'] for row in rows})} distinct)" in README
    assert f"({len({row['make'] for row in rows})} makes)" in README
    assert f"owner of the make ({len({row['firm_id'] for row in rows})})" in README


def test_the_readme_explains_every_column_in_the_files_order(rows: list[dict[str, str]]) -> None:
    assert re.findall(r"^\| `(\w+)` \|", README, flags=re.MULTILINE) == list(rows[0])


def test_year_and_car_id_name_a_row_and_order_the_file(rows: list[dict[str, str]]) -> None:
    identities = [(int(row["year"]), int(row["car_id"])) for row in rows]
    assert identities == sorted(set(identities))


def test_units_are_the_share_of_the_households(rows: list[dict[str, str]]) -> None:
    for row in rows:
        sold = float(row["share"]) * int(row["households_k"]) * 1000
        assert round(sold) == int(row["units"])


def test_dvc_accepts_the_pointer_beside_the_file(dvc_copy: Path) -> None:
    assert dvc_status(dvc_copy).strip() == "Data and pipelines are up to date."


def test_dvc_notices_one_changed_byte(dvc_copy: Path) -> None:
    changed = dvc_copy / "data" / CARS.name
    changed.write_bytes(CARS.read_bytes().replace(b"70096", b"70097", 1))

    assert "modified:" in dvc_status(dvc_copy)


def test_dvc_tells_nobody_what_it_does() -> None:
    assert "analytics = false" in (REPOSITORY / ".dvc" / "config").read_text(encoding="utf-8")
