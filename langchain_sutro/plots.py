"""Plots of evaluations; needs the extra `plots`."""

from langchain_sutro.evaluation import plot_confusion, plot_coverage, plot_reliability

__all__ = ["plot_confusion", "plot_coverage", "plot_reliability"]
