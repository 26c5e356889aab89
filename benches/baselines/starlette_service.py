"""Tuned by hand: Starlette and orjson, nothing validated."""

import time
import uuid

import orjson
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from features import Ranker

ranker = Ranker()


async def health(_):
    return Response("ok")


async def rank(request):
    body = orjson.loads(await request.body())
    items = [product["id"] for product in body["products"]]
    scores = ranker.scores(body["query"], items, time.time())
    order = (-scores).argsort(kind="stable").tolist()
    scores = scores.tolist()
    products = [{"id": items[place], "score": scores[place]} for place in order]
    answer = orjson.dumps({"query_id": str(uuid.uuid4()), "products": products})
    return Response(answer, media_type="application/json")


app = Starlette(routes=[Route("/health", health), Route("/rank", rank, methods=["POST"])])
