"""The shipped samples, and classifiers from examples."""

import csv
import json
import math
import re

import pytest

from langchain_sutro.local import from_examples, sample_functions, sample_leads
from langchain_sutro.local.samples import _FOLDER


@pytest.fixture(scope="module")
def functions():
    return {function.name: function for function in sample_functions()}


@pytest.fixture(scope="module")
def leads():
    with sample_leads().open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_demo_table_has_labelled_leads_that_the_classifier_has_not_seen(leads):
    assert len(leads) > 200
    assert {lead["region"] for lead in leads} == {"APAC", "EMEA", "AMER"}
    with (_FOLDER / "training.csv").open(encoding="utf-8", newline="") as file:
        seen = {row["query"] for row in csv.DictReader(file)}
    assert not seen & {lead["query"] for lead in leads}


def test_the_qualifier_judges_new_leads(functions, leads):
    answers = functions["lead-qualifier"].batch(leads)
    right = [a.output["label"] == lead["label"] for a, lead in zip(answers, leads, strict=True)]
    assert sum(right) / len(right) > 0.9
    sure = [ok for ok, answer in zip(right, answers, strict=True) if answer.confidence > 0.9]
    assert len(sure) > len(right) / 2
    assert sum(sure) / len(sure) > 0.97


def test_its_rationale_names_words_of_the_lead(functions):
    row = {"query": "I am a student and need a free licence for my thesis", "region": "EMEA"}
    answer = functions["lead-qualifier"].call(row)
    assert answer.output == {"label": "not_qualified"}
    named = re.findall(r'"([^"]+)"', answer.rationale)
    assert named
    assert all(words in row["query"].lower() for words in named)
    assert [one["label"] for one in answer.predictions] == ["not_qualified", "qualified"]


def test_text_without_any_known_word_gets_an_answer_too(functions):
    answer = functions["lead-qualifier"].call({"query": "", "region": ""})
    assert "No known word" in answer.rationale


@pytest.mark.parametrize(
    ("text", "company", "segment", "region"),
    [
        ("Acme Foods in Berlin, 40 people", "Acme Foods", "small business", "EMEA"),
        ("I work at Toyota in Japan, 12k employees", "Toyota", "enterprise", "APAC"),
        ("Northwind Freight (Chicago), 1,200 staff", "Northwind Freight", "enterprise", "AMER"),
        (
            "Hello from Halden Bank! We have 280 people in Madrid",
            "Halden Bank",
            "mid-market",
            "EMEA",
        ),
        ("Quilmes is a start-up in Buenos Aires", "Quilmes", "small business", "AMER"),
        ("write to bob@blue-sky.com", "Blue Sky", "unknown", "unknown"),
        ("please help us soon", "", "unknown", "unknown"),
        ("", "", "unknown", "unknown"),
    ],
)
def test_the_extractor_reads_company_segment_and_region(functions, text, company, segment, region):
    answer = functions["lead-extractor"].call({"text": text})
    expected = {"company": company, "segment": segment, "region": region}
    assert answer.output == expected
    assert 0 < answer.confidence < 1


def test_the_extractor_finds_the_region_of_every_demo_lead_that_names_a_place(functions, leads):
    extract = functions["lead-extractor"].call
    regions = [
        (extract({"text": lead["query"]}).output["region"], lead["region"]) for lead in leads
    ]
    told = [(found, true) for found, true in regions if found != "unknown"]
    assert len(told) > 100
    assert all(found == true for found, true in told)


ROWS = [
    {"text": "good great lovely", "score": 5, "mood": "happy"},
    {"text": "bad awful sad", "score": 1, "mood": "unhappy"},
    {"text": "table chair lamp", "score": 3, "mood": "neutral"},
] * 6


def test_a_classifier_learns_any_number_of_labels_from_any_columns():
    function = from_examples(ROWS, inputs=["text", "score"], label="mood", name="mood")
    assert function.output_schema["properties"]["label"]["enum"] == ["happy", "neutral", "unhappy"]
    assert function.input_schema["required"] == ["text", "score"]
    answer = function.call({"text": "awful", "score": "1"})
    assert answer.output == {"label": "unhappy"}
    assert '"awful"' in answer.rationale
    assert len(answer.predictions) == 3
    assert answer.confidence == answer.predictions[0]["confidence"]


def test_a_classifier_learns_from_one_example_of_each_label():
    function = from_examples(ROWS[:2], inputs=["text"], label="mood")
    assert function.call({"text": "lovely"}).output == {"label": "happy"}


def test_one_label_is_not_enough():
    with pytest.raises(ValueError, match="two labels"):
        from_examples(ROWS[:1], inputs=["text"], label="mood")
    with pytest.raises(ValueError, match="two labels"):
        from_examples(lambda: ROWS, inputs=["text"], label="mood")


def test_rows_may_be_loaded_at_the_first_call():
    loaded = []

    def load():
        loaded.append(True)
        return ROWS

    labels = ["happy", "neutral", "unhappy"]
    function = from_examples(load, inputs=["text"], label="mood", labels=labels)
    assert not loaded
    for _ in range(3):
        assert function.call({"text": "sad"}).output == {"label": "unhappy"}
    assert len(loaded) == 1


TICKET = "I was charged twice for the invoice, and I want my money back today."
TEAMS = {"billing": "Payments and refunds", "technical": "Bugs and outages", "sales": None}
LEVELS = ["Calm.", "Annoyed.", "Threatens to dispute the charge."]


def judged(functions, state, instructions, options):
    values = {"state": state, "instructions": instructions, "options": options}
    row = {name: json.dumps(value) for name, value in values.items()}
    answer = functions["any-question"].call(row)
    assert math.isclose(math.fsum(answer.output["probabilities"].values()), 1)
    assert answer.confidence == max(answer.output["probabilities"].values())
    return answer.output


def test_the_general_judge_answers_from_state_and_question(functions):
    team = judged(functions, TICKET, "Which team?", TEAMS)
    assert team["answer"] == "billing"
    assert team["probabilities"].keys() == TEAMS.keys()
    assert judged(functions, "The app crashes.", "Which team?", TEAMS)["answer"] == "technical"
    level = judged(functions, TICKET, "How angry?", LEVELS)
    assert level["answer"] == LEVELS[2]
    assert list(level["probabilities"]) == LEVELS
    numbered = judged(functions, TICKET, "How angry?", [{"is": one} for one in LEVELS])
    assert numbered["answer"] == "2"


def test_the_general_judge_says_yes_where_state_and_question_meet(functions):
    sides = {"yes": None, "no": None}
    risky = "Would the tool call be a destructive action?"
    delete = {"tool_call": {"name": "delete_file", "args": {"path": "/"}}}
    read = {"tool_call": {"name": "read_file", "args": {"path": "/"}}}
    assert judged(functions, delete, risky, sides)["probabilities"]["yes"] >= 0.5
    assert judged(functions, read, risky, sides)["probabilities"]["yes"] < 0.5
    told = {"yes": "It deletes something.", "no": "It only reads."}
    assert judged(functions, read, "Is it risky?", told)["answer"] == "no"


@pytest.mark.parametrize("options", ["{}", "[]", "3", "not JSON"])
def test_a_question_without_options_is_an_error_of_the_general_judge(functions, options):
    with pytest.raises(ValueError, match="no options"):
        functions["any-question"].call({"state": "x", "instructions": "?", "options": options})
