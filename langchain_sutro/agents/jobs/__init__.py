"""What the tools for long jobs do: their input, actions, pages of results and progress."""

__all__: list[str] = []
