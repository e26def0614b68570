"""Single calls that are in flight at the same time become the rows of one job."""

from langchain_sutro._gathering.gathering import Gathering, Rules
from langchain_sutro._gathering.tasks import LoopGatherer
from langchain_sutro._gathering.threads import ThreadGatherer
from langchain_sutro._gathering.work import Work

__all__ = ["Gathering", "LoopGatherer", "Rules", "ThreadGatherer", "Work"]
