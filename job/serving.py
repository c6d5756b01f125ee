"""Which models a deployment serves: what the settings name, and what `recloop deploy` makes sure of."""

from job.models_settings import VariantSettings
from job.settings import JobSettings
from model.bundle import Bundle
from model.registry import Registry
from model.registry_pointers import CURRENT
from udfs.bundle_source import FromFolder, FromRegistry
from udfs.variants import Variant


def variants(settings: JobSettings) -> tuple[Variant, ...]:
    """The variants of the A/B test, or the only one; none where the rules alone make lists.

    Args:
        settings: resolved.
    """
    scoring, models = settings.scoring, settings.models
    if models.variants:
        return tuple(_variant(settings, name, given) for name, given in models.variants.items())
    if models.url is not None:
        return (_variant(settings, scoring.variant, VariantSettings(model=CURRENT)),)
    if scoring.bundle is not None:
        return (Variant(scoring.variant, 1.0, FromFolder(scoring.bundle, scoring.bundle_hash)),)
    return ()


def pinned(settings: JobSettings) -> JobSettings:
    """The settings with the hash of every bundle that stays, so that no TaskManager loads another one.

    What a pointer names is not pinned, it may move; it has to be there and whole now.

    Raises:
        BundleError: a bundle is not whole.
        RegistryError: the registry cannot be read, or has no such version.
    """
    scoring, models = settings.scoring, settings.models
    if scoring.bundle is not None:
        scoring = scoring.model_copy(update={"bundle_hash": Bundle.load(scoring.bundle).hash})
    given = {name: _pinned(settings, name) for name in models.variants}
    if models.url is not None and not models.variants:
        _fetched(settings, CURRENT)
    return settings.model_copy(update={"scoring": scoring, "models": models.model_copy(update={"variants": given})})


def _pinned(settings: JobSettings, name: str) -> VariantSettings:
    variant = settings.models.variants[name]
    bundle = Bundle.load(variant.bundle) if variant.bundle else _fetched(settings, str(variant.model))
    return variant if variant.follows else variant.model_copy(update={"bundle_hash": bundle.hash})


def _fetched(settings: JobSettings, which: str) -> Bundle:
    """By way of the cache, where TaskManagers of this machine will find it."""
    models = settings.models
    return Bundle.load(Registry(str(models.url)).fetch(str(models.name), which, models.cache))


def _variant(settings: JobSettings, name: str, given: VariantSettings) -> Variant:
    models = settings.models
    if given.bundle is not None:
        return Variant(name, given.weight, FromFolder(given.bundle, given.bundle_hash))
    where = (str(models.url), str(models.name), str(given.model))
    return Variant(name, given.weight, FromRegistry(*where, models.cache, given.bundle_hash))
