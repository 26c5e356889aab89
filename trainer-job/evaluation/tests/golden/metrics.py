"""Writes metrics.json: lists with the figures that independent implementations give them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install scikit-learn==1.9.1 ranx
    /tmp/venv/bin/python metrics.py > metrics.json

NDCG is scikit-learn's ndcg_score, which averages over ties itself. The others are ranx's; it breaks
ties by chance, so that tied lists are broken in every possible way here and averaged. ranx divides
MAP by all positives, we divide by what the cut-off can hold. ERR is in neither: it is written out
from Chapelle et al. 2009, again over every order. A list without a positive has no figure.
"""

import itertools
import json
import random

import numpy as np
import ranx
from sklearn.metrics import average_precision_score, ndcg_score

K = [1, 3, 10]


def orders(scores):
    """Every way to break ties, as scores without ties."""
    groups = {}
    for index, score in enumerate(scores):
        groups.setdefault(score, []).append(index)
    blocks = [list(itertools.permutations(groups[s])) for s in sorted(groups, reverse=True)]
    for chosen in itertools.product(*blocks):
        ranked = [index for block in chosen for index in block]
        broken = [0.0] * len(scores)
        for place, index in enumerate(ranked):
            broken[index] = float(len(scores) - place)
        yield broken


def with_ranx(labels, scores, metrics):
    qrels = ranx.Qrels({"q": {f"d{i}": int(l) for i, l in enumerate(labels) if l > 0}})
    run = ranx.Run({"q": {f"d{i}": s for i, s in enumerate(scores)}})
    return ranx.evaluate(qrels, run, metrics)


def err(labels, scores, k):
    going, value = 1.0, 0.0
    ranked = sorted(range(len(labels)), key=lambda i: -scores[i])
    for rank, index in enumerate(ranked[:k], 1):
        stop = (2 ** labels[index] - 1) / 8
        value += going * stop / rank
        going *= 1 - stop
    return value


def figures(labels, scores):
    positives = sum(label > 0 for label in labels)
    if positives == 0:
        return None
    found = {f"ERR@{k}": [] for k in K}
    found |= {f"{name}@{k}": [] for name in ["MRR", "MAP", "Recall"] for k in K}
    names = [f"{name}@{k}" for name in ["mrr", "map", "recall"] for k in K]
    for broken in orders(scores):
        values = with_ranx(labels, broken, names)
        for k in K:
            found[f"MRR@{k}"].append(values[f"mrr@{k}"])
            found[f"MAP@{k}"].append(values[f"map@{k}"] * positives / min(positives, k))
            found[f"Recall@{k}"].append(values[f"recall@{k}"])
            found[f"ERR@{k}"].append(err(labels, broken, k))
    result = {name: float(np.mean(values)) for name, values in found.items()}
    gains = [2.0**label - 1 for label in labels]
    for k in K:
        result[f"NDCG@{k}"] = float(ndcg_score([gains], [scores], k=k)) if len(labels) > 1 else 1.0
    if len(set(scores)) == len(scores) and len(scores) <= max(K):
        binary = [int(label > 0) for label in labels]
        assert abs(average_precision_score(binary, scores) - result["MAP@10"]) < 1e-12
    return result


def main():
    draw = random.Random(7)
    cases = []
    while len(cases) < 60:
        n = draw.randint(1, 14)
        tied = draw.random() < 0.6
        scores = [float(draw.randint(0, n) if tied else draw.random()) for _ in range(n)]
        labels = [draw.choices([0, 1, 2, 3], [6, 3, 1, 1])[0] for _ in range(n)]
        if sum(1 for _ in itertools.islice(orders(scores), 200)) >= 200:
            continue
        cases.append({"scores": scores, "labels": labels, "figures": figures(labels, scores)})
    assert sum(case["figures"] is None for case in cases) >= 3
    means = {}
    for name in next(case["figures"] for case in cases if case["figures"]):
        means[name] = float(np.mean([c["figures"][name] for c in cases if c["figures"]]))
    text = ",\n    ".join(json.dumps(case) for case in cases)
    print('{\n  "mean": %s,\n  "lists": [\n    %s\n  ]\n}' % (json.dumps(means), text))


main()
