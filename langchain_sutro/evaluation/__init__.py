"""Functions as judges in LangSmith: evaluators, experiments, their results and plots.

Names are loaded at first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_sutro._core.exports import lazy_exports

if TYPE_CHECKING:
    from langchain_sutro.evaluation.compared_figures import ComparedFigure
    from langchain_sutro.evaluation.comparison import ExperimentComparison, compare_experiments
    from langchain_sutro.evaluation.dataset import aevaluate_dataset, evaluate_dataset
    from langchain_sutro.evaluation.evaluator import SutroEvaluator
    from langchain_sutro.evaluation.experiment_row import ExperimentRow
    from langchain_sutro.evaluation.human_label import HumanLabel
    from langchain_sutro.evaluation.human_labels import HumanLabels
    from langchain_sutro.evaluation.judged_runs import JudgedRuns
    from langchain_sutro.evaluation.label_dataset import LabelledDataset
    from langchain_sutro.evaluation.pairing import ExamplePair
    from langchain_sutro.evaluation.plots import plot_confusion, plot_coverage, plot_reliability
    from langchain_sutro.evaluation.production import aevaluate_runs, evaluate_runs
    from langchain_sutro.evaluation.report import ExperimentReport
    from langchain_sutro.evaluation.results import ExperimentResults
    from langchain_sutro.evaluation.review import asend_for_review, send_for_review
    from langchain_sutro.evaluation.review_labels import areviewed, reviewed
    from langchain_sutro.evaluation.runs_config import evaluate_configured_runs
    from langchain_sutro.evaluation.sent_for_review import ReviewedBecause, SentForReview
    from langchain_sutro.evaluation.summary import ExperimentSummary
    from langchain_sutro.evaluation.verdicts import VerdictRate

__all__ = [
    "ComparedFigure",
    "ExamplePair",
    "ExperimentComparison",
    "ExperimentReport",
    "ExperimentResults",
    "ExperimentRow",
    "ExperimentSummary",
    "HumanLabel",
    "HumanLabels",
    "JudgedRuns",
    "LabelledDataset",
    "ReviewedBecause",
    "SentForReview",
    "SutroEvaluator",
    "VerdictRate",
    "aevaluate_dataset",
    "aevaluate_runs",
    "areviewed",
    "asend_for_review",
    "compare_experiments",
    "evaluate_configured_runs",
    "evaluate_dataset",
    "evaluate_runs",
    "plot_confusion",
    "plot_coverage",
    "plot_reliability",
    "reviewed",
    "send_for_review",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "ComparedFigure": "compared_figures",
        "ExperimentComparison": "comparison",
        "compare_experiments": "comparison",
        "ExamplePair": "pairing",
        "aevaluate_dataset": "dataset",
        "evaluate_dataset": "dataset",
        "SutroEvaluator": "evaluator",
        "HumanLabel": "human_label",
        "HumanLabels": "human_labels",
        "JudgedRuns": "judged_runs",
        "LabelledDataset": "label_dataset",
        "aevaluate_runs": "production",
        "evaluate_runs": "production",
        "evaluate_configured_runs": "runs_config",
        "plot_confusion": "plots",
        "plot_coverage": "plots",
        "plot_reliability": "plots",
        "ExperimentReport": "report",
        "ExperimentResults": "results",
        "asend_for_review": "review",
        "send_for_review": "review",
        "areviewed": "review_labels",
        "reviewed": "review_labels",
        "ReviewedBecause": "sent_for_review",
        "SentForReview": "sent_for_review",
        "ExperimentRow": "experiment_row",
        "ExperimentSummary": "summary",
        "VerdictRate": "verdicts",
    },
)
