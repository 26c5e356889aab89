"""The rerank routes through the Cohere SDK, which reads answers into its own types."""

import sys

import cohere

DOCUMENTS = ["p1", '{"id": "p2", "title": "running shoes", "price": 59.9}', "p3"]


def check(results, documents):
    scores = [result.relevance_score for result in results]
    assert scores == sorted(scores, reverse=True), scores
    assert all(isinstance(score, float) and 0 < score < 1 for score in scores), scores
    assert len({result.index for result in results}) == len(results)
    assert all(0 <= result.index < len(documents) for result in results)


def main(url):
    v2 = cohere.ClientV2(api_key="none", base_url=url)
    answer = v2.rerank(model="products", query="running shoes", documents=DOCUMENTS, top_n=2)
    check(answer.results, DOCUMENTS)
    assert len(answer.results) == 2 and answer.meta.api_version.version == "2", answer

    v1 = cohere.Client(api_key="none", base_url=url)
    documents = ["p1", {"id": "p2", "title": "running shoes", "price": "59.9"}]
    answer = v1.rerank(
        model="products", query="running shoes", documents=documents, return_documents=True
    )
    check(answer.results, documents)
    assert len(answer.results) == 2 and answer.results[0].document.text.startswith("p"), answer
    assert answer.meta.api_version.version == "1", answer

    try:
        v2.rerank(model="products", query="running shoes", documents=DOCUMENTS, top_n=0)
    except cohere.errors.UnprocessableEntityError as error:
        assert error.body["error"]["path"] == "top_n", error.body
    else:
        raise AssertionError("top_n 0 was accepted")
    print(f"cohere {cohere.__version__}: ok")


if __name__ == "__main__":
    main(sys.argv[1])
