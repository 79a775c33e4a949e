"""Under which licence a package comes: as its metadata says, read and judged by licences.toml."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageMetadata
from pathlib import Path
from typing import Final

_FILE: Final = Path(__file__).with_name("licences.toml")
_OPERATORS: Final = frozenset({"AND", "OR", "WITH"})


class LicenceUnknown(Exception):
    """A package's metadata does not say its licence in words that are known."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A package whose licence asks for more than a notice."""

    expression: str  # SPDX, as its metadata says
    taken: str  # the part of it that it is used under
    through: str  # the one package of runtime.in that brings it


@dataclass(frozen=True, slots=True)
class Licences:
    """What licences.toml holds."""

    allowed: frozenset[str]  # SPDX ids
    words: dict[str, str]  # of metadata -> SPDX expression
    read: dict[str, str]  # package -> SPDX expression, where metadata is not clear
    looked_at: dict[str, LookedAt]  # package -> what was found

    @classmethod
    def written(cls) -> Licences:
        """As the file says."""
        held = tomllib.loads(_FILE.read_text(encoding="utf-8"))
        looked_at = {name: LookedAt(**found) for name, found in held["looked-at"].items()}
        return cls(frozenset(held["allowed"]), held["words"], held["read"], looked_at)

    def of(self, package: str, metadata: PackageMetadata) -> str:
        """The SPDX expression of `package` (its normal name).

        Raises:
            LicenceUnknown: it has none, and nobody has read one.
        """
        expression = self.said(metadata) or self.read.get(package)
        if expression is None:
            raise LicenceUnknown(
                f"{package}: its metadata names no licence that is known. Read the package, and "
                "write its SPDX expression into [read] of requirements/licences.toml."
            )
        return expression

    def said(self, metadata: PackageMetadata) -> str | None:
        """The SPDX expression a package's metadata gives, by its field or its one classifier."""
        # Where somebody imported `importlib_metadata`, what is missing raises unless asked for so.
        expression, field, classifiers = (
            [str(each) for each in metadata.get_all(name) or ()]
            for name in ("License-Expression", "License", "Classifier")
        )
        if expression:
            return expression[0]
        named = [each.rpartition(" :: ")[2] for each in classifiers if "License :: " in each]
        one_way = [*field, *named] if len(named) == 1 else field
        for words in map(str.strip, one_way):
            if words in self.words:
                return self.words[words]
            if words and ids(words) <= self.allowed:
                return words
        known = {found.expression for found in self.looked_at.values()}
        return next((words for words in field if words in known), None)

    def objection(self, package: str, expression: str) -> str | None:
        """Why `package` may not come under `expression`; None: it may."""
        if ids(expression) <= self.allowed:
            return None
        found = self.looked_at.get(package)
        if found is not None and found.expression == expression:
            return None
        return (
            f"{package} comes under {expression}, which is not allowed. Do without it, or look at "
            "it: [looked-at] in requirements/licences.toml, and how it is used in "
            "docs/dependencies.md."
        )


def ids(expression: str) -> frozenset[str]:
    """The licences in an SPDX expression.

    >>> sorted(ids("MPL-2.0 AND (Apache-2.0 OR MIT)"))
    ['Apache-2.0', 'MIT', 'MPL-2.0']
    """
    return frozenset(re.findall(r"[^\s()]+", expression)) - _OPERATORS


def normal(name: str) -> str:
    """A package's name as locks and registries compare it.

    >>> normal("Durable_Rules")
    'durable-rules'
    """
    return re.sub(r"[-_.]+", "-", name).lower()
