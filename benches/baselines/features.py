"""The ranker's features in Python, as a careful service would compute them.

The tables are in memory: what does not depend on the query is a row of a matrix, texts are a
forward index of numbered terms.
"""

import json
import math
import os
import threading

import lightgbm
import numpy as np
import orjson
import Stemmer

from matching import text_features
from query import Query


class Scratch(threading.local):
    """All zero between two requests of a thread."""

    def __init__(self, terms, grams):
        self.codes = np.zeros(terms + grams, dtype=np.int16)
        self.weights = np.zeros(terms)


class Tables:
    def __init__(self, folder):
        def path(name):
            return os.path.join(folder, name)

        def array(name, kind, *shape):
            return np.fromfile(path(name), dtype=kind).reshape(*shape)

        with open(path("meta.json")) as file:
            meta = json.load(file)
        self.columns = {name: column for column, name in enumerate(meta["features"])}
        self.computed = meta["computed"]
        self.computed_columns = [self.columns[name] for name in self.computed]
        self.lists = {name: place for place, name in enumerate(meta["lists"])}
        self.collections = meta["collections"]
        self.documents = meta["documents"]
        self.averages = np.array([tokens / self.documents for tokens in meta["tokens"]])
        with open(path("../ids")) as file:
            self.places = {item: place for place, item in enumerate(file.read().split("\n"))}
        self.rows = array("rows.f32", "<f4", -1, len(self.columns))
        self.added = array("added.f64", "<f8", -1)
        self.read_terms(path, array)
        self.index = array("index.u32", "<u4", -1)
        self.lengths = array("lengths.i32", "<i4", -1, len(self.lists) + 1)
        present = np.maximum(self.lengths, 0)
        self.starts = np.concatenate(([0], present.sum(axis=1).cumsum()))
        self.names = {
            "brand": self.names_of(self.lists["BrandName"], present),
            "category": self.names_of(self.lists["CategoryLeaf"], present),
        }
        self.stemmer = Stemmer.Stemmer("english")
        self.scratch = Scratch(len(self.terms), len(self.grams))
        self.pairs = {}
        with open(path("pairs.ndjson"), "rb") as file:
            for line in file:
                key, item, values = orjson.loads(line)
                values = [(int(column), math.nan if value is None else value) for column, value in values.items()]
                self.pairs.setdefault(key, {})[item] = values

    def read_terms(self, path, array):
        with open(path("terms")) as file:
            self.terms = {term: row for row, term in enumerate(file.read().split("\n")[:-1])}
        with open(path("grams.json")) as file:
            self.grams = {gram: len(self.terms) + number for gram, number in json.load(file).items()}
        documents = np.minimum(array("documents.u32", "<u4", -1, len(self.collections)), self.documents)
        self.idfs = [[self.idf(count) for count in counts] for counts in documents.tolist()]
        self.unknown_idfs = [self.idf(0)] * len(self.collections)
        # Of each term, the labels that titles with it have, in how many of them, and how many there are.
        titles = (documents[:, 0] + 1.0).tolist()
        self.labels = {}
        for label in self.LABELS:
            starts = array(f"{label}.starts.u32", "<u4", -1).tolist()
            pairs = array(f"{label}.labels.u32", "<u4", -1, 2)
            labels, items = pairs[:, 0].astype(np.intp), pairs[:, 1].astype(float)
            self.labels[label.lower()] = [
                (labels[start:end], items[start:end], count) for start, end, count in zip(starts, starts[1:], titles)
            ]

    LABELS = ("Brand", "Category")

    def idf(self, containing):
        return math.log(1.0 + (self.documents - containing + 0.5) / (containing + 0.5))

    def names_of(self, place, present):
        """The only term of a list of each item, −1 for none."""
        names = np.full(len(present), -1, dtype=np.intp)
        has = present[:, place] > 0
        first = self.starts[:-1] + present[:, :place].sum(axis=1)
        names[has] = self.index[first[has]]
        return names

    def matrix(self, query, items, now):
        """Rows of the items, all of which are known, in their order."""
        places = [self.places[item] for item in items]
        rows = self.rows[places]
        rows[:, self.columns["age_days"]] = np.maximum(now - self.added[places], 0.0) / 86400.0
        query = Query(self, query)
        if query.key:
            with np.errstate(invalid="ignore"):
                rows[:, self.computed_columns] = text_features(self, query, places)
        counted = self.pairs.get(query.key)
        if counted:
            for row, item in enumerate(items):
                for column, value in counted.get(item, ()):
                    rows[row, column] = value
        return rows


class Ranker:
    def __init__(self):
        self.tables = Tables(os.environ["BENCH_EXPORT"])
        self.forest = lightgbm.Booster(model_file=os.environ["BENCH_MODEL"])

    def scores(self, query, items, now):
        return self.forest.predict(self.tables.matrix(query, items, now), num_threads=1)
