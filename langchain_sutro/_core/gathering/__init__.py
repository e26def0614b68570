"""Single calls that are in flight at the same time become the rows of one job."""

from langchain_sutro._core.gathering.gathering import Gathering, Rules
from langchain_sutro._core.gathering.tasks import LoopGatherer
from langchain_sutro._core.gathering.threads import ThreadGatherer
from langchain_sutro._core.gathering.work import Work

__all__ = ["Gathering", "LoopGatherer", "Rules", "ThreadGatherer", "Work"]
