"""Bodies that come compressed, or begin with a mark."""

from __future__ import annotations

import gzip

import orjson

from app.settings import Settings
from tests.app.http.routes.running import AMC, adopt, running, serve_champion

BODY = orjson.dumps({"model": "car-price", "row": AMC})
JSON = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}
CSV = (
    b"year,car_id,vintage_id,hpwt,mpd,mpg,space,air,region,price\n"
    b"1971,129,AMGREM71,0.528997,1.888146,1.697,1.1502,0,US,4.935802\n"
)


def test_a_body_is_unpacked_within_its_bound_or_refused_by_name(sqlite_settings: Settings) -> None:
    settings = sqlite_settings.model_copy(update={"body_bytes_max": 4096})
    with running(settings) as client:
        adopt(client)
        serve_champion(client)

        def predict(content: bytes, **headers: str) -> tuple[int, str]:
            answer = client.post("/predictions", content=content, headers={**JSON, **headers})
            return answer.status_code, answer.text

        packed = gzip.compress(BODY)
        for encoding in ("gzip", "x-gzip", "GZIP"):
            assert predict(packed, **{"Content-Encoding": encoding})[0] == 200
        assert predict(gzip.compress(BODY[:50]) + gzip.compress(BODY[50:]), **GZIP)[0] == 200
        assert predict(BODY, **{"Content-Encoding": "identity"})[0] == 200
        assert predict(b"\xef\xbb\xbf" + BODY)[0] == 200, "a byte order mark is no part of JSON"
        for content, headers, status, said in (
            (
                BODY,
                {"Content-Encoding": "br"},
                415,
                "encoding 'br' is not taken; send gzip",
            ),
            (BODY, GZIP, 422, "is not the gzip that its content encoding says"),
            (packed[:-9], GZIP, 422, "ends before its end; send it again, whole"),
            (gzip.compress(b" " * 10_000_000), GZIP, 413, "more than 4096 bytes"),
        ):
            assert predict(content, **headers)[0] == status
            assert said in predict(content, **headers)[1]


def test_the_same_file_compressed_is_the_same_file(sqlite_settings: Settings) -> None:
    with running(sqlite_settings) as client:
        adopt(client)

        def upload(content: bytes, **headers: str) -> tuple[int, int]:
            path = "/models/car-price/datasets"
            sent = {"Content-Type": "text/csv", **headers}
            body = client.post(path, content=content, headers=sent).json()
            return body["accepted"], body["already_known"]

        assert upload(CSV) == (1, 0)
        assert upload(gzip.compress(CSV), **GZIP) == (0, 1)
