"""A callback handler that notes which events it saw of chains."""

from langchain_core.callbacks import BaseCallbackHandler


class Watching(BaseCallbackHandler):
    def __init__(self):
        self.seen = []

    def on_chain_start(self, *_, **__):
        self.seen.append("start")

    def on_chain_end(self, *_, **__):
        self.seen.append("end")

    def on_chain_error(self, *_, **__):
        self.seen.append("error")
