"""A query, analysed once for all its candidates."""

import re
import unicodedata

K1 = 1.2
MAX_TERMS, MAX_TRIGRAMS, MAX_BRAND_WORDS = 64, 256, 3
WORD = re.compile(r"[^\W_]+")

NEGATIONS = {"without", "no", "not"}
ROLES = NEGATIONS | {"for", "with", "compatible"} | set(
    "the a an of and to in on by or is it your my from at".split()
)
ABSENCE = ("without", "no", "not", "non", "sans", "free")
AUDIENCES = (
    ("women", "woman", "womens", "ladies", "lady"),
    ("girl", "girls"),
    ("men", "mens", "man"),
    ("boy", "boys"),
    ("kid", "kids", "child", "children", "toddler", "toddlers", "baby", "infant", "newborn"),
    ("adult", "adults"),
)
COLOURS = tuple((name,) for name in "black white red blue green yellow brown tan pink purple orange".split()) + (
    ("grey", "gray"),
    ("silver",),
    ("gold",),
    ("beige",),
    ("navy",),
    ("clear",),
)
# Most queries name none of a group, so that a word is looked up before the groups are.
AUDIENCE_WORDS = frozenset(word for group in AUDIENCES for word in group)
COLOUR_WORDS = frozenset(word for group in COLOURS for word in group)


def fold(text):
    if text.isascii():
        return text.lower()
    for _ in range(2):
        text = unicodedata.normalize("NFKC", text).lower()
    return unicodedata.normalize("NFKC", text)


def is_number(word):
    if word.isascii():
        return not word.isalpha()
    return any(unicodedata.category(c)[0] == "N" for c in word)


class Query:
    def __init__(self, tables, text):
        self.tables = tables
        folded = fold(text)
        self.key = " ".join(folded.split())
        if not self.key:
            return
        self.words = WORD.findall(folded)[:MAX_TERMS]
        stems = tables.stemmer.stemWords(self.words)
        known = tables.terms
        # Codes of terms, from 1 in the order in which sums run, 0 for a term that no text has.
        self.terms = sorted(set(stems))
        self.codes = {known[term]: code for code, term in enumerate(self.terms, 1) if term in known}
        self.stems = stems
        self.ids = [known.get(stem) for stem in stems]
        self.counts = [float(stems.count(term)) for term in self.terms]
        idfs, unknown = tables.idfs, tables.unknown_idfs
        self.idfs = [idfs[known[term]] if term in known else unknown for term in self.terms]
        self.last = len(self.terms)
        self.grams = self.grams_of()
        self.ask()

    def grams_of(self):
        key = self.key
        windows = {key[at:at + 3] for at in range(min(max(len(key) - 2, 1), MAX_TRIGRAMS))}
        known = self.tables.grams
        self.distinct_grams = len(windows)
        return [known[gram] for gram in windows if gram in known]

    def ask(self):
        """What the query asks for beside its terms, as codes."""
        words = self.words
        self.numbers = [self.of(id) for word, id in zip(words, self.ids) if is_number(word)]
        self.unwanted = []
        first = next((place for place, word in enumerate(words) if word in NEGATIONS), 0)
        if first:
            self.rule_out(first)
        self.audience = self.choice(AUDIENCES, AUDIENCE_WORDS)
        self.colours = self.choice(COLOURS, COLOUR_WORDS)
        self.brands = [
            self.tables.terms[name]
            for size in range(1, MAX_BRAND_WORDS + 1)
            for start in range(len(words) - size + 1)
            if (name := "@" + "@".join(words[start:start + size])) in self.tables.terms
        ]

    def rule_out(self, negation):
        stem = self.tables.stemmer.stemWord
        for word, own, id in zip(self.words[negation + 1:], self.stems[negation + 1:], self.ids[negation + 1:]):
            if word not in ROLES:
                self.unwanted.append((self.of(id), self.named(stem(own + "less"))))
        if self.unwanted:
            self.absence = [self.named(stem(word)) for word in ABSENCE]
            self.free = self.named(stem("free"))

    def choice(self, groups, any_of):
        """Codes of the groups that the query names and of the others; none where it names none."""
        if any_of.isdisjoint(self.words):
            return [], []
        asked, others = [], []
        stem = self.tables.stemmer.stemWord
        for group in groups:
            named = any(word in self.words for word in group)
            (asked if named else others).append([self.named(stem(word)) for word in group])
        return asked, others

    def named(self, term):
        return self.of(self.tables.terms.get(term))

    def of(self, id):
        """A term's code, a new one if need be."""
        if id is None:
            return 0
        code = self.codes.get(id)
        if code is None:
            self.last += 1
            code = self.codes[id] = self.last
        return code
