"""Importing mace without what it changes for the whole process."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator

from ..torch_threads import import_torch

_LOAD_SWITCH = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def import_mace() -> None:
    """Import mace and put back the switch it leaves on.

    mace sets TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD for the whole process, because e3nn 0.4.4 needs it while it is
    imported; left on, every later ``torch.load`` would run code from any file.
    """
    import_torch()
    before = os.environ.get(_LOAD_SWITCH)
    with old_torchscript(), contextlib.redirect_stdout(io.StringIO()):  # it prints which extras are missing
        import mace.calculators  # noqa: F401
    if before is None:
        os.environ.pop(_LOAD_SWITCH, None)
    else:
        os.environ[_LOAD_SWITCH] = before


@contextlib.contextmanager
def old_torchscript() -> Iterator[None]:
    """Silence what e3nn 0.4.4 and mace make torch say of TorchScript, which they are built on."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "The TorchScript type system doesn't support instance-level", UserWarning)
        warnings.filterwarnings("ignore", f"Environment variable {_LOAD_SWITCH} detected", UserWarning)
        yield
