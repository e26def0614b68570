"""Files of text as streams of UTF-8 bytes, decompressed, with errors that say what a file is."""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from langchain_sutro.errors import SutroInputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["OpenFile", "TextBytes", "file_errors", "kind_of"]

# What files begin with that are often taken for others.
_BEGINNINGS = (
    (b"\x1f\x8b", "compressed with gzip: give it the ending .gz"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard: give it the ending .zst"),
    (b"BZh", "compressed with bzip2: decompress it"),
    (b"\xfd7zXZ", "compressed with xz: decompress it"),
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook: unpack it, or export it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: export it as CSV"),
    (b"PAR1", "a Parquet file: give it the ending .parquet"),
    (b"PARE", "an encrypted Parquet file: decrypt it"),
    (b"ARROW1", "an Arrow file: read it with pyarrow.feather and pass the table"),
    (b"\xff\xfe", "UTF-16: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16: save it as UTF-8"),
)
_BEGINNING = 64
_BOM = b"\xef\xbb\xbf"


def kind_of(beginning: bytes) -> str | None:
    """What a file is and what to do with it, by its first bytes; None for text and others."""
    for bytes_, kind in _BEGINNINGS:
        if beginning.startswith(bytes_):
            return kind
    # UTF-16 and UTF-32 without a byte order mark.
    if b"\0" in beginning[:4]:
        return "not text in UTF-8: it has zero bytes, as UTF-16 and binary files have"
    return None


class OpenFile(io.RawIOBase):
    """The bytes of a file that the caller has opened, of text or bytes; never closes it.

    Args:
        file: The file.
    """

    def __init__(self, file: Any) -> None:
        super().__init__()
        self._file = file
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, target: Any) -> int:
        """Read some bytes into a buffer; 0 only at the end."""
        if not self._left:
            piece = self._file.read(len(target))
            self._left = memoryview(piece.encode() if isinstance(piece, str) else piece or b"")
        count = min(len(target), len(self._left))
        target[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


@contextmanager
def file_errors(name: str) -> Iterator[None]:
    """Turn the errors of reading a file into those of this package, without its path.

    Args:
        name: What to call the file.

    Raises:
        SutroInputError: The file cannot be read.
    """
    try:
        yield
    except UnicodeError:
        raise SutroInputError(
            f"{name} has characters that its encoding does not have: open it with the encoding in "
            "which it was saved."
        ) from None
    except SutroInputError:
        raise
    except Exception as error:  # noqa: BLE001 - a file of the caller may raise anything
        raise SutroInputError(f"{name} cannot be read: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    if isinstance(error, io.UnsupportedOperation):
        return "it is not open for reading"
    if isinstance(error, OSError | EOFError | zlib.error):
        return getattr(error, "strerror", None) or "it is damaged or incomplete"
    if isinstance(error, ValueError) and "closed" in str(error):
        return "it is closed"
    return f"its read method raised {type(error).__name__}"


class TextBytes:
    """The bytes of a text file, in UTF-8 and without a byte order mark.

    Args:
        source: Its path, or an open binary file.
        name: What to call it in errors.
        compression: `"gz"`, `"zst"`, or None.
    """

    def __init__(self, source: Any, name: str, compression: str | None = None) -> None:
        self.name = name
        with file_errors(name):
            self._file = _decompressed(source, compression)
        self._first: bytes | None = None

    def beginning(self) -> bytes:
        """The first bytes, which `read` returns too.

        Raises:
            SutroInputError: The file cannot be read, or is not text in UTF-8.
        """
        if self._first is None:
            self._first = self._beginning()
        return self._first

    def read(self, size: int) -> bytes:
        """The next bytes, about as many, and none only at the end.

        Raises:
            SutroInputError: The file cannot be read, or is not text in UTF-8.
        """
        beginning = self.beginning()
        if beginning:
            self._first = b""
            return beginning
        return self._piece(size)

    def _beginning(self) -> bytes:
        first = b""
        # A pipe may give single bytes.
        while len(first) < _BEGINNING and (piece := self._piece(_BEGINNING - len(first))):
            first += piece
        kind = kind_of(first)
        if kind is not None:
            raise SutroInputError(f"{self.name} is {kind}.")
        first = first.removeprefix(_BOM)
        # Nothing but a byte order mark would look like the end.
        return first or self._piece(_BEGINNING)

    def _piece(self, size: int) -> bytes:
        with file_errors(self.name):
            return bytes(self._file.read(size))

    def not_utf8(self, line: int) -> NoReturn:
        """Raise the error for bytes that are not UTF-8.

        Args:
            line: Where they are, from 1.

        Raises:
            SutroInputError: Always.
        """
        raise SutroInputError(f"{self.name}, line {line}: not valid UTF-8: save the file as UTF-8.")


def _decompressed(source: Any, compression: str | None) -> Any:
    # Closed with the last reference to it.
    file = source.open("rb") if isinstance(source, Path) else source
    if compression == "gz":
        return gzip.GzipFile(fileobj=file, mode="rb")
    if compression == "zst":
        import pyarrow as pa  # noqa: PLC0415

        return pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
    return file
