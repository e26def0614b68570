"""What a text may show: secrets are masked, characters that forge log lines are escaped."""

from langchain_sutro._core.redaction.printing import printable, shown
from langchain_sutro._core.redaction.secrets import MASK, has_secret, mask_secrets

__all__ = ["MASK", "has_secret", "mask_secrets", "printable", "shown"]
