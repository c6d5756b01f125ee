"""The models that a deployment serves: those that the settings name, as checked and pinned by `recloop deploy`."""

import logging
from collections.abc import Mapping

from job.settings.job_settings import JobSettings
from job.settings.models import ModelsSettings, VariantSettings
from model.bundles.bundle import Bundle
from model.bundles.bundle_cache import cached
from model.bundles.bundle_files import BundleFiles
from model.bundles.trial import try_bundle
from model.errors import RecloopError
from model.registry.bundle_source import BundleSource, FromFolder, FromRegistry
from model.registry.pointers import CURRENT
from model.registry.registry import Registry
from udfs.lists.list_rules import Policy
from udfs.model_serving.model_thread import finished_within
from udfs.model_serving.variants import Variant

_log = logging.getLogger(__name__)
_TRIAL_S = 30.0
"""The time limit of a trial; on a busy machine the import of torch takes seconds of it."""


class ListsTooLongError(RecloopError):
    """The model cannot give lists of lists.length items."""


def variants(settings: JobSettings, bundle_hashes: Mapping[str, str]) -> tuple[Variant, ...]:
    """Return the variants of the A/B test, or the only one; none if lists are made without scores.

    Args:
        settings: the resolved settings.
        bundle_hashes: variant -> the hash that its bundle must have, as `pinned` returned them.
    """
    models = settings.models
    found = []
    for name, variant in _named_variants(settings).items():
        source: BundleSource
        if variant.bundle is not None:
            source = FromFolder(variant.bundle, bundle_hashes.get(name), models.cache)
        else:
            source = FromRegistry(
                url=str(models.url),
                name=str(models.name),
                which=str(variant.model),
                cache=models.cache,
                bundle_hash=bundle_hashes.get(name),
            )
        found.append(Variant(name, variant.weight, source))
    return tuple(found)


def pinned(settings: JobSettings) -> dict[str, str]:
    """Return the hash of every variant's bundle that stays, so that no TaskManager loads another one.

    A pointer may move, so its version is not pinned; it has to exist now, be whole and answer a trial. A bundle's
    folder is copied, because the next training may replace it while the job still restarts with the deployed bundle.

    Raises:
        ListsTooLongError: a model proposes fewer items than lists have, although it knows more.
        BundleError: a bundle is not whole, or its model does not answer correctly.
        RegistryError: the registry cannot be read, or has no such version.
    """
    length, candidates = settings.lists.length, settings.scoring.candidates
    if _fills_lists(settings) and length > candidates:
        msg = (
            f"lists.length={length} is more than scoring.candidates={candidates}, which is all that a model proposes "
            f"for a list: give scoring.candidates={length} or more, or leave it out"
        )
        raise ListsTooLongError(msg)
    hashes = {}
    for name, variant in _named_variants(settings).items():
        bundle = _loaded(settings.models, variant)
        _check_bundle(settings, bundle)
        if not variant.follows:
            hashes[name] = bundle.hash
    return hashes


def _named_variants(settings: JobSettings) -> dict[str, VariantSettings]:
    """Return the variants that the settings name; the only one has the name of scoring.variant."""
    if settings.models.variants:
        return settings.models.variants
    if settings.models.url is not None:
        return {settings.scoring.variant: VariantSettings(model=CURRENT)}
    if settings.scoring.bundle is not None:
        return {settings.scoring.variant: VariantSettings(bundle=settings.scoring.bundle)}
    return {}


def _loaded(models: ModelsSettings, variant: VariantSettings) -> Bundle:
    """Load a variant's bundle through the cache, in which TaskManagers of this machine will find it."""
    if variant.bundle is None:
        return Bundle.load(Registry(str(models.url)).fetch(str(models.name), str(variant.model), models.cache))
    files = BundleFiles.of_folder(variant.bundle)
    return Bundle.load(cached(models.cache, files.hash, lambda: files))


def _fills_lists(settings: JobSettings) -> bool:
    return settings.has_model and settings.lists.policy is Policy.RECOMMEND


def _check_bundle(settings: JobSettings, bundle: Bundle) -> None:
    """Make sure that the bundle gives as many items as lists have, and answers a trial.

    A model may hang. The job goes on without one that does, so its deployment does not wait for it either.
    """
    length, most, items = settings.lists.length, bundle.manifest.k, bundle.manifest.items
    if _fills_lists(settings) and length > most and items > most:
        msg = (
            f"lists.length={length}, and the model in {bundle.path} returns {most} items at most: set "
            f"lists.length={most} or less, or train it again with --k {length}"
        )
        raise ListsTooLongError(msg)
    if _fills_lists(settings) and length > items:
        message = "lists.length=%d, and the model in %s knows %d items: lists are shorter"
        _log.warning(message, length, bundle.path, items)
    finished_within(_TRIAL_S, lambda: try_bundle(bundle))
