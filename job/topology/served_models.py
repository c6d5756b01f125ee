"""The models that a deployment serves: those that the settings name, as checked and pinned by `recloop deploy`."""

import logging
from pathlib import Path

from job.settings.job_settings import JobSettings
from job.settings.models import VariantSettings
from model.bundles.bundle import Bundle
from model.bundles.bundle_cache import cached
from model.bundles.bundle_files import BundleFiles
from model.bundles.trial import try_bundle
from model.errors import RecloopError
from model.registry.bundle_source import FromFolder, FromRegistry
from model.registry.pointers import CURRENT
from model.registry.registry import Registry
from udfs.lists.user_list import Policy
from udfs.model_serving.model_thread import finished_within
from udfs.model_serving.variants import Variant

_log = logging.getLogger(__name__)
_TRIAL_S = 30.0
"""The time limit of a trial; on a busy machine the import of torch takes seconds of it."""


class ListsTooLongError(RecloopError):
    """The model cannot give lists of lists.length items."""


def variants(settings: JobSettings) -> tuple[Variant, ...]:
    """Return the variants of the A/B test, or the only one; none if lists are made without scores.

    Args:
        settings: the resolved settings.
    """
    scoring, models = settings.scoring, settings.models
    if models.variants:
        return tuple(_variant(settings, name, given) for name, given in models.variants.items())
    if models.url is not None:
        return (_variant(settings, scoring.variant, VariantSettings(model=CURRENT)),)
    if scoring.bundle is not None:
        return (Variant(scoring.variant, 1.0, FromFolder(scoring.bundle, scoring.bundle_hash, models.cache)),)
    return ()


def pinned(settings: JobSettings) -> JobSettings:
    """Return the settings with the hash of every bundle that stays, so that no TaskManager loads another one.

    A pointer may move, so its version is not pinned; it has to exist now, be whole and answer a trial. A bundle's
    folder is copied, because the next training may replace it while the job still restarts with the deployed bundle.

    Raises:
        ListsTooLongError: a model proposes fewer items than lists have, although it knows more.
        BundleError: a bundle is not whole, or its model does not answer correctly.
        RegistryError: the registry cannot be read, or has no such version.
    """
    scoring, models = settings.scoring, settings.models
    _check_candidates(settings)
    if scoring.bundle is not None:
        scoring = scoring.model_copy(update={"bundle_hash": _checked(settings, _copied(settings, scoring.bundle)).hash})
    given = {name: _pinned(settings, name) for name in models.variants}
    if models.url is not None and not models.variants:
        _checked(settings, _fetched(settings, CURRENT))
    return settings.model_copy(update={"scoring": scoring, "models": models.model_copy(update={"variants": given})})


def _pinned(settings: JobSettings, name: str) -> VariantSettings:
    variant = settings.models.variants[name]
    bundle = _copied(settings, variant.bundle) if variant.bundle else _fetched(settings, str(variant.model))
    _checked(settings, bundle)
    return variant if variant.follows else variant.model_copy(update={"bundle_hash": bundle.hash})


def _fetched(settings: JobSettings, which: str) -> Bundle:
    """Load a version through the cache, in which TaskManagers of this machine will find it."""
    models = settings.models
    return Bundle.load(Registry(str(models.url)).fetch(str(models.name), which, models.cache))


def _copied(settings: JobSettings, folder: Path) -> Bundle:
    """Load the bundle in a folder from a copy in the cache, from which its job will load it."""
    files = BundleFiles.of_folder(folder)
    return Bundle.load(cached(settings.models.cache, files.hash, lambda: files))


def _check_candidates(settings: JobSettings) -> None:
    length, candidates = settings.lists.length, settings.scoring.candidates
    if _fills_lists(settings) and length > candidates:
        msg = (
            f"lists.length={length} is more than scoring.candidates={candidates}, which is all that a model proposes "
            f"for a list: give scoring.candidates={length} or more, or leave it out"
        )
        raise ListsTooLongError(msg)


def _fills_lists(settings: JobSettings) -> bool:
    return settings.has_model and settings.lists.policy is Policy.RECOMMEND


def _checked(settings: JobSettings, bundle: Bundle) -> Bundle:
    """Return the bundle if it gives as many items as lists have and answers a trial.

    A model may hang. The job goes on without one that does, so its deployment does not wait for it either.
    """
    length, given, items = settings.lists.length, bundle.manifest.k, bundle.manifest.items
    if _fills_lists(settings) and length > given and items > given:
        msg = (
            f"lists.length={length}, and the model in {bundle.path} returns {given} items at most: set "
            f"lists.length={given} or less, or train it again with --k {length}"
        )
        raise ListsTooLongError(msg)
    if _fills_lists(settings) and length > items:
        told = "lists.length=%d, and the model in %s knows %d items: lists are shorter"
        _log.warning(told, length, bundle.path, items)
    finished_within(_TRIAL_S, lambda: try_bundle(bundle))
    return bundle


def _variant(settings: JobSettings, name: str, given: VariantSettings) -> Variant:
    models = settings.models
    if given.bundle is not None:
        return Variant(name, given.weight, FromFolder(given.bundle, given.bundle_hash, models.cache))
    source = FromRegistry(
        url=str(models.url),
        name=str(models.name),
        which=str(given.model),
        cache=models.cache,
        bundle_hash=given.bundle_hash,
    )
    return Variant(name, given.weight, source)
