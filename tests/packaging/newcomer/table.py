"""A CSV of leads, judged as one job, with the answers in a file of their own."""

import csv
from pathlib import Path

from langchain_sutro import SutroFunction

with Path("leads.csv").open("w", newline="", encoding="utf-8") as file:
    writer = csv.writer(file)
    writer.writerow(["query", "region"])
    writer.writerows([["We need 200 seats by Friday", "APAC"], ["Please unsubscribe me", "EMEA"]])

results = SutroFunction("lead-qualifier").submit("leads.csv").results()
judged = results.join("leads.csv").to_pandas()
judged.to_csv("judged.csv", index=False)
results.to_parquet("answers.parquet")
print(list(judged["label"]))
