"""One value as JSON.

JSON values are sent as they are, since the service turns them into text itself. Other values are
converted if they have one obvious JSON form: NaN, NaT and `pandas.NA` become null; dates, times,
UUIDs and decimals become strings, and so do durations (ISO 8601) and bytes that are UTF-8; an
enumeration becomes its value, and a secret the secret itself; NumPy values become plain ones; sets
become sorted lists; pydantic models and mappings become objects. Of other values, those that
pydantic can write as JSON are converted as it does. Anything else is an error that names row and
column, but never the value, which may be a secret.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from langchain_sutro._core.rows.dumped_models import SECRETS, model_values

__all__ = [
    "NoJSONError",
    "is_missing",
    "json_value",
    "kind_name",
    "loaded",
    "met",
    "one_step",
]

_DEEPEST = 200
# Python always writes integers of this size; how many digits others may have is a setting of it.
_BITS_OF_ALL = 2_000


class NoJSONError(TypeError):
    """A value has no JSON form; the message says why, without the value."""


class _Met(threading.local):
    """What was met while values were encoded in this thread."""

    secret = False


met = _Met()


def json_value(value: Any) -> Any:
    """The value as None, a bool, int, finite float, str, or lists and dicts of these.

    Raises:
        NoJSONError: It has no obvious JSON form.
    """
    return _exact(value, 0)


def _exact(value: Any, depth: int) -> Any:
    if isinstance(value, Enum):
        return _exact(value.value, depth + 1)
    if value is None or isinstance(value, (bool, int, float, str)):
        return _scalar(value)
    if depth > _DEEPEST:
        raise NoJSONError("objects are nested too deeply, or contain themselves")
    if isinstance(value, dict):
        return {_key(key): _exact(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item, depth + 1) for item in value]
    return _exact(one_step(value), depth + 1)


def _scalar(value: bool | float | str | None) -> bool | float | str | None:
    """The value as its base type instead of a subclass."""
    if isinstance(value, str):
        return _unicode(value)
    if isinstance(value, float):
        return _finite(float(value))
    return value if value is None or isinstance(value, bool) else _integer(int(value))


def _integer(value: int) -> int:
    if value.bit_length() > _BITS_OF_ALL:
        try:
            str(value)
        except ValueError:
            raise NoJSONError("an integer with thousands of digits is not sent") from None
    return value


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise NoJSONError(f"an object has a key of type {type(key).__name__}; keys must be strings")
    return _unicode(key)


def _unicode(value: str) -> str:
    plain = str.__str__(value)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise NoJSONError("a string with half a surrogate pair is not valid Unicode") from None
    return plain


def _finite(value: float) -> float | None:
    if math.isinf(value):
        raise NoJSONError("an infinity has no JSON form; send null or a string")
    return None if math.isnan(value) else value


def one_step(value: Any) -> Any:
    """One step towards JSON; orjson calls it for values of unknown types.

    Raises:
        NoJSONError: It has no obvious JSON form.
    """
    for kind, convert in _CONVERSIONS:
        if isinstance(value, kind):
            return convert(value)
    if value is loaded("pandas", "NA"):
        return None
    kinds = [kind for name in ("generic", "ndarray") if (kind := loaded("numpy", name)) is not None]
    if isinstance(value, tuple(kinds)):
        return _from_numpy(value, sys.modules["numpy"])
    return _as_pydantic(value)


def _as_pydantic(value: Any) -> Any:
    # An iterator may never end, and a complex number is none in JSON.
    if not isinstance(value, Iterator | complex):
        try:
            return to_jsonable_python(value)
        except (ValueError, RecursionError):
            pass
    raise NoJSONError(f"a value of type {kind_name(value)} has no JSON form") from None


def is_missing(value: Any) -> bool:
    """Whether a cell is sent as null: None, NaN, NaT or `pandas.NA`."""
    if value is None:
        return True
    if isinstance(value, float | date | timedelta | Decimal):
        return bool(value != value)  # noqa: PLR0124 - only these differ from themselves
    return value is loaded("pandas", "NA")


def loaded(module: str, name: str) -> Any:
    """An attribute of a library, without loading the library.

    Returns:
        The attribute; None if the library is not loaded or is just being loaded by another thread,
        in which case no value has its types.
    """
    return getattr(sys.modules.get(module), name, None)


def kind_name(value: Any) -> str:
    """The name of a value's type, as one would write it in code."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _isoformat(value: date | time) -> str | None:
    # NaT calls itself a datetime; nothing else differs from itself.
    return value.isoformat() if value == value else None  # noqa: PLR0124


def _decimal(value: Decimal) -> str | None:
    if value.is_infinite():
        raise NoJSONError("an infinity has no JSON form; send null or a string")
    return None if value.is_nan() else str(value)


def _model(value: BaseModel) -> Any:
    try:
        return model_values(value)
    except (ValueError, RecursionError):
        raise NoJSONError(f"a {type(value).__name__} has no JSON form") from None


def _secret(value: Any) -> Any:
    met.secret = True
    return value.get_secret_value()


def _duration(value: timedelta) -> Any:
    if is_missing(value):
        return None
    if getattr(value, "nanoseconds", 0):
        raise NoJSONError("a duration with nanoseconds has no JSON form; send a string")
    return to_jsonable_python(timedelta(value.days, value.seconds, value.microseconds))


def _bytes(value: bytes | bytearray) -> str:
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        raise NoJSONError("bytes that are not UTF-8 have no JSON form; send a string") from None


def _sorted(values: AbstractSet[Any]) -> list[Any]:
    # The order of a set of strings differs from process to process.
    try:
        return sorted(values)
    except TypeError:
        return sorted(values, key=repr)


def _from_numpy(value: Any, numpy: Any) -> Any:
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else _numpy_moment(value, numpy)
    if isinstance(value, numpy.ndarray):
        # `tolist` would convert nanoseconds to numbers.
        return list(value) if value.dtype.kind in "mM" and value.ndim else value.tolist()
    if isinstance(value, numpy.timedelta64):
        return _numpy_duration(value)
    if isinstance(value, numpy.longdouble):
        return float(value)
    plain = value.item()
    if isinstance(plain, numpy.generic):
        raise NoJSONError(f"a value of type {kind_name(value)} has no JSON form")
    return plain


# Parts of a microsecond in each finer unit of NumPy, and the digits that they take.
_FINER = {"ns": (10**3, 3), "ps": (10**6, 6), "fs": (10**9, 9), "as": (10**12, 12)}


def _numpy_moment(value: Any, numpy: Any) -> str:
    """A moment as `isoformat` of Python and pandas writes it."""
    unit, count = numpy.datetime_data(value.dtype)
    if unit in ("Y", "M"):
        return str(value)
    if unit in ("D", "W"):
        plain, digits = value.astype("M8[D]").item(), ""
    else:
        parts, width = _FINER.get(unit, (1, 0))
        whole, rest = divmod(int(value.astype("i8")) * count, parts)
        in_microseconds = numpy.datetime64(whole, "us") if width else value.astype("M8[us]")
        plain, digits = in_microseconds.item(), f"{rest:0{width}}" if rest else ""
    if not isinstance(plain, date):
        raise NoJSONError("a time outside of the years 1 to 9999 has no JSON form; send a string")
    if digits and isinstance(plain, datetime):
        return plain.isoformat(timespec="microseconds") + digits
    return plain.isoformat()


def _numpy_duration(value: Any) -> timedelta | None:
    plain: Any = value.item()
    if value.dtype == "m8[ns]" and isinstance(plain, int) and plain % 1000 == 0:
        plain = timedelta(microseconds=plain // 1000)
    if plain is not None and not isinstance(plain, timedelta):
        raise NoJSONError("a duration of this unit has no JSON form; send a string")
    return plain


_CONVERSIONS: tuple[tuple[type | tuple[type, ...], Callable[[Any], Any]], ...] = (
    ((date, time), _isoformat),
    (timedelta, _duration),
    ((bytes, bytearray), _bytes),
    (SECRETS, _secret),
    # Interfaces are addresses too. Older versions of pydantic do not write these.
    ((UUID, IPv4Address, IPv6Address, IPv4Network, IPv6Network), str),
    (Decimal, _decimal),
    (BaseModel, _model),
    (Mapping, dict),
    (AbstractSet, _sorted),
)
