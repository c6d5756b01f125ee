"""The settings of `recloop learn`: its pace, its training, and the bounds of its decisions."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from job.settings.values import Between, Duration, Folder, SettingsGroup, Share

_Behaviors = Annotated[int, Between(1, 1_000_000_000)]


class LearnSettings(SettingsGroup):
    """The learning of models.name beside the job."""

    folder: Folder = Field(
        Path(".recloop/learn"), description="its own copy of the behaviours, and its place in the log"
    )
    every: Duration = Field(timedelta(hours=1), description="a round is due after so long")
    behaviors: _Behaviors = Field(10_000, description="or after so many new behaviours")
    held_out: _Behaviors = Field(
        1_000, description="newest behaviours that judge a round's candidate; a round needs as many new ones"
    )
    window: Duration = Field(timedelta(days=365), description="event time of what is learned from; older is forgotten")
    method: Literal["tune", "retrain"] = Field(
        "tune", description="tune goes on from what serves, with what is new; retrain begins anew, with the window"
    )
    epochs: Annotated[int, Between(1, 1_000_000)] | None = Field(
        None, description="passes over the data; none: 3, or where a model is retrained those of its kind"
    )
    rate: Share = Field(0.25, description="share of the kind's learning rate that tune takes")
    worse_by: Share = Field(
        0.1, description="share of NDCG@10 that a promoted model may surely not lose; 0: it has to be better"
    )
    least_coverage: Share = Field(
        0.5, description="share of the different items in what serves' lists that its lists have to have"
    )
    slower_by: Annotated[float, Between(1.0, 1_000.0)] = Field(
        3.0, description="multiple of what serves' time for a batch that it may take"
    )
    live_window: Duration = Field(
        timedelta(days=1), description="lists of so long before a promotion are what its live hit rate is compared with"
    )
    live_fall: Share = Field(
        0.1, description="share of the live hit rate before a promotion that it may fall by before it is taken back"
    )
