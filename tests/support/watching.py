"""Who sees the runs of calls, and whether there are any."""

from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager


def runs_begun(monkeypatch):
    """The run types of runs that LangChain begins from now on, whether anybody sees them or not."""
    begun = []

    def counted(begin):
        def on_chain_start(self, *args, **kwargs):
            begun.append(kwargs["run_type"])
            return begin(self, *args, **kwargs)

        return on_chain_start

    for manager in (CallbackManager, AsyncCallbackManager):
        monkeypatch.setattr(manager, "on_chain_start", counted(manager.on_chain_start))
    return begun


class Watching(BaseCallbackHandler):
    """Notes the events of chains."""

    def __init__(self):
        self.seen = []

    def on_chain_start(self, *_, **__):
        self.seen.append("start")

    def on_chain_end(self, *_, **__):
        self.seen.append("end")

    def on_chain_error(self, *_, **__):
        self.seen.append("error")
