"""What the public rooms stand on: the service, rows, results, traces and jobs, without LangChain's.

It exports nothing itself: each of its rooms has a door of its own.
"""
