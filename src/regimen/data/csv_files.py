"""Reads separated values strictly: a file that is ragged, cut off or not UTF-8 is refused with the line at fault."""

import codecs
import csv
import io
from itertools import islice
from pathlib import Path

import polars as pl

from regimen.data.naming import counted, listed, refuse_duplicates
from regimen.errors import DataError

SEPARATORS = ",;\t|"
# Lines looked at to find the separator.
_SNIFFED = 50
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


def read_csv(path: Path) -> tuple[pl.DataFrame, str]:
    """Return the cells as text, one column of the frame for each column of the file, and the separator found.

    Python's own reader splits the lines: it is the one that refuses an unclosed quote and tells the line, while
    polars fills short lines with nulls in silence. It costs about 60 ms a megabyte, once for each table.

    Args:
        path: A file in UTF-8 with a header line; a byte order mark, any line ending and quoted cells are fine.

    Raises:
        DataError: The file is empty, no text, ragged, cut off, has no header, no rows or duplicate column names.
    """
    text = _decoded(path)
    separator = _separator(text)
    lines: list[list[str]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    whole = 0  # lines that are read, up to the end of a row
    try:
        for cells in reader:
            whole = reader.line_num
            if not cells or (len(cells) == 1 and lines and len(lines[0]) > 1 and not cells[0].strip()):
                continue  # blank
            if lines and len(cells) != len(lines[0]):
                raise DataError(
                    f"{path}: expected {counted(len(lines[0]), 'cell')} in every line as in the header, got "
                    f"{len(cells)} in line {reader.line_num} (separator: {_NAMES[separator]}); the file may be cut "
                    "off, or a cell with a separator needs double quotes"
                )
            lines.append(cells)
    except csv.Error as error:
        begun = f" of the row that begins in line {whole + 1}" if reader.line_num > whole + 1 else ""
        raise DataError(
            f"{path}: expected cells in double quotes to end with one, got {str(error)!r} in line {reader.line_num}"
            f"{begun}; the file may be cut off, or a quote inside a cell must be doubled"
        ) from error
    names = _header(path, lines[0])
    if len(lines) == 1:
        raise DataError(f"{path}: expected rows below the header, got the header line only; add the data")
    columns = zip(*lines[1:], strict=True)
    return pl.DataFrame(
        [pl.Series(name, cells, dtype=pl.String) for name, cells in zip(names, columns, strict=True)]
    ), separator


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    if not content.strip():
        raise DataError(f"{path}: expected a header line and rows, got an empty file; check how it was written")
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path}: expected text in UTF-8, got UTF-16; save it again as UTF-8")
    if b"\0" in content or content.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        raise DataError(f"{path}: expected text in UTF-8, got a binary file; export the table as CSV")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: expected text in UTF-8, got byte 0x{content[error.start]:02x} in line {line}; "
            "save it again as UTF-8 (iconv -f latin1 -t utf-8, if it is Latin-1)"
        ) from error
    return text


def _separator(text: str) -> str:
    """Return the separator that cuts the first lines into the most cells, among those that cut them all alike."""
    head = list(islice(io.StringIO(text, newline=""), _SNIFFED))
    best, score = ",", (False, 1)
    for separator in SEPARATORS:
        try:
            lines = [cells for cells in csv.reader(head, delimiter=separator) if cells]
        except csv.Error:
            continue
        width = len(lines[0])
        # The last line may end in the middle of a quoted cell; ragged files shall be told so by the reader.
        alike = all(len(cells) == width for cells in lines[:-1] or lines)
        if width > 1 and (alike, width) > score:
            best, score = separator, (alike, width)
    return best


def _header(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip() or f"unnamed_{position}" for position, cell in enumerate(cells, start=1)]
    numeric = [name for name in cells if _is_number(name)]
    if len(numeric) == len(names) and names != [str(i) for i in range(len(names))]:
        raise DataError(
            f"{path}: expected a header line with column names, got numbers ({listed(names[:4])}, …); "
            "add a first line that names the columns"
        )
    refuse_duplicates(str(path), names)
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
