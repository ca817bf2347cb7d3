"""What a job makes depends on its inputs alone, not on variables and files of whoever starts it.

Libraries read some when they are imported, drawn with or called: a notebook's cell hands down its
way of showing figures, a file in the working directory how they look, a variable of a shell what
numbers are computed with. A step puts them aside before it imports what it works with.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from contextlib import chdir, suppress
from pathlib import Path

# Variables that decide how libraries compute, draw or fail, by how their names begin.
_PUT_ASIDE = (
    # Where numbers come from, and how exact they are.
    *("ATEN_", "CUBLAS", "CUDNN_", "DNNL_", "KINETO_", "MIOPEN_", "MKL_", "NPY_", "NUMBA_"),
    *("NUMPY_", "NVIDIA_TF32_OVERRIDE", "ONEDNN_", "OPENBLAS_", "PYTORCH_", "TORCH", "TRITON_"),
    # How a training is launched, by Fabric or by torch's own launcher.
    *("LT_", "PL_"),
    # How pictures are read and drawn, tables handled, progress shown.
    *("ARROW_", "MATPLOTLIB", "MPL", "PANDAS_", "PILLOW_", "SOURCE_DATE_EPOCH", "TQDM_"),
    # Of what is imported with them.
    *("HF_", "HUGGINGFACE_", "KORNIA_", "TRANSFORMERS_"),
    # Of Python, for processes that the step starts.
    *("PYTHONOPTIMIZE", "PYTHONWARNINGS"),
)
# Of these, what says where things are kept, how much memory is taken, how machines are reached, or
# what a processor needs that a library takes for another one.
_LEFT = (
    "MPLCONFIGDIR",
    "NUMPY_MADVISE_HUGEPAGE",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "TORCHELASTIC_",
    "TORCH_DISTRIBUTED_",
    "TORCH_NCCL_",
)
_LEFT_ENDINGS = ("_ALLOC_CONF", "_CACHE", "_CACHE_DIR", "_HOME", "_NUM_THREADS")
# No work here is done by numba's own threads, and a number that is none ends its import.
_NEVER_LEFT = "NUMBA_NUM_THREADS"
# A process's place among those of one training.
_PLACE = (
    *("GROUP_RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK"),
    *("RANK", "WORLD_SIZE"),
)
# Files in the working directory that a library reads when it is imported.
_READ_HERE = {"matplotlibrc": "matplotlib", ".numba_config.yaml": "numba"}


def put_aside(*, place: bool = True) -> None:
    """Let what this process imports from now on see nothing of the user's that changes results.

    Args:
        place: also forget this process's place among others, which a launcher has set.
    """
    for name in list(os.environ):
        left = name.startswith(_LEFT) or name.endswith(_LEFT_ENDINGS)
        left &= name != _NEVER_LEFT
        if (name.startswith(_PUT_ASIDE) and not left) or (place and name in _PLACE):
            del os.environ[name]
    if sys.warnoptions:  # python -W, or PYTHONWARNINGS: a warning of a library is no error here
        warnings.resetwarnings()
        for category in (DeprecationWarning, ImportWarning, ResourceWarning):
            warnings.simplefilter("ignore", category)
    _set_matplotlib()
    for file, library in _READ_HERE.items():
        if os.path.lexists(file) and library not in sys.modules:
            with chdir(Path(__file__).parent):
                importlib.import_module(library)


def _set_matplotlib() -> None:
    os.environ["MPLBACKEND"] = "agg"
    os.environ["MATPLOTLIBRC"] = os.devnull
    # The user's styles lie where its list of fonts does: this folder has a list alone.
    usual = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    own = Path(os.environ.get("MPLCONFIGDIR") or f"{usual}/matplotlib") / "lookalike"
    with suppress(OSError):
        if own.parent.name == "lookalike":
            own = own.parent  # of a process that this one was started by
        own.mkdir(parents=True, exist_ok=True)
        os.environ["MPLCONFIGDIR"] = str(own)
        return
    # It makes a folder for the process then.
    os.environ.pop("MPLCONFIGDIR", None)


def names_are_unicode() -> bool:
    """Whether this process can name every file: by a locale of other letters it cannot."""
    return sys.getfilesystemencoding().replace("-", "").lower() == "utf8"
