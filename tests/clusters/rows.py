"""The rows of the datasets, and what becomes of them."""


def row(index: int) -> dict:
    """What is sent, and what stays here."""
    return {"n": str(index), "id": index, "note": f"note {index}"}


def judged(count: int) -> list[dict]:
    """All rows of a dataset with what becomes of them."""
    return [{**row(index), "label": f"<{index}>", "error": None} for index in range(count)]
