"""Read by every Python that a run with `--c-core` starts: where there is a device, the C core is its gate.

Nothing is imported here that the program would not import by itself, until it makes devices.
"""

import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Final

COMPONENTS: Final = "keyswitch.device.server.components"


class _AsItsGate(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        from tests.firmware.c_gate import PLACE, CGate  # noqa: PLC0415 - it needs the module that was just made

        CGate(Path(os.environ[PLACE])).stand_in()


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname != COMPONENTS:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _AsItsGate(spec.loader)
        return spec


sys.meta_path.insert(0, _Finder())
