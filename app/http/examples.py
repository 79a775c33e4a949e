"""Values that examples in the OpenAPI document have in common."""

from __future__ import annotations

from typing import Final

from pydantic import JsonValue

ROW: Final[dict[str, JsonValue]] = {
    "year": 1976,
    "car_id": 129,
    "vintage_id": "AMGREM71",
    "hpwt": 0.53,
    "mpd": 1.89,
    "mpg": 1.7,
    "space": 1.15,
    "air": 0,
    "region": "US",
}
ID: Final = "0198f2a4-6d1e-7c3b-9a55-3f0f5f3d9b21"
SHA256: Final = "9f2c41aa" * 8
TIME: Final = "1977-01-01T00:00:00.000000Z"
