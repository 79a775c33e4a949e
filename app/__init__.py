"""The shell: everything with an effect, from HTTP and the database to training and the clock."""

from typing import Final

VERSION: Final = "0.1.0"
