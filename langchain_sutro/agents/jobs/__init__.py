"""What the tools for long jobs do: their input, their actions and their progress."""

__all__: list[str] = []
