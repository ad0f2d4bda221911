"""A weight file inside an installed Python package, found without importing the package
(its `__init__` may need an engine that is not installed)."""

from __future__ import annotations

import importlib.util
from importlib import metadata
from pathlib import Path

from plinth.adapters.sources.files import sha256_file
from plinth.catalog.errors import PackageMissing, WeightsDamaged
from plinth.catalog.model import BaseModel, PackageSource


def locate(base_id: str, source: PackageSource) -> Path:
    """Raises: PackageMissing."""
    for path in _candidates(source):
        if path.is_file():
            return path
    raise PackageMissing(id=base_id, package=source.distribution)


def verified(base: BaseModel, source: PackageSource, *, fresh: bool = False) -> Path:
    """The file, its sha256 compared with the catalogue's. Raises: PackageMissing, WeightsDamaged."""
    path = locate(base.id, source)
    if sha256_file(path, fresh=fresh) != base.sha256:
        raise WeightsDamaged(id=base.id, file=path.name)
    return path


def _candidates(source: PackageSource) -> list[Path]:
    wanted = f"{source.module}/{source.file}"
    found: list[Path] = []
    try:
        distribution = metadata.distribution(source.distribution)
    except metadata.PackageNotFoundError:
        pass  # a checkout on the path has no metadata but can still carry the module
    else:
        found.append(Path(str(distribution.locate_file(wanted))))
    # find_spec on a top-level name reads no code of the package
    spec = importlib.util.find_spec(source.module)
    if spec is not None:
        found.extend(Path(folder) / source.file for folder in spec.submodule_search_locations or [])
    return found
