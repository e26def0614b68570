"""LangSmith's decision-model evaluators, from the configuration of the endpoint."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from langchain_sutro._core.exports import exported_from
from langchain_sutro.decisions import DecisionConfig, read_decision_config
from langchain_sutro.errors import SutroConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_sutro.decisions import AskedByLangSmith

__all__ = ["create_langsmith_evaluator"]

_PROMPT = (("user", "{{inputs}}\n\n{{outputs}}"),)


@exported_from("langchain_sutro.systemone")
def create_langsmith_evaluator(
    config: str | os.PathLike[str] | Mapping[str, Any] | DecisionConfig,
    model: str,
    *,
    base_url: str,
    client: Any = None,
    display_name: str | None = None,
    prompt: Sequence[tuple[str, str]] | None = None,
    **options: Any,
) -> Any:
    """Make an evaluator in LangSmith that asks the endpoint the questions of a model.

    LangSmith calls the endpoint itself, so it must be reachable from there, and sends the key that
    the workspace's secret `TYPESAFE_API_KEY` holds.

    Args:
        config: The configuration of the endpoint, see `langchain_sutro.decisions.DecisionConfig`.
            The questions with `asked` are asked; their ids become feedback keys.
        model: The name of the decision model.
        base_url: Where the endpoint is: its root, without `/v1`.
        client: A `langsmith.Langsmith`; by default one with the settings of the environment.
        display_name: The evaluator's name; by default that of the model.
        prompt: What of a run is judged, as pairs of role and mustache template; by default its
            inputs and outputs.
        **options: Other arguments of LangSmith's `create_decision_model`, such as `dataset_id`,
            `session_id`, `filter`, `sampling_rate` or `variable_mapping`.

    Returns:
        LangSmith's evaluator.

    Raises:
        SutroConfigurationError: The configuration has no such model, or none of its questions has
            `asked`; or this version of LangSmith's client cannot make such evaluators.
    """
    found = config if isinstance(config, DecisionConfig) else read_decision_config(config)
    if model not in found.models:
        raise SutroConfigurationError(
            f"The configuration has no model {model!r}; it has {', '.join(found.models)}."
        )
    questions = {
        name: _question(name, one.asked)
        for name, one in found.models[model].questions.items()
        if one.asked is not None
    }
    if not questions:
        raise SutroConfigurationError(f"No question of the model {model!r} has `asked`.")
    create = getattr(_langsmith(client).evaluators, "create_decision_model", None)
    if create is None:
        raise SutroConfigurationError(
            "This version of langsmith cannot create decision-model evaluators, or the client is a "
            "Client: pass a langsmith.Langsmith of langsmith 0.15 or newer."
        )
    return create(
        provider="typesafe_compatible",
        base_url=base_url,
        model=model,
        display_name=display_name or model,
        prompt=[list(one) for one in prompt or _PROMPT],
        questions=questions,
        **{"template_format": "mustache", **options},
    )


def _langsmith(client: Any) -> Any:
    if client is not None:
        return client
    import langsmith  # noqa: PLC0415 - its generated client takes a while to load

    make = getattr(langsmith, "Langsmith", None)
    if make is None:
        raise SutroConfigurationError(
            "Decision-model evaluators need langsmith 0.15 or newer: pip install -U langsmith"
        )
    # This client reads another variable than the rest of LangSmith.
    endpoint = os.environ.get("LANGSMITH_ENDPOINT", "").rstrip("/").removesuffix("/api/v1")
    return make(base_url=endpoint) if endpoint else make()


def _question(name: str, asked: AskedByLangSmith) -> dict[str, Any]:
    """A question in LangSmith's shape."""
    shape: dict[str, Any] = {"type": asked.type, "instructions": asked.instructions}
    if asked.type == "choice":
        needed, given = "options", asked.options
    elif asked.type == "score":
        needed, given = "levels", asked.levels
    else:
        if (asked.means_yes is None) != (asked.means_no is None):
            raise SutroConfigurationError(
                f"Question {name!r}: `means_yes` and `means_no` must both be there, or neither."
            )
        sides = {"yes": asked.means_yes, "no": asked.means_no}
        return shape if asked.means_yes is None else {**shape, **sides}
    if not given:
        raise SutroConfigurationError(f"Question {name!r}: a {asked.type} needs `{needed}`.")
    return {**shape, needed: given}
