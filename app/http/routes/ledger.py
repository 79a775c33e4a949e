"""The ledger as others check it: checkpoints, proofs, tiles, hashed bytes, receipts.

The layouts are C2SP's (tlog-checkpoint, tlog-tiles); `docs/bundle.md` says how to verify.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from app.http.dependencies import Here
from app.http.documentation import refusals
from app.http.prefer import receipt_of
from app.http.request_shapes import Sent, Whole
from app.http.strict_route import StrictRoute
from app.ledger.proven_entry import proven_bytes
from app.ledger.proven_tree import ProvenTree
from app.ledger.tree import LEVEL_MAX, TILE_HASHES, TILE_HEIGHT
from domain.canonical import INTEGER_MAX, leaf_hash
from domain.errors import RequestInvalid, UnknownThing
from domain.events.envelope import why_unreadable
from domain.events.unreadable import NO_JSON, said
from domain.stored_damage import StoredDamage
from domain.tree.proofs import check_within

router = APIRouter(tags=["ledger"], route_class=StrictRoute)
_NOTE: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_MOMENT: Final = "no-cache"
# tlog-tiles: x001/x234/067, and .p/17 behind it for a tile that is not full; plain digits too
_TILE: Final = re.compile(r"((?:x\d{3}/){0,5}\d{3}|\d{1,15})(?:\.p/([1-9]\d{0,2}))?")


class CheckpointQuery(Sent):
    """Which checkpoint."""

    new: bool = Field(default=False, description="sign one now, over all that is committed")


class InclusionQuery(Sent):
    """Which entry, in which tree."""

    position: Whole = Field(ge=0, le=INTEGER_MAX)
    size: Whole | None = Field(
        default=None, ge=1, le=INTEGER_MAX, description="entries; default: all"
    )


class ConsistencyQuery(Sent):
    """Which two trees."""

    earlier: Whole = Field(alias="from", ge=1, le=INTEGER_MAX, description="entries")
    later: Whole | None = Field(
        default=None, alias="to", ge=1, le=INTEGER_MAX, description="entries; default: all"
    )


class EventQuery(Sent):
    """What comes with an entry."""

    receipt: bool = Field(default=False, description="with the proof and checkpoint beside it")


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
def read_checkpoint(here: Here, query: Annotated[CheckpointQuery, Query()]) -> Response:
    """A C2SP signed note. Keep a copy elsewhere: from it anybody finds what was changed since."""
    signed = here.checkpoints.sign() if query.new else here.checkpoints.latest()
    return Response(signed.note, 200, {"Cache-Control": _MOMENT}, _NOTE)


@router.get(
    "/ledger/signing",
    summary="See how signing is doing",
    response_model=SigningAnswer,
    responses=refusals(422, 503),
)
def read_signing(here: Here) -> dict[str, Any]:
    """The verifier key, how far is signed, and every anchor with its last error."""
    return {"size": here.ledger.size(), **asdict(here.checkpoints.status())}


@router.get(
    "/ledger/proofs/inclusion",
    summary="Prove that an entry is in the ledger",
    responses=refusals(404, 422, 503),
)
def read_inclusion(here: Here, query: Annotated[InclusionQuery, Query()]) -> InclusionProof:
    """Compare `root` with the one in a checkpoint of this size, never with this answer alone."""
    with here.ledger.snapshot() as connection:
        tree = ProvenTree(connection)
        size = _size(query.size, tree.size)
        check_within(query.position, size)
        leaf = leaf_hash(proven_bytes(connection, query.position))
        return InclusionProof(
            position=query.position,
            size=size,
            leaf_hash=leaf.hex(),
            proof=[each.hex() for each in tree.inclusion(leaf, query.position, size)],
            root=tree.root(size).hex(),
        )


@router.get(
    "/ledger/proofs/consistency",
    summary="Prove that the ledger only grew",
    responses=refusals(404, 422, 503),
)
def read_consistency(here: Here, query: Annotated[ConsistencyQuery, Query()]) -> ConsistencyProof:
    """From size 0 there is nothing to prove: every tree extends the empty one."""
    with here.ledger.snapshot() as connection:
        tree = ProvenTree(connection)
        later = _size(query.later, tree.size)
        found = tree.consistency(query.earlier, later)
        return ConsistencyProof(
            from_size=query.earlier,
            to_size=later,
            from_root=found.earlier_root.hex(),
            to_root=found.later_root.hex(),
            proof=[each.hex() for each in found.proof],
        )


@router.get(
    "/ledger/tiles/{level}/{index:path}",
    summary="Take a tile of the tree",
    response_class=Response,
    responses=refusals(404, 422, 503) | {200: {"content": {_BYTES: {}}}},
)
def read_tile(
    here: Here,
    level: Annotated[Whole, Path(ge=0, le=LEVEL_MAX)],
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
    with here.ledger.snapshot() as connection:
        tree = ProvenTree(connection)
        if width > TILE_HASHES or size > tree.size:
            raise UnknownThing(
                f"a ledger of {tree.size} entries has no tile {level}/{index}: that wide it is "
                f"with {size} entries. Ask for a narrower one, .p/1 to .p/{TILE_HASHES - 1}, or "
                "again when the ledger has grown."
            )
        content = tree.tile(level, number, width)
    return Response(content, 200, {"Cache-Control": _FOR_EVER}, _BYTES)


@router.get(
    "/ledger/events/{position}",
    summary="Take an entry's hashed bytes, or its receipt",
    response_class=Response,
    responses=refusals(404, 422, 503) | {200: {"content": {"application/json": {}}}},
)
def read_event(
    here: Here,
    position: Annotated[Whole, Path(ge=0, le=INTEGER_MAX)],
    query: Annotated[EventQuery, Query()],
) -> Response:
    """The canonical bytes as stored: SHA-256 of 0x00 and this body is the leaf hash.

    With `receipt`, an object of `envelope` and `receipt` (position, leaf hash, proof, checkpoint).
    """
    with here.ledger.snapshot() as connection:
        content = proven_bytes(connection, position)
        if why_unreadable(content, position) == NO_JSON:  # and this answer would be none either
            raise StoredDamage(said(position, NO_JSON), position)
    headers = {"Cache-Control": _FOR_EVER, "Leaf-Hash": leaf_hash(content).hex()}
    if query.receipt:
        # The stored bytes are JSON, and stand in the answer as they are.
        proved = orjson.dumps(receipt_of(here, position))
        content = b'{"envelope":' + content + b',"receipt":' + proved + b"}"
    return Response(content, 200, headers, "application/json")


def _size(asked: int | None, head: int) -> int:
    if asked is None:
        return head
    if asked > head:
        raise RequestInvalid(
            f"size {asked} is larger than the ledger, which has {head} entries. "
            "Ask for a checkpoint first: GET /ledger/checkpoint."
        )
    return asked
