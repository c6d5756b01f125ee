"""The trial of a bundle: its model scores drawn histories before it serves anybody.

A trial finds the faults that all histories show, and those of empty, short or long histories and of many excluded
items. A fault of a single item is left to the check after every call.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from model.bundles.answers import Array, BundleAnswerError, Expected, refuse_faults
from model.bundles.bundle import Bundle, load_module, refuse_device_of
from model.bundles.bundle_files import MODEL, BundleFiles
from model.bundles.manifest import BundleDeviceError, Manifest

Run = Callable[..., tuple[Array, ...]]
"""A call of a model, or of one of its methods, with arrays: `udfs.scoring.device.Runner.run`, or `_on_this_cpu`."""

STEP_METHODS = ("state_after", "step", "score")
"""The methods that a model exports if it can continue from a kept state."""
STEP_TOLERANCE = 1e-5
"""The largest difference, absolute and relative, between a score after steps and that of `forward`.

On a CPU, in float32, the four networks that step differ by 2.4e-6 at most: trained on MovieLens-100K, over random
histories of 1 to 99 items, with scores up to 14.
"""
_ROWS = 4
_MOST_EXCLUDED = 1_000
_OLDEST_S = 1e8


def try_bundle(bundle: Bundle) -> None:
    """Try a bundle's model on this machine's CPU; skip a model that only another device can compute.

    Raises:
        BundleAnswerError: the model fails, or an answer breaks the contract.
        BundleCorruptError: model.pt changed since the bundle was loaded.
    """
    _try_file(bundle.manifest, lambda: load_module(bundle, "cpu"))


def try_files(files: BundleFiles) -> None:
    """Read each file of a bundle in any place, and try its model as `try_bundle` does.

    Raises:
        BundleMissingError: a file is missing.
        BundleCorruptError: a file is not what the manifest says.
        BundleAnswerError: the model fails, or an answer breaks the contract.
    """
    from model.bundles.torchscript import load_script

    files.check()

    def load() -> Any:
        refuse_device_of(files.manifest, "cpu")
        return load_script(files.read(MODEL), "cpu")

    _try_file(files.manifest, load)


def _try_file(manifest: Manifest, load: Callable[[], Any]) -> None:
    try:
        module = load()
    except BundleDeviceError:
        return
    except RuntimeError as error:  # the file is no TorchScript
        raise _refusal(manifest, f"its model cannot be loaded: {_first_line(error)}") from error
    try_module(module, manifest, _on_this_cpu)


def try_module(module: Any, manifest: Manifest, run: Run, *, steps: bool = True) -> None:
    """Try a loaded model on empty, short and long histories, singly and in batches, with few and most items excluded.

    Args:
        module: the model, loaded where `run` runs it.
        manifest: the manifest of its bundle.
        run: calls the model.
        steps: also try the methods in `STEP_METHODS`, if the model has them.

    Raises:
        BundleAnswerError: the model fails, or an answer breaks the contract.
    """
    steps = steps and all(hasattr(module, method) for method in STEP_METHODS)
    expected = Expected(items=manifest.items, k=manifest.k)
    try:
        for history, weight, age_s, exclude in _drawn_inputs(manifest):
            refuse_faults(run(module, history, weight, age_s, exclude), exclude, expected)
            if steps and history.shape[1]:
                states = _states_by_step(module, history, weight, run)
                refuse_faults(run(module.score, states, exclude), exclude, expected)
    except BundleAnswerError as error:
        raise _refusal(manifest, str(error)) from error
    except Exception as error:  # a script may raise anything, and torch.jit.Error derives from Exception
        raise _refusal(manifest, f"the model fails: {_first_line(error)}; train it again or serve another") from error


def _on_this_cpu(call: Callable[..., Any], *inputs: Array) -> tuple[Array, ...]:
    """Call a model on the CPU, without gradients."""
    import torch  # takes seconds

    with torch.inference_mode():
        answer = call(*map(torch.from_numpy, inputs))
        return tuple(each.numpy() for each in ((answer,) if isinstance(answer, torch.Tensor) else answer))


def _states_by_step(module: Any, history: Array, weight: Array, run: Run) -> Array:
    """Return the states after the newest items, each by one step from the state before it. (B, L) x 2 -> (B, S)."""
    (states,) = run(module.state_after, history[:, :-1].copy(), weight[:, :-1].copy())
    (states,) = run(module.step, states, history[:, -1].copy(), weight[:, -1].copy(), np.zeros_like(weight[:, -1]))
    if states.ndim != 2 or len(states) != len(history) or not np.isfinite(states).all():
        msg = "the model's state after a step is no row of finite numbers; train it again or serve another"
        raise BundleAnswerError(msg)
    return states


def _drawn_inputs(manifest: Manifest) -> Iterator[tuple[Array, Array, Array, Array]]:
    """Yield (history, weight, age_s, exclude) as in `model.networks.recommender`; the same in every trial."""
    random = np.random.default_rng(0)
    items, length = manifest.items, manifest.history_length
    most = np.arange(1, min(items, _MOST_EXCLUDED) + 1)
    for rows, width, excluded in (
        (1, 1, most[:0]),
        (_ROWS, 1, most[:1]),
        (_ROWS, length, most[:-1]),
        (1, length, most),
    ):
        # From the later half of the vocabulary: a fault of single items is as likely there as anywhere.
        history = random.integers(1 + items // 2, items + 1, (rows, width))
        weight = random.uniform(0.5, 4.0, (rows, width)).astype(np.float32)
        age_s = -np.sort(-random.uniform(0, _OLDEST_S, (rows, width)).astype(np.float32), axis=1)
        history[0] = 0  # a user without a history, and one with half of it
        history[1:2, : width // 2] = 0
        empty = history == 0
        weight[empty], age_s[empty] = 0, 0
        exclude = np.zeros((rows, max(1, len(excluded))), dtype=np.int64)
        exclude[-1, : len(excluded)] = excluded
        yield history, weight, age_s, exclude


def _refusal(manifest: Manifest, reason: str) -> BundleAnswerError:
    return BundleAnswerError(f"the bundle {manifest.name} {manifest.version} is refused: {reason}")


def _first_line(error: Exception) -> str:
    """Return the last line of an error's text: TorchScript puts the cause below its own trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
