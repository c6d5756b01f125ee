"""What RecTools has: transformers, EASE and what is popular."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import EASEModel, PopularModel
from rectools.models.nn.transformers.hstu import HSTUModel
from rectools.models.nn.transformers.ligr import LiGRLayers
from rectools.models.nn.transformers.sasrec import SASRecModel

from tests.bench.accuracy.task import Ints, Question, Rows

Lists = Iterator[tuple[int, Ints]]


def popular(question: Question, rows: Rows) -> Lists:
    """What most users met in the last `days`."""
    options = dict(question.options)
    days = options.pop("days", None)
    model = PopularModel(**options, period=timedelta(days=float(days)) if days else None)
    yield 0, _fitted_lists(model, question, rows)


def ease(question: Question, rows: Rows) -> Lists:
    """The linear model in closed form."""
    model = EASEModel(**question.options, num_threads=1, recommend_n_threads=1, recommend_use_gpu_ranking=False)
    yield 0, _fitted_lists(model, question, rows)


def transformer(kind: type[Any]) -> Callable[[Question, Rows], Lists]:
    """SASRec or HSTU, after each number of epochs of one training."""

    def lists(question: Question, rows: Rows) -> Lists:
        options = dict(question.options)
        if options.pop("ligr", False):
            options["transformer_layers_type"] = LiGRLayers  # eSASRec's layers
        seed_everything(question.seed)
        model = kind(**options, get_trainer_func=_trainer, recommend_torch_device="cpu")
        dataset, done = _dataset(rows), 0
        for epochs in question.checkpoints:
            model.fit_partial(dataset, min_epochs=epochs - done, max_epochs=epochs - done)
            yield epochs, _lists(model, dataset, question, rows)
            done = epochs

    return lists


def _trainer() -> Trainer:
    """One that writes and prints nothing; fit_partial says how long it trains."""
    return Trainer(
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _dataset(rows: Rows) -> Dataset:
    """Equal times become nanoseconds apart, so that the order of the log holds."""
    apart = pd.to_datetime(rows.timestamp * 1_000_000 + np.arange(len(rows.user)), unit="ns")
    columns = {Columns.User: rows.user, Columns.Item: rows.item, Columns.Weight: 1.0, Columns.Datetime: apart}
    return Dataset.construct(pd.DataFrame(columns))


def _fitted_lists(model: Any, question: Question, rows: Rows) -> Ints:
    dataset = _dataset(rows)
    return _lists(model.fit(dataset), dataset, question, rows)


def _lists(model: Any, dataset: Dataset, question: Question, rows: Rows) -> Ints:
    """Best first, without what was met; users whom the model does not know get nothing."""
    context = pd.DataFrame({Columns.User: rows.asked, Columns.Datetime: pd.to_datetime(rows.now, unit="ms")})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = model.recommend(
            rows.asked,
            dataset,
            k=question.top,
            filter_viewed=True,
            on_unsupported_targets="ignore",
            context=context if model.require_recommend_context else None,
        )
    place = pd.Series(np.arange(len(rows.asked)), rows.asked)
    items = np.zeros((len(rows.asked), question.top), dtype=np.int64)
    items[place[found[Columns.User]].to_numpy(), found[Columns.Rank].to_numpy() - 1] = found[Columns.Item]
    return items


torch.set_num_threads(1)
MODELS: Mapping[str, Callable[[Question, Rows], Lists]] = {
    "popular": popular,
    "ease": ease,
    "sasrec": transformer(SASRecModel),
    "hstu": transformer(HSTUModel),
}
