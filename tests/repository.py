"""Where the repository stands on this machine: the one place that counts the folders up to it."""

from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[1]
