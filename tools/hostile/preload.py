"""What the fork server imports, once for all children"""

from importlib import import_module

import torch
import transformers.trainer  # noqa: F401

import tuna_nb.train  # noqa: F401
from hostile.child import SCRIPTS

torch.set_num_threads(1)
for target in SCRIPTS.values():
    import_module(target.partition(":")[0])
