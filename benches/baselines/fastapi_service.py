"""The usual way: FastAPI, a pydantic model for the request and one for the answer."""

import time
import uuid

from fastapi import FastAPI
from pydantic import BaseModel, Field

from features import Ranker


class Product(BaseModel):
    id: str | int
    title: str | None = None
    description: str | None = None
    brand: str | None = None
    category: str | None = None
    price: float | None = None
    rating: float | None = None
    rating_count: float | None = None
    stock: float | None = None


class Request(BaseModel):
    query: str = Field(max_length=1000)
    user_id: str | int | None = None
    products: list[Product] = Field(max_length=1000)
    top_k: int | None = Field(default=None, ge=1)


class Ranked(BaseModel):
    id: str | int
    score: float


class Answer(BaseModel):
    query_id: str
    products: list[Ranked]


app = FastAPI()
ranker = Ranker()


@app.get("/health")
def health():
    return "ok"


@app.post("/rank")
def rank(request: Request) -> Answer:
    items = [product.id for product in request.products]
    scores = ranker.scores(request.query, items, time.time())
    ranked = sorted(zip(items, scores), key=lambda pair: -pair[1])
    products = [Ranked(id=item, score=score) for item, score in ranked]
    return Answer(query_id=str(uuid.uuid4()), products=products)
