"""How a query matches the texts of all its candidates.

A query gives each of its terms a small code. One look-up over the forward index of all candidates
finds where the terms stand; from how often each occurs in each list numpy computes a feature for
all candidates at once. Sums run over the terms in the ranker's order, so they are the same.
"""

import numpy as np

K1, B = 1.2, 0.75
NAN = np.nan
TITLE, HEAD, DESCRIPTION, BULLETS, BRAND, BRAND_NAME, COLOR, CATEGORY, LEAF, GRAMS = range(10)
LISTS = 10
TEXT = [TITLE, DESCRIPTION, BULLETS, BRAND, COLOR, CATEGORY]
FIELDS = ("title", "description", "bullet_points", "category", "all")


def share(part, whole):
    return part / whole if whole else NAN


def total(parts):
    """The sum over the first axis, one after the other."""
    return np.add.reduce(parts, axis=0)


class Occurrences:
    """Where the terms of a query stand in the texts of its candidates."""

    def __init__(self, tables, query, places):
        self.query = query
        self.lengths = tables.lengths[places]
        self.known = self.lengths >= 0
        present = np.maximum(self.lengths, 0)
        starts, ends = tables.starts[places].tolist(), tables.starts[np.add(places, 1)].tolist()
        index = tables.index
        self.terms = np.concatenate([index[start:end] for start, end in zip(starts, ends)])
        codes = self.look_up(tables.scratch.codes)
        at = codes.nonzero()[0]
        codes = codes[at]
        ends = present.ravel().cumsum()
        segments = ends.searchsorted(at, side="right")
        self.ends = ends
        candidates, n = len(places), len(places) * LISTS
        self.candidates = candidates
        words = codes <= query.last
        counted = np.bincount(codes[words].astype(np.intp) * n + segments[words], minlength=(query.last + 1) * n)
        # By code, candidate and list.
        self.counts = counted.reshape(-1, candidates, LISTS)
        self.has = self.counts > 0
        if not words.all():
            grams = ~words
            grams = (codes[grams] - query.last).astype(np.intp) * candidates + segments[grams] // LISTS
            grams = np.bincount(grams, minlength=(len(query.grams) + 1) * candidates)
            self.found_grams = (grams.reshape(-1, candidates) > 0).sum(axis=0)
        else:
            self.found_grams = np.zeros(candidates)
        in_title = (segments % LISTS == TITLE) & (codes <= len(query.terms))
        self.title_at, self.title_codes = at[in_title], codes[in_title]
        self.title_of = segments[in_title] // LISTS

    def look_up(self, scratch):
        ids, codes = list(self.query.codes.keys()), list(self.query.codes.values())
        grams = self.query.grams
        scratch[ids] = codes
        scratch[grams] = range(self.query.last + 1, self.query.last + 1 + len(grams))
        found = scratch.take(self.terms)
        scratch[ids] = 0
        scratch[grams] = 0
        return found

    def anywhere(self, code):
        return self.has[code][:, TEXT].any(axis=1)

    def groups(self, groups, lists):
        """How many of the groups each candidate names."""
        named = np.zeros(self.candidates)
        for group in groups:
            named += self.has[group][:, :, lists].any(axis=(0, 2))
        return named


def text_features(tables, query, places):
    """One row for each candidate; columns as in `tables.computed`."""
    seen = Occurrences(tables, query, places)
    values = {"query_terms": len(query.words)}
    values["title_trigrams"] = seen.found_grams / query.distinct_grams
    if query.terms:
        idf_of_all = [idfs[4] for idfs in query.idfs]
        values["query_mean_idf"] = sum(idf_of_all) / len(idf_of_all)
        values["query_rarest_idf"] = max(idf_of_all)
        fields(tables, query, seen, values)
        title(query, seen, values)
        phrases(query, seen, values)
        names(tables, query, (seen, places), values)
        meaning(query, seen, values)
    else:
        values["query_mean_idf"] = values["query_rarest_idf"] = 0.0
    block = np.empty((len(tables.computed), len(places)))
    for row, name in zip(block, tables.computed):
        row[:] = values.get(name, NAN)
    block = block.T
    untitled = ~seen.known[:, TITLE]
    if untitled.any():
        of_title = [name.startswith("title_") or name in ("number_match", "unwanted_in_title") for name in tables.computed]
        block[np.ix_(untitled, of_title)] = NAN
    return block


def fields(tables, query, seen, values):
    k = len(query.terms)
    of_terms = seen.counts[1:k + 1]
    frequency = np.empty((k, seen.candidates, len(FIELDS)))
    frequency[:, :, :4] = of_terms[:, :, [TITLE, DESCRIPTION, BULLETS, CATEGORY]]
    frequency[:, :, 4] = of_terms[:, :, TEXT].sum(axis=2)
    length = np.empty((seen.candidates, len(FIELDS)))
    present = np.maximum(seen.lengths, 0)
    length[:, :4] = present[:, [TITLE, DESCRIPTION, BULLETS, CATEGORY]]
    length[:, 4] = present[:, TEXT].sum(axis=1)
    averages = tables.averages
    relative = np.where(averages > 0.0, length / averages, 1.0)
    saturation = frequency * (K1 + 1.0) / (frequency + K1 * (1.0 - B + B * relative))
    idfs = np.array(query.idfs)
    weights = np.array(query.counts)[:, None] * idfs
    score = total(weights[:, None] * saturation)
    found = frequency > 0.0
    of_found = np.where(found, idfs[:, None], 0.0)
    of_missing = np.where(found, 0.0, idfs[:, None])
    matched = {
        "bm25": score,
        "bm25_share": score / total(weights * (K1 + 1.0)),
        "coverage": found.sum(axis=0) / k,
        "idf_coverage": total(of_found) / total(idfs),
        "rarest_found": of_found.max(axis=0),
        "rarest_missing": of_missing.max(axis=0),
    }
    for column, (field, place) in enumerate(zip(FIELDS, (TITLE, DESCRIPTION, BULLETS, CATEGORY, None))):
        missing = None if place is None or seen.known[:, place].all() else ~seen.known[:, place]
        for name, of_field in matched.items():
            value = of_field[:, column]
            if missing is not None:
                value[missing] = NAN
            values[f"{field}_{name}"] = value


def title(query, seen, values):
    k = len(query.terms)
    of_terms = seen.counts[1:k + 1]
    first = np.full(seen.candidates, NAN)
    # The last assignment stays: that of the first place.
    titles = seen.title_of[::-1]
    starts = seen.ends[titles * LISTS] - np.maximum(seen.lengths[titles, TITLE], 0)
    first[titles] = seen.title_at[::-1] - starts
    values["title_first_match"] = first
    values["title_head_coverage"] = (of_terms[:, :, HEAD] > 0).sum(axis=0) / k
    values["title_head_used"] = of_terms[:, :, HEAD].sum(axis=0) / seen.lengths[:, HEAD]
    values["title_used"] = of_terms[:, :, TITLE].sum(axis=0) / seen.lengths[:, TITLE]


def phrases(query, seen, values):
    tokens, k = query.ids, len(query.terms)
    exact, prefix = np.zeros(seen.candidates), np.zeros(seen.candidates)
    for candidate in seen.has[1:k + 1, :, TITLE].all(axis=0).nonzero()[0].tolist():
        end = seen.ends[candidate * LISTS]
        words = seen.terms[end - seen.lengths[candidate, TITLE]:end].tolist()
        prefix[candidate] = words[:len(tokens)] == tokens
        exact[candidate] = any(words[at:at + len(tokens)] == tokens for at in range(len(words) - len(tokens) + 1))
    values["title_exact"], values["title_prefix"] = exact, prefix
    pairs = list(zip(tokens, tokens[1:]))
    found = np.zeros(seen.candidates)
    at, codes, of = seen.title_at, seen.title_codes, seen.title_of
    beside = ((at[1:] - at[:-1] == 1) & (of[1:] == of[:-1])).nonzero()[0]
    if pairs and len(beside):
        left, right, of = codes[beside], codes[beside + 1], of[beside]
        for one, other in pairs:
            has = np.zeros(seen.candidates)
            has[of[(left == query.of(one)) & (right == query.of(other))]] = 1.0
            found += has
    values["title_bigrams"] = share(found, len(pairs))


def names(tables, query, candidates, values):
    seen, places = candidates
    k = len(query.terms)
    in_brand = seen.counts[1:k + 1, :, BRAND].sum(axis=0)
    length = seen.lengths[:, BRAND]
    values["brand_match"] = np.where(length > 0, in_brand == length, NAN)
    in_category = seen.has[1:k + 1, :, CATEGORY].sum(axis=0) / k
    values["category_match"] = np.where(seen.lengths[:, CATEGORY] > 0, in_category, NAN)
    weights = tables.scratch.weights
    for label in ("brand", "category"):
        own = tables.names[label][places]
        whole, labels = 0.0, []
        for id, idfs in zip(map(tables.terms.get, query.terms), query.idfs):
            if id is None:
                continue
            found, items, titles = tables.labels[label][id]
            if len(found):
                whole += idfs[TITLE]
                weights[found] += idfs[TITLE] * items / titles
                labels.append(found)
        named = own >= 0
        if labels:
            labels = np.concatenate(labels)
            best = (weights[labels] / whole).max()
            shares = np.where(named, weights[own] / whole, NAN)
            weights[labels] = 0.0
            values[f"{label}_affinity"], values[f"{label}_affinity_relative"] = shares, shares / best
        else:
            values[f"{label}_affinity"] = np.where(named, 0.0, NAN)
        if label == "brand" and query.brands:
            values["brand_named"] = np.where(named, np.isin(own, query.brands), NAN)


def meaning(query, seen, values):
    if query.numbers:
        in_title = seen.has[query.numbers][:, :, TITLE]
        values["number_match"] = in_title.sum(axis=0) / len(query.numbers)
    if query.unwanted:
        unwanted(query, seen, values)
    asked, others = query.audience
    if asked:
        lists = [TITLE, CATEGORY]
        own, other = seen.groups(asked, lists), seen.groups(others, lists)
        one_says = own + other > 0
        values["audience_match"] = np.where(one_says, (own > 0).astype(float) - (other > 0), NAN)
    asked, others = query.colours
    if asked:
        lists = [TITLE, COLOR]
        values["colour_match"] = seen.groups(asked, lists) / len(asked)
        values["other_colours"] = seen.groups(others, lists)


def unwanted(query, seen, values):
    count = len(query.unwanted)
    values["unwanted_in_title"] = sum(seen.has[code][:, TITLE] * 1.0 for code, _ in query.unwanted) / count
    values["unwanted_anywhere"] = sum(seen.anywhere(code) * 1.0 for code, _ in query.unwanted) / count
    in_title, anywhere, less = (np.zeros(seen.candidates, dtype=bool) for _ in range(3))
    for code in query.absence:
        in_title |= seen.has[code][:, TITLE]
        anywhere |= seen.anywhere(code)
    values["says_without"] = np.where(in_title, 2.0, anywhere)
    numbers = {code: id for id, code in query.codes.items()}
    free = numbers.get(query.free)
    for code, without in query.unwanted:
        less |= seen.anywhere(without)
        if code and free is not None:
            both = seen.has[code][:, TITLE] & seen.has[query.free][:, TITLE]
            for candidate in both.nonzero()[0].tolist():
                end = seen.ends[candidate * LISTS]
                words = seen.terms[end - seen.lengths[candidate, TITLE]:end].tolist()
                less[candidate] |= (numbers[code], free) in zip(words, words[1:])
    values["says_less"] = less
