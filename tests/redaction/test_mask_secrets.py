"""Whatever the spelling, no secret is shown; what is none stays readable."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from langchain_sutro._core.redaction import has_secret, mask_secrets, printable, shown
from tests.support.secrets import PRESIGNED

KEY = "sk_live-AbC123xyz890QwErTy"
SIGNATURE = "deadbeefcafe1234567890"


def escaped(key, pattern):
    return "".join(pattern.format(ord(each)) for each in key)


SPELLINGS = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "URL-encoded": lambda key: escaped(key, "%{:02X}"),
    "URL-encoded twice": lambda key: escaped(key, "%25{:02x}"),
    "JSON-escaped": lambda key: escaped(key, "\\u{:04x}"),
    "JSON-escaped twice": lambda key: escaped(key, "\\\\u{:04X}"),
    "hexadecimal escapes": lambda key: escaped(key, "\\x{:02x}"),
    "HTML": lambda key: escaped(key, "&#{};"),
    "hexadecimal HTML": lambda key: escaped(key, "&#x{:X};"),
    "spaced": " ".join,
    "in two lines": lambda key: f"{key[:9]}\r\n  {key[9:]}",
    "in two quoted lines": lambda key: f"{key[:9]}\n> {key[9:]}",
    "in two lines of HTML": lambda key: f"{key[:9]}<br/>{key[9:]}",
    "in two lines of a mail": lambda key: f"{key[:9]}=\r\n{key[9:]}",
    "Markdown": lambda key: key.replace("_", "\\_").replace("-", "\\-"),
    "long escapes": lambda key: escaped(key, "\\U{:08x}"),
    "escapes in braces": lambda key: escaped(key, "\\u{{{:x}}}"),
    "escapes of scripts": lambda key: escaped(key, "%u{:04x}"),
    "in two escaped lines": lambda key: f"{key[:9]}\\n{key[9:]}",
    "zero-width spaces": "\u200b".join,
    "pieces": lambda key: f"'{key[:5]}'+'{key[5:]}'",
    "JSON": lambda key: json.dumps({"key": key}),
    "hex": lambda key: key.encode().hex(),
    **{
        f"base64 {number}": lambda key, add=add: b64encode((add + key).encode()).decode()
        for number, add in enumerate(("", "a", "ab", "Key ", "user:", "\x00"))
    },
    "URL-safe base64": lambda key: urlsafe_b64encode((key + "?>").encode()).decode(),
    "quoted base64": lambda key: quote(b64encode(key.encode()).decode()),
    "base64 twice": lambda key: b64encode(b64encode(key.encode())).decode(),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_known_key_is_masked_in_any_spelling(spell):
    spelled = spell(KEY)
    found = mask_secrets(f"The key was {spelled} and more words follow.", KEY)
    assert found.startswith("The key was ")
    assert found.endswith(" and more words follow.")
    secret = KEY if KEY in spelled else spelled
    for start in range(len(secret) - 8):
        assert secret[start : start + 8] not in found


URL_SPELLINGS = {
    "plain": str,
    "upper case": str.upper,
    "URL-encoded": lambda url: quote(url, safe=""),
    "URL-encoded twice": lambda url: quote(quote(url, safe=""), safe=""),
    "JSON": lambda url: json.dumps({"url": url}),
    "escaped JSON": lambda url: url.replace("/", "\\/").replace("&", "\\u0026"),
    "HTML": html.escape,
    "base64": lambda url: b64encode(url.encode()).decode(),
    "hex": lambda url: url.encode().hex(),
    "path and query": lambda url: url.partition(".com")[2] or url,
    "query": lambda url: url.partition("?")[2],
    "in two lines": lambda url: url.replace(SIGNATURE, f"{SIGNATURE[:9]}\n{SIGNATURE[9:]}"),
    "as a dict": lambda url: str(dict(pair.split("=", 1) for pair in url.split("?")[1].split("&"))),
}


@pytest.mark.parametrize("spell", URL_SPELLINGS.values(), ids=URL_SPELLINGS)
@pytest.mark.parametrize("cloud", PRESIGNED)
def test_a_presigned_url_is_masked_in_any_spelling(cloud, spell):
    url = PRESIGNED[cloud](SIGNATURE)
    found = shown(f"Fetching failed for url: {spell(url)} with 403.").lower()
    for secret in (SIGNATURE, SIGNATURE.encode().hex(), SIGNATURE[9:]):
        assert secret not in found
    assert b64encode(SIGNATURE.encode()).decode()[4:12].lower() not in found
    assert "with 403." in found


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Key hunter2hunter2",
        "authorization=Bearer hunter2",
        '{"Authorization": "Basic dTpodW50ZXIy"}',
        "Proxy-Authorization: hunter2",
        "Cookie: a=1; session=hunter2",
        "Set-Cookie: id=hunter2; Path=/",
        "postgres://user:hunter2@db.example/x",
        "https://user:hun/t@er2@proxy.example:8080",
        "http://:hunter2@proxy",
        "//user:hunter2@proxy",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2==;",
        "Endpoint=sb://a;SharedAccessKey=hunter2",
        "Server=x;User Id=sa;Pwd=hunter2",
        "password=hunter2",
        '"api_key": "hunter2hunter2"',
        "https://app.example/cb#access_token=hunter2",
        "sk_hunter2",
        "sk-hunter2hunter2",
        "sk-ant-hunter2hunter2hunter2",
        "lsv2_pt_hunter2hunter2hunter2hunter2hunter2a_b",
        "ghp_hunter2hunter2hunter2hunter2hunter2hunter2",
        "glpat-hunter2hunter2hunter2",
        *(
            f"{prefix}hunter2hunter2hunter2hunter2hunter2"
            for prefix in (
                "hf_",
                "gsk_",
                "r8_",
                "fw_",
                "ntn_",
                "whsec_",
                "shpat_",
                "dop_v1_",
                "xai-",
                "pplx-",
                "ATATT3",
                "dckr_pat_",
                "github_pat_",
                "sntrys_",
                "nvapi-",
                "pypi-",
                "tvly-dev-",
                "SG.",
                "key: hf_",
            )
        ),
        "xoxb-hunter2hunter2",
        "eyJhdW50ZXIy.eyJodW50ZXIyIjoxfQ.hunter2",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2",
        "Bearer hunter2-hunter2",
    ],
)
def test_secrets_of_known_shapes_are_masked(text):
    assert has_secret(text)
    for secret in ("hunter2", "hun/t", "er2@", "aHVudGVy", "dTpodW50ZXIy"):
        assert secret not in shown(f"It said: {text}")


@pytest.mark.parametrize(
    "text",
    [
        "no region was given for row 7, column 'query'",
        "locale sk-SK, sk-learn, secretary, max_token=12, tokens: 4096",
        "job-123e4567-e89b-12d3-a456-426614174000 of rt_01HZX3",
        "https://docs.example/errors/rows and s3://bucket/key.parquet",
        "mail ann@example.com about sort-key 12; the basic plan, the key question",
        "2026-11-26T17:42:29.123+00:00",
        "Modèle introuvable: qualité à 20 % <b>",
        "inputs.0.region: field required",
        "columns fw_revenue_by_region_2024, hf_model_name_of_2025, pypi-by-name-2025",
        "github_pattern_matching_of_2025, SG.2025, xai-explanations-of-models",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert shown(text) == text
    assert not has_secret(text)


def test_characters_that_forge_lines_are_escaped():
    text = "no\r\n2026 ERROR forged\x1b[2K\x00\u202e\u2028\u200b\ud800 caf\u00e9\u00a01"
    found = shown(text)
    assert found.isprintable()
    assert found.startswith(r"no\r\n2026 ERROR forged\x1b[2K\x00\u202e\u2028\u200b\ud800 café 1")
    assert printable("as it is") == "as it is"


def test_a_long_text_is_cut_and_says_so():
    assert shown("word " * 1000) == ("word " * 100) + "…"
    assert shown("\n" * 1000) == ("\\n" * 250) + "…"
    assert shown("word", most=2) == "wo…"
    assert shown(None) == "None"


def test_a_secret_where_the_text_is_cut_is_masked():
    for before in range(440, 520):
        assert "hunter2" not in shown("." * before + " sk_hunter2hunter2hunter2")


HARD = [
    "http://", "a.a.a", "://", "a-", "s k ", "=:", "x-amz-", "password", "&#x", "%25", "A", "%",
    "sk_", "authorization:", "token=", "-----BEGIN ", "eyJ", "\\u00", "sig=a 1aaaaa ", "QUFB",
    "4141", "a:b@", "//@", "s%", "&amp;", "Bearer ", "a+a", "_-",
]  # fmt: skip


@pytest.mark.timeout(30)
@pytest.mark.parametrize("piece", HARD)
def test_the_work_does_not_grow_with_the_text(piece):
    """An event loop would stand still: in quadratic time each of these takes hours."""
    assert len(shown(piece * (10**6 // len(piece)), key=KEY)) <= 501
