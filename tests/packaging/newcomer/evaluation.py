"""Two labelled leads, and how often the Function is right about them."""

import pandas as pd

from langchain_sutro import SutroFunction, evaluate_dataset

leads = pd.DataFrame(
    {
        "inputs": [
            {"query": "We need 200 seats by Friday", "region": "APAC"},
            {"query": "Please unsubscribe me", "region": "EMEA"},
        ],
        "outputs": [{"label": "qualified"}, {"label": "qualified"}],
    }
)


def exact(outputs: dict, reference_outputs: dict) -> bool:
    return outputs["output"]["label"] == reference_outputs["label"]


results = evaluate_dataset(
    SutroFunction("lead-qualifier"), leads, evaluators=[exact], upload_results=False
)
print(results.summary().scores)
