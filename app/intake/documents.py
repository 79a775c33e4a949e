"""Contracts and policies as text: strict YAML or JSON, read to one JSON object.

Only what JSON knows, and nothing that two readers could take two ways: no key twice, no NaN, no
anchor, tag or octal; dates and `no` stay text. Values are built from the parser's events alone, so
nothing in a document can make anything else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

import yaml

from domain.canonical import INTEGER_MAX, canonical_bytes
from domain.errors import DocumentInvalid, NotCanonical
from domain.strict_json import read_json, without_pause

DOCUMENT_LENGTH_MAX: Final = 1_000_000  # a contract of 500 features has about 200,000
VALUES_MAX: Final = 50_000  # keys and values; a contract of 500 features has about 15,000
_PAUSE_EVERY: Final = 16  # events
# libyaml where PyYAML was built with it: twenty times as fast, and the same events.
_PARSER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
DEPTH_MAX: Final = 32  # levels; our own documents have six
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_NUMBER: Final = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_OCTAL: Final = re.compile(r"[-+]?0[0-9]+(\.[0-9]*)?|0[ob][0-9_]+|0x[0-9a-fA-F_]+")
_NOT_FINITE: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Final = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


def parse_document(
    text: bytes | str, *, name: str, pause: Callable[[], None] = without_pause
) -> dict[str, Any]:
    """The JSON object that `text` holds. A text that begins with `{` is JSON, every other is YAML.

    Args:
        text: the document, UTF-8, at most 1,000,000 bytes (or characters) long.
        name: what it is called in errors: a file name, or "the request".
        pause: called again and again while it is read.

    Raises:
        DocumentInvalid: it is broken, ambiguous or no object; the message names the line, of JSON
            that is not strict the JSON pointer.
    """
    if len(text) > DOCUMENT_LENGTH_MAX:
        raise DocumentInvalid(
            f"{name} is {len(text)} long; a document has at most {DOCUMENT_LENGTH_MAX}. Shorten it."
        )
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise DocumentInvalid(f"{name}, line {line}: not UTF-8; save it as UTF-8.") from None
    is_json = text.lstrip().startswith("{")
    value = _from_json(text, name, pause) if is_json else _from_yaml(text, name, pause)
    if not isinstance(value, dict):
        raise DocumentInvalid(f"{name} holds no object; write `key: value` lines.")
    try:
        canonical_bytes(value)
    except NotCanonical as refused:
        raise DocumentInvalid(f"{name}: {refused.message}") from None
    return value


def _from_json(text: str, name: str, pause: Callable[[], None]) -> object:
    # Every value but the first stands after one of these; in a text they may stand for nothing.
    if text.count(",") + text.count(":") + text.count("[") > 2 * VALUES_MAX:
        raise _too_many(name)
    return read_json(text, name=name, pause=pause)


def _from_yaml(text: str, name: str, pause: Callable[[], None]) -> object:
    reader = _YamlReader(name)
    try:
        for number, event in enumerate(yaml.parse(text, Loader=_PARSER)):
            if number % _PAUSE_EVERY == 0:
                pause()
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentInvalid(f"{name}, line {line}: {error.problem}; correct the YAML.") from None
    except yaml.reader.ReaderError:
        # libyaml tells the place in bytes, PyYAML in characters: told again, so that both agree.
        line = text[: _unreadable_at(text)].count("\n") + 1
        raise DocumentInvalid(
            f"{name}, line {line}: a character that YAML does not allow; remove it."
        ) from None
    return reader.root


class _YamlReader:
    """Builds one JSON value from parser events, without recursion."""

    def __init__(self, name: str) -> None:
        self.root: object = None
        self._name = name
        self._documents = 0
        self._values = 0
        self._open: list[dict[str, object] | list[object]] = []
        self._keys: list[str | None] = []  # per open container: the key that waits for its value

    def take(self, event: yaml.Event) -> None:
        """The next event."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._refused(event, "a second document", "keep one a file")
            case yaml.AliasEvent():
                raise self._refused(event, f"the alias *{event.anchor}", "write the value out")
            case yaml.NodeEvent(anchor=str() as anchor):
                raise self._refused(event, f"the anchor &{anchor}", "write the value out")
            case yaml.ScalarEvent(tag=str() as tag) | yaml.CollectionStartEvent(tag=str() as tag):
                raise self._refused(event, f"the tag {tag}", "remove it")
            case yaml.ScalarEvent():
                plain = not event.style  # libyaml says '', PyYAML None
                self._add(event, self._scalar(event) if plain else event.value)
            case yaml.MappingStartEvent():
                self._start(event, {})
            case yaml.SequenceStartEvent():
                self._start(event, [])
            case yaml.CollectionEndEvent():
                self._open.pop()
                self._keys.pop()
            case _:
                pass  # the stream's start and end

    def _start(self, event: yaml.Event, container: dict[str, object] | list[object]) -> None:
        if len(self._open) >= DEPTH_MAX:
            raise self._refused(event, f"nesting deeper than {DEPTH_MAX}", "flatten it")
        self._add(event, container)
        self._open.append(container)
        self._keys.append(None)

    def _add(self, event: yaml.Event, value: object) -> None:
        self._values += 1
        if self._values > VALUES_MAX:
            raise _too_many(self._name)
        if not self._open:
            self.root = value
            return
        container, key = self._open[-1], self._keys[-1]
        if isinstance(container, list):
            container.append(value)
        elif key is not None:
            container[key] = value
            self._keys[-1] = None
        elif not isinstance(value, str):
            raise self._refused(event, f"the key {_shown(value)}", "write keys as text, in quotes")
        elif value in container:
            raise self._refused(event, f"the key {value!r} a second time", "remove one")
        else:
            self._keys[-1] = value

    def _scalar(self, event: yaml.ScalarEvent) -> object:
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if _OCTAL.fullmatch(text):
            raise self._refused(
                event, f"the number {_shown(text)}", "write it decimal, or quote it"
            )
        if _INTEGER.fullmatch(text):
            if len(text) > len(str(INTEGER_MAX)) + 1 or abs(int(text)) > INTEGER_MAX:
                raise self._refused(event, f"the integer {_shown(text)}", "quote it: |n| < 2^53")
            return int(text)
        number = float(text) if _NUMBER.fullmatch(text) else 0.0
        if _NOT_FINITE.fullmatch(text) or not math.isfinite(number):
            raise self._refused(event, f"the number {_shown(text)}", "write a finite one, or null")
        return number if _NUMBER.fullmatch(text) else text

    def _refused(self, event: yaml.Event, what: str, remedy: str) -> DocumentInvalid:
        line = event.start_mark.line + 1 if event.start_mark else 1
        return DocumentInvalid(f"{self._name}, line {line}: {what} is refused; {remedy}.")


def _unreadable_at(text: str) -> int:
    """Where in `text` the first character stands that YAML does not allow."""
    found = yaml.reader.Reader.NON_PRINTABLE.search(text)
    return found.start() if found else 0


def _too_many(name: str) -> DocumentInvalid:
    return DocumentInvalid(
        f"{name} has more than {VALUES_MAX:,} keys and values; a document has at most so many. "
        "Shorten it."
    )


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}…"  # noqa: PLR2004 one line of a message
