"""The zoo's models by name: what ``config/zoo_models.yaml`` says of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from emotion_estimator import strict_yaml
from emotion_estimator.errors import InputError
from emotion_estimator_training import CONFIG

#: ``paper`` is what was published, ``reduced`` trains in minutes on two cores.
SIZES = ('paper', 'reduced')


@dataclass(frozen=True)
class Entry:
    """One model to build.

    :param name: as the user wrote it, variants included: ``microx:face+grey``.
    :param kind: which code builds it.
    :param says: what it is, in a few words.
    :param settings: as YAML has them, reduced or not, variants applied.
    """

    name: str
    kind: str
    says: str
    settings: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """Return the name as a folder's."""
        return self.name.replace(':', '--').replace('+', '-')

    def changed(self, **settings: Any) -> Entry:
        """Return the entry with other settings; ``fit`` is merged."""
        return replace(self, settings=_merged(self.settings, settings))


class Catalog:
    """Reads the models' file; see :meth:`load`."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        self._models: Mapping[str, Any] = content['models']
        self._groups: Mapping[str, Any] = content.get('groups') or {}
        self._grids: Mapping[str, Any] = content.get('grids') or {}
        self._path = path

    @classmethod
    def load(cls, path: Path | None = None) -> Catalog:
        """Read ``config/zoo_models.yaml`` or a file like it.

        :raises InputError: it cannot be read, or holds no models.
        """
        path = path or CONFIG / 'zoo_models.yaml'
        content = strict_yaml.read_yaml(path)
        models = content.get('models') if isinstance(content, dict) else None
        if not isinstance(models, dict) or not all(
            isinstance(one, dict) and 'kind' in one for one in models.values()
        ):
            raise InputError(
                f'{path} has no models, or one without a kind; see the shipped '
                'config/zoo_models.yaml'
            )
        return cls(content, path)

    @property
    def names(self) -> list[str]:
        """Return the models' names, without variants."""
        return list(self._models)

    def variants(self, name: str) -> list[str]:
        """Return a model's variants."""
        return list(self._models[name].get('variants') or ())

    def chosen(self, names: str, size: str) -> list[Entry]:
        """Return the models that a list, separated by commas, asks for; groups are taken apart.

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

        :raises InputError: there is no such model, variant or size.
        """
        if size not in SIZES:
            raise InputError(f'a model has no size {size!r}; choose of {", ".join(SIZES)}')
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
        says = str(model.get('says', base))
        if size == 'reduced':
            says = str(model.get('says_reduced', says))
        return Entry(
            name, str(model['kind']), says + (f', {variants}' if variants else ''), settings
        )

    def grid(self, size: str) -> dict[str, list[float]]:
        """Return what a grid search tries of each setting.

        :raises InputError: the file has none of this size.
        """
        grid = self._grids.get(size)
        if (
            not isinstance(grid, dict)
            or not grid
            or not all(isinstance(values, list) and values for values in grid.values())
        ):
            raise InputError(f'{self._path} has no grid {size!r}: settings, and values of each')
        return {str(name): list(values) for name, values in grid.items()}


def _merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with changes; how a model is fitted is changed one by one."""
    merged = {**settings, **changes}
    if 'fit' in settings and 'fit' in changes:
        merged['fit'] = {**settings['fit'], **changes['fit']}
    return merged
