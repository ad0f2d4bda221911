"""One file out of a multipart/form-data body, while it streams in (RFC 7578).

Knows no web framework: it is fed bytes. The file part goes to a sink piece by piece; nothing of it
is kept. Other parts are short text fields.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from plinth.data.errors import InvalidMultipart, MissingFilePart, UploadTruncated

MOST_FIELDS = 32
MOST_FIELD_BYTES = 16_384


@dataclass
class Form:
    """`fields` are the text parts by name; `filename` is as the client sent it."""

    fields: dict[str, str] = field(default_factory=dict)
    filename: str | None = None


class FormReader:
    """Args: `content_type` is the request's header; `file_field` names the part that goes to `sink`.

    Call `feed` with the body in pieces of any size, then `finish`.
    """

    def __init__(self, content_type: str, file_field: str, sink: Callable[[bytes], None]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidMultipart(reason="the Content-Type header must be multipart/form-data with a boundary")
        self._file_field, self._sink = file_field, sink
        self._form, self._ended, self._file_seen = Form(), False, False
        self._header_name, self._header_value, self._disposition = b"", b"", b""
        self._name, self._text, self._is_file = "", bytearray(), False
        try:
            self._parser = MultipartParser(boundary, self._callbacks())  # type: ignore[arg-type]  # a TypedDict
        except FormParserError as error:
            raise InvalidMultipart(reason=str(error)) from error

    def feed(self, data: bytes) -> None:
        """Raises `InvalidMultipart`, and whatever the sink raises."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise InvalidMultipart(reason=str(error)) from error

    def finish(self) -> Form:
        """Raises `UploadTruncated` when the closing boundary did not come, `MissingFilePart`."""
        if not self._ended:
            raise UploadTruncated
        if not self._file_seen:
            raise MissingFilePart(field=self._file_field, param=self._file_field)
        return self._form

    def _callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value_part,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._header_name = self._header_value = self._disposition = b""
        self._name, self._text, self._is_file = "", bytearray(), False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _header_value_part(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        self._name = _text(options.get(b"name", b""))
        if not self._name:
            raise InvalidMultipart(reason="a part has no name")
        self._is_file = self._name == self._file_field
        if self._is_file:
            if self._file_seen:
                raise InvalidMultipart(reason=f"there are two parts named '{self._file_field}'")
            self._file_seen = True
            filename = options.get(b"filename")
            self._form.filename = None if filename is None else _text(filename)
        elif len(self._form.fields) >= MOST_FIELDS:
            raise InvalidMultipart(reason=f"there are more than {MOST_FIELDS} fields")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._sink(data[start:end])
            return
        self._text += data[start:end]
        if len(self._text) > MOST_FIELD_BYTES:
            raise InvalidMultipart(reason=f"a field is longer than {MOST_FIELD_BYTES} bytes")

    def _part_end(self) -> None:
        if not self._is_file:
            self._form.fields[self._name] = _text(bytes(self._text))

    def _end(self) -> None:
        self._ended = True


def _text(raw: bytes) -> str:
    """Browsers and the OpenAI SDK write names as UTF-8 (RFC 7578, 5.1)."""
    return raw.decode("utf-8", "replace")
