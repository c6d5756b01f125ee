"""The settings of the served models: their registry, and the variants of an A/B test."""

from datetime import timedelta
from pathlib import Path
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from job.settings.values import Folder, Interval, Line, Name, SettingsGroup, Weight
from model.registry.pointers import CANDIDATE, CURRENT
from model.registry.urls import absolute_place, is_place, is_url, without_secrets


class VariantSettings(SettingsGroup):
    """A variant of an A/B test: a bundle's folder, or a version or pointer of models.name."""

    weight: Weight = 1.0
    bundle: Folder | None = None
    model: Name | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.bundle is None) is (self.model is None):
            msg = "a variant needs its bundle (a folder) or its model (current, candidate or a version): one of them"
            raise ValueError(msg)
        return self

    @property
    def follows(self) -> bool:
        """True if the variant follows a pointer whenever that moves."""
        return self.model in (CURRENT, CANDIDATE)


class ModelsSettings(SettingsGroup):
    """The served models, if scoring.bundle does not name the only one."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: Line | None = Field(
        None,
        description="a registry, a folder or fsspec URL, or its place, `env:NAME` or `file:PATH`: `current` is served, "
        "whenever it moves",
    )
    name: Name | None = Field(None, description="the model in that registry")
    cache: Folder = Field(
        Path(".recloop/bundles"), description="where a TaskManager keeps the registry's bundles, by their hashes"
    )
    poll_interval: Interval = Field(timedelta(seconds=1), description="how often a scorer polls the pointers")
    variants: dict[Name, VariantSettings] = Field(
        {}, description='an A/B test: `{"a": {"weight": 9, "model": "current"}, "b": {"weight": 1, "bundle": "PATH"}}`'
    )
    salt: str = Field(
        "recloop", description="salt of the hash that assigns users to variants; another one assigns them anew"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.url is None) is not (self.name is None):
            msg = "url and name go together: the registry, and the model in it"
            raise ValueError(msg)
        if self.url is not None and without_secrets(self.url) != self.url:
            msg = (
                "url: holds a password, a token or a signature, and settings are written to files. Take the server's "
                "own variables for it, or write the URL where every TaskManager finds it, and give that place: "
                "models.url=env:NAME or models.url=file:PATH"
            )
            raise ValueError(msg)
        if self.variants and not any(variant.weight for variant in self.variants.values()):
            msg = "variants: at least one needs a weight above 0"
            raise ValueError(msg)
        if self.url is None and (lost := [name for name, variant in self.variants.items() if variant.model]):
            msg = f"variants.{lost[0]}.model names a version of a registry: models.url and models.name are needed"
            raise ValueError(msg)
        return self

    @property
    def serve(self) -> bool:
        """True if these settings name a model."""
        return self.url is not None or bool(self.variants)

    def resolved(self) -> "ModelsSettings":
        """Return the settings with every path absolute."""
        variants = {
            name: variant.model_copy(update={"bundle": variant.bundle and variant.bundle.absolute()})
            for name, variant in self.variants.items()
        }
        url = self.url
        if url is not None and is_place(url):
            url = absolute_place(url)
        elif url is not None and not is_url(url):
            url = str(Path(url).absolute())
        return self.model_copy(update={"url": url, "cache": self.cache.absolute(), "variants": variants})
