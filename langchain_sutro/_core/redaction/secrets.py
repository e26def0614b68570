"""Finds and masks secrets in a text, in linear time for the lengths that callers cut to.

Shapes of keys and tokens are LangSmith's `DEFAULT_SECRET_RULES`, which LangChain maintains. Added
here is what that list leaves out: Sutro's own keys, signed URLs, user information in URLs, and
other spellings of all of these.
"""

from __future__ import annotations

import binascii
import html
import re
from base64 import b64decode, b64encode
from functools import lru_cache
from urllib.parse import unquote

from langsmith.anonymizer import DEFAULT_SECRET_RULES, SECRET_PLACEHOLDER

__all__ = ["MASK", "has_secret", "mask_secrets"]

MASK = "***"

_RULES = tuple(
    (
        re.compile(rule["pattern"]),
        (rule.get("replace") or SECRET_PLACEHOLDER).replace(SECRET_PLACEHOLDER, MASK),
    )
    for rule in DEFAULT_SECRET_RULES
)
# Whatever is between these is one word: a URL, a token, an assignment.
_WORD = re.compile(r"[^\s\"'<>`]+")
# The names that AWS, Google Cloud, Azure and those who copy them give to what signs a URL.
_SIGNED = re.compile(
    r"(?i)(?<![a-z0-9])(x-(?:amz|goog|oss|obs|cos|ms|bz)-[\w-]{1,40}|[a-z]{0,8}signature|sig|"
    r"awsaccesskeyid|googleaccessid|ossaccesskeyid|key-pair-id|skoid|sktid|hdnts)"
    r"([\"']?\s{0,4}[=:]\s{0,4}[\"']?)"
    # A value may have been wrapped: what follows belongs to it if it has digits.
    r"[^\s\"'&;,<>]+(?:\s{1,4}(?=[^\s\d]{0,40}\d)[A-Za-z0-9%+/_=~-]{6,}(?![^\s\"'&;,<>]))*"
)
_AUTHORIZATION = re.compile(
    r"(?i)\b((?:proxy-)?authorization)([\"']?\s{0,4}[:=]\s{0,4}[\"']?)"
    r"(?:[a-z0-9-]{1,30}\s{1,4})?[^\s\"'<>]+"
)
_COOKIE = re.compile(r"(?i)\b((?:set-)?cookie[\"']?\s{0,4}[:=])[^\r\n\"']+")
# Names that LangSmith's rules do not know, and passwords too short for these.
_ASSIGNED = re.compile(
    r"(?i)(?<![a-z0-9])((?:account|shared[_-]?access)[_-]?key|shared[_-]?access[_-]?signature|"
    r"password|passwd|passphrase|pwd)([\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\s\"'&;,<>]+"
)
_SCHEME = re.compile(r"(?i)\b(key|basic|bearer)(\s{1,4})(?=[^\s]{0,200}[\d=_-])[\w.~+/=-]{8,}")
_SUTRO_KEY = re.compile(
    r"(?i)(?<![a-z0-9])(?:sk_(?:[a-z0-9_-]{6,}|(?=[a-z_-]{0,4}\d)[a-z0-9_-]{3,})|"
    r"sk-(?=[a-z_-]{0,40}\d)[a-z0-9_-]{6,})"
)
# Keys of other services by their prefixes: models, registries, packages, shops, search.
_OTHER_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?:(?:hf|gsk|r8|fw|ntn|whsec|shp(?:at|ss|ca|pa)|do[op]_v1|e2b)_|"
    r"(?:xai|pplx)-|ATATT3|dapi(?=[0-9a-f]{32}))(?=[a-zA-Z]{0,40}\d)[A-Za-z0-9+/=]{20,}|"
    r"(?:(?:dckr_pat|github_pat|sntry[su])_|(?:nvapi|pypi|tvly)-|SG\.)"
    r"(?=[a-zA-Z._-]{0,40}\d)[\w.=-]{20,})"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY.*", re.DOTALL)
_USER = re.compile(r"//[^\s\"'<>]{0,1000}@")
_ESCAPE = re.compile(
    r"(?:\\u|%u|\\U0000)([0-9a-fA-F]{4})|\\(?:u\{0{0,4}([0-9a-fA-F]{1,4})\}|x([0-9a-fA-F]{2})|([/_]))"
)
_ENCODED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{12,}(?:={1,2}|(?:%3[Dd]){1,2})?")
_HEX = re.compile(r"(?i)(?<![0-9a-z])(?:[0-9a-f]{2}){8,}(?![0-9a-z])")
# What a text may have between two characters of a key that somebody broke or wrapped.
_BETWEEN = (
    r"(?:\\[nrt]|\\(?![uUx\\])|<w?br ?/?>|"
    r"[\s\x00-\x1f\x7f-\xa0\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff"
    "\"'`+,.…=>-]){0,4}"
)
# LangSmith's rules take quadratic time on runs like this, which no sentence has.
_RUN = re.compile(r"[A-Za-z0-9_.+-]{80,}")
_BREAK = re.compile(r"[.+-]")
_DECODINGS = 3


def mask_secrets(text: str, key: str = "") -> str:
    """The text with a mask in place of each secret.

    Args:
        text: Cut to what is needed: a few thousand characters at most.
        key: A secret that is known, such as the caller's own key.
    """
    masked = _mask(text, key)
    decoded = masked
    for _ in range(_DECODINGS):
        before, decoded = decoded, _decode(decoded)
        if decoded == before:
            break
        # Shown decoded only where the encoding hid something.
        without = _mask(decoded, key)
        if without != decoded:
            masked = decoded = without
    return masked


def has_secret(text: str) -> bool:
    """Whether something in a text looks like a secret."""
    return mask_secrets(text) != text


def _mask(text: str, key: str) -> str:
    if key:
        text = _spellings(key).sub(MASK, text)
    text = _mask_plain(text)
    text = _HEX.sub(lambda found: _mask_encoded(found[0], _unhex(found[0]), key), text)
    return _ENCODED.sub(lambda found: _mask_encoded(found[0], _unbase64(found[0]), key), text)


def _mask_plain(text: str) -> str:
    text = _RUN.sub(lambda run: MASK if len(_BREAK.findall(run[0])) > 16 else run[0], text)
    # Before the rest of their URLs, since their values may have been wrapped.
    text = _SIGNED.sub(rf"\1\2{MASK}", text)
    text = _WORD.sub(_mask_url, text)
    text = _PRIVATE_KEY.sub(MASK, text)
    text = _AUTHORIZATION.sub(rf"\1\2{MASK}", text)
    text = _COOKIE.sub(rf"\1{MASK}", text)
    text = _ASSIGNED.sub(rf"\1\2{MASK}", text)
    text = _SCHEME.sub(rf"\1\2{MASK}", text)
    text = _SUTRO_KEY.sub(MASK, text)
    text = _OTHER_KEY.sub(MASK, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _mask_url(found: re.Match[str]) -> str:
    """A URL without user information, query and fragment; other words as they are."""
    word = found[0]
    start = word.find("//")
    if start >= 0 and "@" in word:
        word = _USER.sub(f"//{MASK}@", word)
    start = word.find("://")
    if start < 0:
        # A path with a signed query, as connection libraries log it.
        path, mark, query = word.partition("?")
        return f"{path}?{MASK}" if mark and _SIGNED.search(query) else word
    ends = [place for mark in "?#" if (place := word.find(mark, start)) >= 0]
    if not ends or min(ends) == len(word) - 1:
        return word
    return f"{word[: min(ends) + 1]}{MASK}"


def _decode(text: str) -> str:
    if "%" in text:
        text = unquote(text)
    if "\\" in text or "%u" in text:
        text = _ESCAPE.sub(lambda e: e[4] or chr(int(e[1] or e[2] or e[3], 16)), text)
    return html.unescape(text) if "&" in text else text


def _mask_encoded(run: str, decoded: str | None, key: str) -> str:
    if decoded is None:
        return run
    return MASK if mask_secrets(decoded, key) != decoded else run


def _unhex(run: str) -> str | None:
    return _text(bytes.fromhex(run))


def _unbase64(run: str) -> str | None:
    plain = run.replace("-", "+").replace("_", "/").partition("=")[0].partition("%")[0]
    try:
        return _text(b64decode(plain[: len(plain) - (len(plain) % 4 == 1)] + "==="))
    except binascii.Error:
        return None


def _text(data: bytes) -> str | None:
    """The data as text, unless it is something else."""
    text = data.decode("latin-1")
    return text if text.isascii() and text.replace("\n", " ").isprintable() else None


@lru_cache(maxsize=16)
def _spellings(key: str) -> re.Pattern[str]:
    """A known secret in plain text, other cases, escapes, broken by white space, base64, hex."""
    if len(key) < 4:
        return re.compile(re.escape(key))
    plain = _BETWEEN.join(_character(each) for each in key)
    found = [f"(?i:{plain})", f"(?i:{key.encode().hex()})"]
    data = key.encode()
    for lead in range(3):
        # The first and last characters also depend on what surrounds the key.
        encoded = b64encode(b"\0" * lead + data).decode().rstrip("=")
        inner = encoded[(0, 2, 3)[lead] : len(encoded) - ((lead + len(data)) % 3 > 0)]
        if len(inner) >= 8:
            either = "".join({"+": "[+-]", "/": "[/_]"}.get(each, each) for each in inner)
            found.append(r"\s{0,2}".join(re.findall(r"\[..\]|.", either)) + "[A-Za-z0-9+/_=-]{0,2}")
    return re.compile("|".join(found))


def _character(each: str) -> str:
    code = ord(each)
    return (
        rf"(?:{re.escape(each)}|%(?:25){{0,3}}(?:u00)?{code:02x}|"
        rf"\\{{1,4}}(?:u00|x|U000000|u\{{0{{0,4}}){code:02x}\}}?|"
        rf"&\#0{{0,4}}{code};|&\#x0{{0,4}}{code:x};)"
    )
