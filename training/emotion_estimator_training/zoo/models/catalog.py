"""The zoo's models by name, as ``config/zoo_models.yaml`` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emotion_estimator.errors import InputError
from emotion_estimator.strict_yaml import read_yaml
from emotion_estimator_training import CONFIG

#: ``paper`` models are as published, ``reduced`` ones train within minutes on two cores.
SIZES = ('reduced', 'paper')
#: Kinds of models that are not trained by gradient descent, and have a seed all the same.
_SEEDED = ('statistics',)


@dataclass(frozen=True)
class Entry:
    """One model to build.

    :param name: including variants: ``microx:face+grey``.
    :param kind: key of :data:`~.registry.MODEL_KINDS`.
    :param description: a few words.
    :param settings: from YAML, with size and variants applied.
    """

    name: str
    kind: str
    description: str
    settings: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """Return the name as a file or folder name."""
        return slug(self.name)

    def changed(self, **settings: Any) -> Entry:
        """Return the entry with other settings; those of ``fit`` are merged."""
        return replace(self, settings=_merged(self.settings, settings))


def slug(name: str) -> str:
    """Return a model's name as a file or folder name."""
    return name.replace(':', '--').replace('+', '-')


class Catalog:
    """The contents of a models file; read it with :meth:`load`."""

    def __init__(self, content: Mapping[str, Any], path: Path, seed: int | None = None) -> None:
        self._models: Mapping[str, Any] = content['models']
        self._groups: Mapping[str, Any] = content.get('groups') or {}
        self._grids: Mapping[str, Any] = content.get('grids') or {}
        self._content, self._path, self._seed = content, path, seed

    def seeded(self, seed: int) -> Catalog:
        """Return a catalog of the same models, trained with another seed."""
        return Catalog(self._content, self._path, seed)

    @classmethod
    def load(cls, path: Path | None = None) -> Catalog:
        """Read a models file.

        :param path: None reads the shipped ``config/zoo_models.yaml``.
        :raises InputError: it cannot be read, or has no models.
        """
        path = path or CONFIG / 'zoo_models.yaml'
        content = read_yaml(path)
        models = content.get('models') if isinstance(content, dict) else None
        if not isinstance(models, dict) or not all(
            isinstance(one, dict) and 'kind' in one for one in models.values()
        ):
            raise InputError(
                f'{path} has no models, or a model without a kind; see the shipped zoo_models.yaml'
            )
        return cls(content, path)

    @property
    def names(self) -> list[str]:
        """Return the names of the models, without variants."""
        return list(self._models)

    def variants(self, name: str) -> list[str]:
        """Return the names of a model's variants."""
        return list(self._models[name].get('variants') or ())

    def chosen(self, names: str, size: str) -> list[Entry]:
        """Return the models of a comma-separated list; groups are expanded.

        :param size: one of ``SIZES``.
        :raises InputError: there is no such model, variant or size.
        """
        wanted: dict[str, None] = {}
        for name in (part.strip() for part in names.split(',')):
            for one in self._groups.get(name, [name]):
                wanted[one] = None
        return [self.entry(name, size) for name in wanted]

    def entry(self, name: str, size: str) -> Entry:
        """Return one model.

        :param size: one of ``SIZES``.
        :raises InputError: there is no such model, variant or size.
        """
        if size not in SIZES:
            raise InputError(f'models have no size {size!r}; choose from {", ".join(SIZES)}')
        base, _, variants = name.partition(':')
        if base not in self._models:
            raise InputError(
                f'{self._path} has no model {base!r}; it has: {", ".join(self._models)}'
                + (f', and the groups {", ".join(self._groups)}' if self._groups else '')
            )
        model = self._models[base]
        settings = dict(model.get('paper') or {})
        if size == 'reduced':
            settings = _merged(settings, model.get('reduced') or {})
        known = model.get('variants') or {}
        for variant in filter(None, variants.split('+')):
            if variant not in known:
                raise InputError(
                    f'{base} has no variant {variant!r}; it has: {", ".join(known) or "none"}'
                )
            settings = _merged(settings, known[variant])
        if self._seed is not None:
            settings = _seeded(settings, str(model['kind']), self._seed)
        description = str(model.get('description', base))
        if size == 'reduced':
            description = str(model.get('description_reduced', description))
        if variants:
            description += f', {variants}'
        return Entry(name, str(model['kind']), description, settings)

    def grid(self, size: str) -> dict[str, list[float]]:
        """Return the values that a grid search tries of each setting.

        :param size: one of ``SIZES``.
        :raises InputError: the file has no grid of this size.
        """
        grid = self._grids.get(size)
        if (
            not isinstance(grid, dict)
            or not grid
            or not all(isinstance(values, list) and values for values in grid.values())
        ):
            raise InputError(
                f'{self._path} has no grid {size!r}; list the values to try of each setting'
            )
        return {str(name): list(values) for name, values in grid.items()}


def _seeded(settings: Mapping[str, Any], kind: str, seed: int) -> dict[str, Any]:
    """Return settings with a seed, if the model draws anything at random."""
    if 'fit' in settings:
        return _merged(settings, {'fit': {'seed': seed}})
    return {**settings, 'seed': seed} if kind in _SEEDED else dict(settings)


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with changes; those of ``fit`` are changed one by one."""
    merged = {**settings, **changes}
    if 'fit' in settings and 'fit' in changes:
        merged['fit'] = {**settings['fit'], **changes['fit']}
    return merged
