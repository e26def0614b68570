"""Speed and memory beside plain httpx, aiohttp, pyarrow and the official SDK, in one run.

`python -m tests.benchmarks` measures everything; each subject has a module of its own. What is
measured runs in processes of its own (`ours`, `sdk`, `rival`), against a stub service that costs
little (`stub`).
"""
