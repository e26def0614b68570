"""Bodies of answers: JSON of any kind, and what is not JSON."""

from hypothesis import strategies as st

HTML = b"<html><body>502 Bad Gateway</body></html>"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
