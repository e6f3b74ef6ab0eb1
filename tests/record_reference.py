"""Record a model's float32 answers for `lifecycle/data/references.toml`; prints the row.

Run by an engine's Python (it has torch and transformers), from the checkout's root:

    PYTHONPATH=. ENGINE/bin/python -m tests.record_reference FOLDER MODEL
"""

import datetime as dt
import sys
from itertools import pairwise

import torch
import transformers

from lifecycle.tables import known_answers
from lifecycle.verification.observation import Observation, TokenScore


def main(folder: str, model: str) -> None:
    """Print the row of the model in a folder, which `MODEL=` names so."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = tokenizer(known_answers.passage().prompt).input_ids
    with torch.no_grad():
        table = network(torch.tensor([ids])).logits[0].log_softmax(-1)
    scores = tuple(
        TokenScore(following, float(row[following]), int(row.argmax()))
        for row, (_, following) in zip(table, pairwise(ids), strict=False)
    )
    prose = Observation(scores).prose
    print(
        f"""
[[reference]]
model = "{model}"
tokens = {[score.token for score in scores]}
logprobs = {[round(score.logprob, 3) for score in prose]}
top = {[score.top for score in prose]}
source = "transformers {transformers.__version__} in float32, on the CPU"
checked = {dt.datetime.now(tz=dt.UTC).date()}"""
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
