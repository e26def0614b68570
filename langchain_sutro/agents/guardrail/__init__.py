"""The guardrail: its rules, the decisions in the agent's state, the review by a human."""

__all__: list[str] = []
