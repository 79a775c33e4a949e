"""The ledger as others check it: checkpoints, proofs, tiles, hashed bytes, receipts.

The layouts are C2SP's (tlog-checkpoint, tlog-tiles); `docs/bundle.md` says how to verify.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from app.http.documentation import refusals
from app.http.queries import Here, known_query_only
from app.ledger.tree import LEVEL_MAX, TILE_HASHES, TILE_HEIGHT, StoredTree, read_head
from app.process import Process
from app.proof import receipts
from domain.canonical import INTEGER_MAX, leaf_hash
from domain.errors import RequestInvalid, UnknownThing, WhyledgerError

router = APIRouter(tags=["ledger"], dependencies=[Depends(known_query_only)])
_LOG: Final = logging.getLogger("whyledger.receipts")
_NOTE: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_MOMENT: Final = "no-cache"
# tlog-tiles: x001/x234/067, and .p/17 behind it for a tile that is not full; plain digits too
_TILE: Final = re.compile(r"((?:x\d{3}/){0,5}\d{3}|\d{1,15})(?:\.p/([1-9]\d{0,2}))?")
PREFER_HEADER: Final = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "`receipt`: each entry comes with its leaf hash, proof and signed checkpoint",
}
Size = Annotated[int | None, Query(ge=1, le=INTEGER_MAX, description="entries; default: all")]


class InclusionProof(BaseModel):
    """The way from an entry to the root of a tree; hashes are 64 hex digits."""

    position: int
    size: int = Field(description="entries in the tree")
    leaf_hash: str = Field(description="SHA-256 of 0x00 and the entry's bytes")
    root: str
    proof: list[str] = Field(description="from the leaf to the root, RFC 9162, 2.1.3")


class ConsistencyProof(BaseModel):
    """That one tree extends another; hashes are 64 hex digits."""

    from_size: int
    to_size: int
    from_root: str
    to_root: str
    proof: list[str] = Field(description="RFC 9162, 2.1.4")


class AnchorAnswer(BaseModel):
    """A copy of checkpoints outside."""

    anchor: str
    kept_size: int = Field(description="entries under the newest checkpoint it keeps")
    kept_at: str | None
    waiting_size: int | None = Field(description="entries under the one it should keep")
    failures: int = Field(description="in a row")
    last_error: str | None


class SigningAnswer(BaseModel):
    """How signing and its copies outside are doing."""

    size: int = Field(description="entries in the ledger")
    verifier_key: str = Field(description="keep it elsewhere: with another key anybody may sign")
    signed_size: int = Field(description="entries under the newest checkpoint")
    signed_at: str | None
    refusal: str | None = Field(description="why nothing is signed any more")
    anchors: list[AnchorAnswer]


@router.get(
    "/ledger/checkpoint",
    summary="Take the newest signed checkpoint",
    response_class=Response,
    responses=refusals(404, 422, 503) | {200: {"content": {"text/plain": {}}}},
)
def read_checkpoint(
    here: Here,
    new: Annotated[bool, Query(description="sign one now, over all that is committed")] = False,
) -> Response:
    """A C2SP signed note. Keep a copy elsewhere: from it anybody finds what was changed since."""
    signed = here.checkpoints.sign() if new else here.checkpoints.latest()
    return Response(signed.note, 200, {"Cache-Control": _MOMENT}, _NOTE)


@router.get("/ledger/signing", summary="See how signing is doing", responses=refusals(422, 503))
def read_signing(here: Here) -> SigningAnswer:
    """The verifier key, how far is signed, and every anchor with its last error."""
    status = here.checkpoints.status()
    return SigningAnswer(
        size=here.ledger.size(),
        verifier_key=status.verifier_key,
        signed_size=status.signed_size,
        signed_at=status.signed_at,
        refusal=status.refusal,
        anchors=[
            AnchorAnswer(
                anchor=each.anchor,
                kept_size=each.kept_size,
                kept_at=each.kept_at,
                waiting_size=each.waiting_size,
                failures=each.failures,
                last_error=each.last_error,
            )
            for each in status.anchors
        ],
    )


@router.get(
    "/ledger/proofs/inclusion",
    summary="Prove that an entry is in the ledger",
    responses=refusals(404, 422, 503),
)
def read_inclusion(
    here: Here,
    position: Annotated[int, Query(ge=0, le=INTEGER_MAX)],
    size: Size = None,
) -> InclusionProof:
    """Compare `root` with the one in a checkpoint of this size, never with this answer alone."""
    with here.ledger.connect() as connection:
        tree = StoredTree(connection, _size(size, read_head(connection).size))
        proof = tree.inclusion(position)
        return InclusionProof(
            position=position,
            size=tree.size,
            leaf_hash=tree.node(0, position).hex(),
            root=tree.root().hex(),
            proof=[each.hex() for each in proof],
        )


@router.get(
    "/ledger/proofs/consistency",
    summary="Prove that the ledger only grew",
    responses=refusals(404, 422, 503),
)
def read_consistency(
    here: Here,
    earlier: Annotated[int, Query(alias="from", ge=1, le=INTEGER_MAX, description="entries")],
    later: Annotated[int | None, Query(alias="to", ge=1, le=INTEGER_MAX)] = None,
) -> ConsistencyProof:
    """From size 0 there is nothing to prove: every tree extends the empty one."""
    with here.ledger.connect() as connection:
        tree = StoredTree(connection, _size(later, read_head(connection).size))
        proof = tree.consistency(earlier)
        return ConsistencyProof(
            from_size=earlier,
            to_size=tree.size,
            from_root=StoredTree(connection, earlier).root().hex(),
            to_root=tree.root().hex(),
            proof=[each.hex() for each in proof],
        )


@router.get(
    "/ledger/tiles/{level}/{index:path}",
    summary="Take a tile of the tree",
    response_class=Response,
    responses=refusals(404, 422, 503) | {200: {"content": {_BYTES: {}}}},
)
def read_tile(
    here: Here,
    level: Annotated[int, Path(ge=0, le=LEVEL_MAX)],
    index: Annotated[str, Path(description="7, x001/234, or x001/234.p/17 for its first 17")],
) -> Response:
    """256 hashes of 32 bytes; level 0 holds leaf hashes. Immutable once it is full."""
    matched = _TILE.fullmatch(index)
    if matched is None:
        raise UnknownThing(f"{index[:80]!r} is no tile. Write 7, x001/234 or x001/234.p/17.")
    number = int(matched[1].replace("x", "").replace("/", ""))
    width = int(matched[2]) if matched[2] else TILE_HASHES
    # the size of the smallest tree in which the tile is that wide
    size = (number * TILE_HASHES + min(width, TILE_HASHES)) << TILE_HEIGHT * level
    with here.ledger.connect() as connection:
        head = read_head(connection).size
        if width > TILE_HASHES or size > head:
            raise UnknownThing(
                f"a ledger of {head} entries has no tile {level}/{index}: that wide it is with "
                f"{size} entries."
            )
        content = StoredTree(connection, size).tile(level, number)
    return Response(content, 200, {"Cache-Control": _FOR_EVER}, _BYTES)


@router.get(
    "/ledger/events/{position}",
    summary="Take an entry's hashed bytes, or its receipt",
    response_class=Response,
    responses=refusals(404, 422, 503) | {200: {"content": {"application/json": {}}}},
)
def read_event(
    here: Here,
    position: Annotated[int, Path(ge=0, le=INTEGER_MAX)],
    receipt: Annotated[bool, Query(description="with the proof and checkpoint beside it")] = False,
) -> Response:
    """The canonical bytes as stored: SHA-256 of 0x00 and this body is the leaf hash.

    With `receipt`, an object of `envelope` and `receipt` (position, leaf hash, proof, checkpoint).
    """
    stored = here.ledger.stored_bytes(position, position)
    if not stored:
        raise UnknownThing(f"the ledger has no entry {position}. Its size is {here.ledger.size()}.")
    content = bytes(stored[0])
    headers = {"Cache-Control": _FOR_EVER, "Leaf-Hash": leaf_hash(content).hex()}
    if receipt:
        # The stored bytes are JSON, and stand in the answer as they are.
        proved = orjson.dumps(receipt_of(here, position))
        content = b'{"envelope":' + content + b',"receipt":' + proved + b"}"
    return Response(content, 200, headers, "application/json")


def wants_receipts(request: Request) -> bool:
    """Whether the client asks for a receipt with each entry: `Prefer: receipt`."""
    return "receipt" in {part.strip() for part in request.headers.get("prefer", "").split(",")}


def receipt_of(here: Process, position: int) -> dict[str, Any]:
    """The receipt of the entry at `position` as JSON, for any answer that is asked for one."""
    return receipts.receipt(here.ledger, here.checkpoints, position).as_json()


def receipts_of(here: Process, positions: Sequence[int]) -> list[dict[str, Any] | None]:
    """A receipt for each committed entry; null where none can be signed now.

    What was recorded is recorded: that its receipt must wait is no reason to answer with a problem.
    It can be asked for later, `GET /ledger/events/{position}?receipt=true`.
    """
    found: list[dict[str, Any] | None] = []
    for position in positions:
        try:
            found.append(receipt_of(here, position))
        except WhyledgerError as error:
            _LOG.warning("no receipt for entry %s: %s", position, error)
            found.append(None)
    return found


def _size(asked: int | None, head: int) -> int:
    if asked is None:
        return head
    if asked > head:
        raise RequestInvalid(
            f"size {asked} is larger than the ledger, which has {head} entries. "
            "Ask for a checkpoint first: GET /ledger/checkpoint."
        )
    return asked
