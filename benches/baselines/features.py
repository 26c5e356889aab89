"""The ranker's features in Python, as a careful service would compute them.

The tables are in memory: what does not depend on the query is a row of a matrix, texts are tuples
of shared strings, so that counting a token is one call into C.
"""

import json
import math
import os
import re
import unicodedata

import lightgbm
import numpy as np
import orjson
import Stemmer

K1, B = 1.2, 0.75
MAX_QUERY_TERMS = 64
WORD = re.compile(r"[^\W_]+")
NAN = math.nan


def fold(text):
    if text.isascii():
        return text.lower()
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text).lower()
    return unicodedata.normalize("NFKC", text)


class Tables:
    def __init__(self, folder):
        with open(os.path.join(folder, "meta.json")) as file:
            meta = json.load(file)
        self.columns = {name: column for column, name in enumerate(meta["features"])}
        self.computed = [(name, self.columns[name]) for name in meta["computed"] if name != "age_days"]
        self.documents = meta["documents"]
        self.title_average = meta["title_tokens"] / self.documents
        self.all_average = meta["all_tokens"] / self.documents
        self.title_documents = meta["title_documents"]
        self.all_documents = meta["all_documents"]
        self.rows = np.fromfile(os.path.join(folder, "rows.f32"), dtype="<f4").reshape(-1, len(self.columns))
        self.stemmer = Stemmer.Stemmer("english")
        self.read_items(os.path.join(folder, "items.ndjson"))
        self.pairs = {}
        with open(os.path.join(folder, "pairs.ndjson"), "rb") as file:
            for line in file:
                key, item, values = orjson.loads(line)
                self.pairs[key, item] = [(int(column), NAN if value is None else value) for column, value in values.items()]

    def read_items(self, path):
        shared = {}

        def tokens(words):
            return None if words is None else tuple(shared.setdefault(word, word) for word in words)

        self.places = {}
        self.texts = []
        self.added = np.empty(self.documents)
        with open(path, "rb") as file:
            for place, line in enumerate(file):
                item, added, key, title, description, brand, category = orjson.loads(line)
                title, brand, category = tokens(title), tokens(brand), tokens(category)
                every = (title or ()) + (tokens(description) or ()) + (brand or ()) + (category or ())
                self.places[item] = place
                self.added[place] = NAN if added is None else added
                self.texts.append((key, title, every, brand, category))

    def matrix(self, query, items, now):
        """Rows of the items, all of which are known, in their order."""
        places = [self.places[item] for item in items]
        rows = self.rows[places]
        age = self.columns.get("age_days")
        if age is not None:
            rows[:, age] = np.maximum(now - self.added[places], 0.0) / 86400.0
        analysed = Query(self, query)
        rows[:, [column for _, column in self.computed]] = [analysed.features(self.texts[place]) for place in places]
        pairs, key = self.pairs, analysed.key
        for row, item in zip(rows, items):
            for column, value in pairs.get((key, item), ()):
                row[column] = value
        return rows


class Query:
    """A query, analysed once for all its candidates."""

    def __init__(self, tables, text):
        folded = fold(text)
        self.key = " ".join(folded.split())
        self.tokens = tuple(tables.stemmer.stemWords(WORD.findall(folded)))[:MAX_QUERY_TERMS]
        self.names = [name for name, _ in tables.computed]
        self.length = len(self.tokens)
        self.terms = []
        for token in sorted(set(self.tokens)):
            count = float(self.tokens.count(token))
            self.terms.append((
                token,
                count * idf(tables.title_documents.get(token, 0), tables.documents),
                count * idf(tables.all_documents.get(token, 0), tables.documents),
            ))
        self.title_best = sum(title * (K1 + 1.0) for _, title, _ in self.terms)
        self.all_best = sum(every * (K1 + 1.0) for _, _, every in self.terms)
        if len(self.key) < 3:
            self.grams = {self.key} if self.key else set()
        else:
            self.grams = {self.key[start:start + 3] for start in range(len(self.key) - 2)}
        self.title_average, self.all_average = tables.title_average, tables.all_average

    def features(self, text):
        key, title, every, brand, category = text
        values = dict.fromkeys(self.names, NAN)
        values["query_terms"] = self.length
        if not self.length:
            return [values[name] for name in self.names]
        terms = self.terms
        score, found = self.match(every, 2, self.all_average)
        values["all_bm25"], values["all_bm25_share"] = score, score / self.all_best
        values["all_coverage"] = found / len(terms)
        if title is not None:
            score, found = self.match(title, 1, self.title_average)
            values["title_bm25"], values["title_bm25_share"] = score, score / self.title_best
            values["title_coverage"] = found / len(terms)
            length, tokens = self.length, self.tokens
            values["title_prefix"] = float(title[:length] == tokens)
            values["title_exact"] = float(
                any(title[at:at + length] == tokens for at in range(len(title) - length + 1)) if found == len(terms) else False
            )
            shared = sum(gram in key for gram in self.grams) if len(self.key) > 2 else float(self.key == key)
            values["title_trigrams"] = shared / len(self.grams)
        if brand:
            values["brand_match"] = float(all(token in self.tokens for token in brand))
        if category:
            values["category_match"] = sum(term[0] in category for term in terms) / len(terms)
        return [values[name] for name in self.names]

    def match(self, tokens, weight, average):
        score, found = 0.0, 0.0
        norm = K1 * (1.0 - B + B * len(tokens) / average)
        for term in self.terms:
            count = tokens.count(term[0])
            if count:
                found += 1.0
                score += term[weight] * (count * (K1 + 1.0) / (count + norm))
        return score, found


def idf(containing, documents):
    return math.log(1.0 + (documents - containing + 0.5) / (containing + 0.5))


class Ranker:
    def __init__(self):
        self.tables = Tables(os.environ["BENCH_EXPORT"])
        self.forest = lightgbm.Booster(model_file=os.environ["BENCH_MODEL"])

    def scores(self, query, items, now):
        return self.forest.predict(self.tables.matrix(query, items, now), num_threads=1)
