"""Every package that is pinned comes under a licence that was allowed, or looked at and said."""

from __future__ import annotations

import json
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata, version
from typing import Any, Final, cast

import pytest

from requirements.bill import LOCK, completed, needed_by
from requirements.licences import Licences, LicenceUnknown
from tests.docs.markdown import read

LICENCES: Final = Licences.written()
SHIPPED: Final = needed_by(LOCK.read_text(encoding="utf-8"))
PINNED: Final = {*SHIPPED, *needed_by(LOCK.with_name("dev.txt").read_text(encoding="utf-8"))}
ELSEWHERE: Final = {"httpx2-jsfetch", "pywin32", "waitress"}  # pinned for other systems than ours
PAGE: Final = read("docs/dependencies.md")


def said(package: str, **fields: str) -> str:
    """The expression of a package whose metadata holds these fields."""
    made = Message()
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    return LICENCES.of(package, cast("Any", made))


def brought_by(package: str) -> set[str]:
    """The requirements of ours that bring `package`, itself included."""
    found: set[str] = set()
    looked_at: set[str] = set()
    left = [package]
    while left:
        each = left.pop()
        looked_at.add(each)
        for by in SHIPPED[each] - looked_at:
            if by.startswith("-r "):
                found.add(each)
            else:
                left.append(by)
    return found


def test_every_pinned_package_comes_under_a_licence_that_was_allowed_or_looked_at() -> None:
    objections, elsewhere = [], set()
    for package in sorted(PINNED):
        try:
            objections.append(LICENCES.objection(package, LICENCES.of(package, metadata(package))))
        except PackageNotFoundError:
            elsewhere.add(package)

    assert [each for each in objections if each is not None] == []
    assert elsewhere <= ELSEWHERE, "what runs here is installed, and was looked at"


def test_a_licence_that_nobody_allowed_is_refused_by_name_with_the_way_out() -> None:
    expression = said("newcomer", License_Expression="MIT AND AGPL-3.0-only")
    assert LICENCES.objection("newcomer", expression) == (
        "newcomer comes under MIT AND AGPL-3.0-only, which is not allowed. Do without it, or look "
        "at it: [looked-at] in requirements/licences.toml, and how it is used in "
        "docs/dependencies.md."
    )
    # What was looked at for one package is not allowed for another, nor under other words.
    assert LICENCES.objection("newcomer", said("newcomer", License="LGPL-3.0-only")) is not None
    changed = said("psycopg", License_Expression="AGPL-3.0-only")
    assert LICENCES.objection("psycopg", changed) is not None


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ({"License_Expression": "Apache-2.0", "License": "MIT"}, "Apache-2.0"),
        ({"License": "New BSD"}, "BSD-3-Clause"),
        ({"License": "MIT AND MPL-2.0"}, "MIT AND MPL-2.0"),
        ({"License": "a text", "Classifier": "License :: X :: BSD License"}, "LicenseRef-BSD"),
    ],
)
def test_what_metadata_says_is_read_as_an_spdx_expression(
    fields: dict[str, str], expression: str
) -> None:
    assert said("newcomer", **fields) == expression


def test_a_licence_is_read_where_another_library_has_taken_over_reading_metadata() -> None:
    import importlib_metadata  # it puts itself first, as it does where MLflow is loaded

    assert LICENCES.of("huey", cast("Any", importlib_metadata.metadata("huey"))) == "MIT"
    assert LICENCES.of("huey", metadata("huey")) == "MIT"


@pytest.mark.parametrize("words", ["", "see the file", "GPL"])
def test_metadata_that_says_nothing_clear_asks_for_somebody_to_read_the_package(words: str) -> None:
    with pytest.raises(LicenceUnknown, match=r"newcomer: .* write its SPDX expression into"):
        said("newcomer", License=words)


def test_nothing_is_read_or_looked_at_that_is_not_needed() -> None:
    for package in LICENCES.read:
        assert package in PINNED
        assert LICENCES.said(metadata(package)) is None, f"{package} says it now"
    for package, found in LICENCES.looked_at.items():
        assert LICENCES.of(package, metadata(package)) == found.expression
        assert found.taken in found.expression.split(" OR ")


@pytest.mark.parametrize("package", LICENCES.looked_at)
def test_what_asks_for_more_than_a_notice_comes_one_way_and_the_page_says_how_it_is_used(
    package: str,
) -> None:
    found = LICENCES.looked_at[package]
    assert brought_by(package) == {found.through}
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{package}` "))
    assert f"| {found.expression} | {found.taken} |" in line


def test_the_bill_of_materials_names_every_pin_with_hashes_licence_and_who_needs_it() -> None:
    pinned = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [
            {
                "name": name,
                "version": version(name) if name not in ELSEWHERE else "1",
                "purl": f"pkg:pypi/{name}@1",
                "bom-ref": f"line {number}",
                "description": "line 7: --hash",
                "externalReferences": [{"url": "somewhere", "hashes": [{"alg": "SHA-256"}]}],
            }
            for number, name in enumerate(SHIPPED)
        ],
    }

    bill = completed(pinned, LOCK.read_text(encoding="utf-8"), LICENCES)

    assert {each["name"] for each in bill["components"]} == set(SHIPPED)
    assert "somewhere" not in json.dumps(bill)
    by_name = {each["name"]: each for each in bill["components"]}
    assert by_name["grandalf"]["licenses"][0]["expression"] == "GPL-2.0-only OR EPL-1.0"
    assert {name for name in SHIPPED if "licenses" not in by_name[name]} <= ELSEWHERE
    assert all(each["externalReferences"][0]["hashes"] for each in by_name.values())
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert "pkg:pypi/grandalf@1" in needs["pkg:pypi/dvc@1"]
    assert "pkg:pypi/dvc@1" in needs["root"]
    assert "pkg:pypi/grandalf@1" not in needs["root"]
    assert set(needs) == {"root", *(each["bom-ref"] for each in by_name.values())}


def test_the_bill_of_materials_takes_no_licence_of_another_version_than_the_pinned_one() -> None:
    other = {"name": "grandalf", "version": "0.0", "purl": "pkg:pypi/grandalf@0.0"}
    with pytest.raises(LicenceUnknown, match=r"grandalf: 0\.0 is pinned and .* Run make"):
        completed({"components": [other]}, "", LICENCES)
