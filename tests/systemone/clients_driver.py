"""Asks an endpoint by typesafe-sdk and langchain-typesafe, unmodified; prints what they return.

`python clients_driver.py URL KEY`
"""

import asyncio
import json
import sys

from langchain_typesafe import Choice as LangChainChoice
from langchain_typesafe import Noul as LangChainNoul
from langchain_typesafe import Score as LangChainScore
from langchain_typesafe import TypeSafeClassifier
from typesafe_sdk import AsyncTypeSafeClient, Choice, Noul, Score, TypeSafeClient

STATE = "I was charged twice for my invoice, and I want my money back today."
LABELS = {"billing": "Refunds", "technical": None}
LEVELS = ["calm", {"x": 1}, "angry"]


def questions(noul, choice, score):
    return {
        "refund": noul(instructions="Does the customer want money back?"),
        "team": choice(instructions="Which team?", criteria=LABELS),
        "anger": score(instructions="How angry?", criteria=LEVELS),
    }


def shown(response):
    return {
        "refund": response.nouls["refund"].noul,
        "team": response.choices["team"].choice,
        "probabilities": dict(response.choices["team"].probabilities),
        "anger": response.scores["anger"].score,
        "model": response.model,
    }


def failure(call):
    try:
        call()
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return [type(error).__name__, getattr(error, "status", getattr(error, "status_code", None))]
    return None


def by_sdk(url, key):
    asked = questions(Noul, Choice, Score)
    with TypeSafeClient(base_url=url, api_key=key) as client:
        yield "sdk", shown(client.system_one(state=STATE, questions=asked, model="judges"))
        unknown = lambda: client.system_one(state=STATE, questions=asked, model="other")  # noqa: E731
        yield "sdk unknown model", failure(unknown)
        broken = {"q": Choice(instructions="?", criteria={"a": None})}
        undecidable = lambda: client.system_one(state=STATE, questions=broken, model="strict")  # noqa: E731
        yield "sdk undecidable", failure(undecidable)
        # The endpoint answers 429 once, which the client repeats.
        again = client.system_one(state="retry", questions=asked, model="judges")
        yield "sdk retried", shown(again)["model"]
    with TypeSafeClient(base_url=url, api_key="wrong") as client:
        wrong = lambda: client.system_one(state=STATE, questions=asked, model="judges")  # noqa: E731
        yield "sdk wrong key", failure(wrong)

    async def later():
        async with AsyncTypeSafeClient(base_url=url, api_key=key) as client:
            return await client.system_one(state=STATE, questions=asked, model="judges")

    yield "sdk async", shown(asyncio.run(later()))


def by_langchain(url, key):
    asked = questions(LangChainNoul, LangChainChoice, LangChainScore)
    request = {"state": STATE, "questions": asked}
    classifier = TypeSafeClassifier(base_url=url, api_key=key, model="judges")
    yield "langchain", shown(classifier.invoke(request))
    yield "langchain async", shown(asyncio.run(classifier.ainvoke(request)))
    other = TypeSafeClassifier(base_url=url, api_key=key, model="other")
    yield "langchain unknown model", failure(lambda: other.invoke(request))
    wrong = TypeSafeClassifier(base_url=url, api_key="wrong", model="judges")
    yield "langchain wrong key", failure(lambda: wrong.invoke(request))


if __name__ == "__main__":
    print(json.dumps({**dict(by_sdk(*sys.argv[1:])), **dict(by_langchain(*sys.argv[1:]))}))
