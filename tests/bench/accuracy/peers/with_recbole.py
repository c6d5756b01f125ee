"""What RecBole has: LightGCN."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.config import Config
from recbole.data import create_dataset
from recbole.data.dataloader import TrainDataLoader
from recbole.model.general_recommender.lightgcn import LightGCN
from recbole.sampler import Sampler
from recbole.trainer import Trainer
from recbole.utils import init_seed
from scipy.sparse import coo_matrix, diags

from tests.bench.accuracy.task import Ints, Question, Rows

Lists = Iterator[tuple[int, Ints]]


class Graph(LightGCN):  # type: ignore[misc]  # RecBole has no types
    """LightGCN, its normalised graph made without a method that scipy 1.13 took away; the matrix is the same."""

    def get_norm_adj_mat(self) -> torch.Tensor:
        """D^-0.5 A D^-0.5, users before items. Sparse (users + items, users + items)."""
        met = self.interaction_matrix
        size = self.n_users + self.n_items
        rows, columns = (
            np.concatenate(pair) for pair in ((met.row, met.col + self.n_users), (met.col + self.n_users, met.row))
        )
        edges = coo_matrix((np.ones(len(rows), dtype=np.float32), (rows, columns)), (size, size)).tocsr()
        edges.data[:] = 1.0
        scale = diags(np.power(np.asarray(edges.sum(1)).ravel() + 1e-7, -0.5))
        normed = (scale @ edges @ scale).tocoo()
        place = torch.from_numpy(np.stack([normed.row, normed.col]).astype(np.int64))
        return torch.sparse_coo_tensor(place, torch.from_numpy(normed.data).float(), normed.shape)


def lightgcn(question: Question, rows: Rows) -> Lists:
    """After each number of epochs of one training."""
    with tempfile.TemporaryDirectory() as folder:
        config = _config(Path(folder), question, rows)
        init_seed(question.seed, reproducibility=True)
        logging.disable(logging.INFO)
        dataset = create_dataset(config)
        dataset.build()
        sampler = Sampler(["train"], [dataset]).set_phase("train")
        loader = TrainDataLoader(config, dataset, sampler, shuffle=True)
        model = Graph(config, dataset)
        trainer = Trainer(config, model)
        for epoch in range(1, max(question.checkpoints) + 1):
            model.train()
            trainer._train_epoch(loader, epoch)  # fit() would split off a validation of its own
            if epoch in question.checkpoints:
                yield epoch, _lists(model, dataset, question, rows)


def _config(folder: Path, question: Question, rows: Rows) -> Config:
    """RecBole's files and settings."""
    (folder / "rows").mkdir()
    columns = {"user:token": rows.user, "item:token": rows.item}
    pd.DataFrame(columns).drop_duplicates().to_csv(folder / "rows" / "rows.inter", sep="\t", index=False)
    settings = {
        "data_path": str(folder),
        "USER_ID_FIELD": "user",
        "ITEM_ID_FIELD": "item",
        "load_col": {"inter": ["user", "item"]},
        "eval_args": {"split": {"RS": [1, 0, 0]}, "order": "RO", "group_by": None, "mode": "full"},
        "checkpoint_dir": str(folder),
        "use_gpu": False,
        "show_progress": False,
        **question.options,
    }
    return Config(model="LightGCN", dataset="rows", config_dict=settings)


def _lists(model: Any, dataset: Any, question: Question, rows: Rows) -> Ints:
    """Best first, without what was met."""
    model.eval()
    with torch.no_grad():
        users, items = model()
    number = torch.from_numpy(dataset.token2id("user", rows.asked.astype(str)))
    scores = users[number] @ items.T  # (T, items + 1)
    scores[:, 0] = -torch.inf
    met = dataset.inter_matrix(form="csr")
    scores[torch.from_numpy(met[number.numpy()].toarray() > 0)] = -torch.inf
    best = scores.topk(question.top, dim=1)
    tokens = np.array([0, *map(int, dataset.field2id_token["item"][1:])], dtype=np.int64)
    found: Ints = np.where(best.values.numpy() > -np.inf, tokens[best.indices.numpy()], 0)
    return found


torch.set_num_threads(1)
MODELS: Mapping[str, Callable[[Question, Rows], Lists]] = {"lightgcn": lightgcn}
