"""What a call is said to have used. The service counts with its models; here it is an estimate."""

from __future__ import annotations

__all__ = ["cost_usd", "count_tokens"]

_USD_PER_INPUT_TOKEN = 0.10e-6
_USD_PER_OUTPUT_TOKEN = 0.40e-6


def count_tokens(text: str) -> int:
    """Estimate the number of tokens of a string, at four characters each."""
    return (len(text) + 3) // 4


def cost_usd(input_tokens: int, output_tokens: int) -> float:
    """US dollars for so many tokens, at made-up prices of a small model."""
    return round(input_tokens * _USD_PER_INPUT_TOKEN + output_tokens * _USD_PER_OUTPUT_TOKEN, 9)
