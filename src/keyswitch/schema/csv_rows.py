"""Lines of a CSV file as tables: the first line names the columns, a cell that is empty is not there."""

import csv
import io
from collections.abc import Mapping, Sequence

from keyswitch.errors import InputError


def read_csv(data: bytes, origin: str, *, expected: str, columns: Sequence[str]) -> list[tuple[str, object]]:
    """Every line that is not empty, with its place for messages.

    Args:
        data: UTF-8, with or without a byte order mark.
        origin: the file, for messages.
        expected: what it should be.
        columns: that its first line may name.

    Raises:
        InputError: no CSV, no first line, or a line with more cells than it has.
    """
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise InputError(origin, f"byte {error.start} is not UTF-8", expected) from error
    except csv.Error as error:
        raise InputError(origin, f"not CSV: {error}", expected) from error
    if not lines or not lines[0]:
        raise InputError(origin, "no line that names the columns", ",".join(columns))
    names = [each.strip() for each in lines[0]]
    rows: list[tuple[str, object]] = []
    for number, cells in enumerate(lines[1:], 2):
        where = f"{origin}: line {number}"
        if len(cells) > len(names):
            raise InputError(where, f"{len(cells)} cells", f"at most {len(names)}, one for each column")
        row: Mapping[str, str] = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if cell.strip()}
        if row:
            rows.append((where, row))
    return rows
