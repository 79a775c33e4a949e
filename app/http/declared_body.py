"""Bodies that are not one JSON object: documents, tables, events in several content types.

A route reads such a body by itself. What it takes is declared once, for the code and the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from pydantic import TypeAdapter

from app.http.bodies import content_type, read_body

SHAPES: Final = "#/components/schemas/{model}"  # where the document keeps the shapes of all routes
Examples = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class DeclaredBody:
    """What a route takes: by content type, the type of the value and examples by their names.

    Plain text has the type `str`.
    """

    content: Mapping[str, tuple[Any, Examples]]

    def content_type(self, request: Request) -> str:
        """The one of ours that the request has. Raises UnsupportedContentType."""
        return content_type(request, tuple(self.content))

    async def read(self, request: Request, bytes_max: int) -> tuple[str, bytes]:
        """Content type and bytes. Raises UnsupportedContentType, BodyTooLarge."""
        kind = self.content_type(request)
        return kind, await read_body(request, bytes_max)

    def documented(self) -> dict[str, Any]:
        """A route's `openapi_extra`; the document moves `$defs` to the shapes of all routes."""
        schemas, shapes = TypeAdapter.json_schemas(
            [(kind, "validation", TypeAdapter(shape)) for kind, (shape, _) in self.content.items()],
            ref_template=SHAPES,
        )
        content = {
            kind: {
                "schema": schemas[kind, "validation"],
                "examples": {name: {"value": value} for name, value in examples.items()},
            }
            for kind, (_, examples) in self.content.items()
        }
        return {"requestBody": {"required": True, "content": content}, **shapes}
