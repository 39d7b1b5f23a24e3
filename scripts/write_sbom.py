"""Write what a robot gets as a bill of materials: software, models and other data (CycloneDX 1.6).

    make sbom       # out/sbom.cdx.json

The software is what a lock file names and the running environment has, as cyclonedx-py describes
it, with the hashes of the files that the lock file allows. Models and data are those of the first
table in THIRD_PARTY.md, with their checksums.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from cyclonedx.contrib.hash.factories import HashTypeFactory
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'emotion-estimator'
#: A line of a lock file, with its continuations.
_PINNED = re.compile(r'^([\w.-]+)==([\w.+!-]+)((?: *\\\n +--hash=\S+)+)', re.MULTILINE)
#: A row of THIRD_PARTY.md: the files, what they are, their licence.
_ROW = re.compile(r'^\| (`.*`) \| (.*) \| (.*) \|$', re.MULTILINE)
_LINK = re.compile(r' ?\(\[\w+\]\([^)]*\)\)')


class SbomError(Exception):
    """Nothing can be written; the message is one line that says why and what to do."""


def read_lock(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes (``sha256:...``) by a lock file's names, canonical ones."""
    return {
        canonicalize_name(name): (version, re.findall(r'--hash=(\S+)', hashes))
        for name, version, hashes in _PINNED.findall(lock.read_text())
    }


def read_notices(document: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield each file that the first table of ``document`` names, what it is, and its licence."""
    shipped = document.read_text().partition('\n## In the package\n')[2].partition('\n## ')[0]
    for patterns, text, licence in _ROW.findall(shipped):
        for pattern in re.findall('`([^`]+)`', patterns):
            for file in sorted(document.parent.glob(pattern)):
                yield file, _LINK.sub('', text), licence


def described_environment() -> Bom:
    """Return what cyclonedx-py says of the environment that runs this."""
    made = subprocess.run(
        [sys.executable, '-m', 'cyclonedx_py', 'environment', '--output-reproducible',
         '--spec-version', '1.6', '--output-format', 'JSON', sys.executable],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return Bom.from_json(json.loads(made.stdout))


def with_licence(component: Component) -> Component:
    """Give a package that cyclonedx-py knows no licence of the one that it names elsewhere.

    That is the ROS manifest which it installed, or a line of free text in its metadata.
    """
    if not component.licenses:
        package = distribution(component.name)
        manifests = [file for file in package.files or () if file.name == 'package.xml']
        roots = [ET.parse(str(manifest.locate())).getroot() for manifest in manifests]
        named = [licence.text for root in roots for licence in root.iter('license')]
        for text in named or [package.metadata.get('License')]:
            if text and text.strip() and '\n' not in text.strip():
                component.licenses.add(LicenseFactory().make_from_string(text.strip()))
    return component


def locked(lock: Path) -> tuple[list[Component], Bom]:
    """Return the packages of a lock file, and what the environment's description says of all.

    :raises SbomError: the environment has another version of one, or does not have it.
    """
    bom = described_environment()
    installed = {canonicalize_name(component.name): component for component in bom.components}
    found = []
    for name, (version, hashes) in read_lock(lock).items():
        component = installed.get(name)
        if component is None or component.version != version:
            raise SbomError(
                f'{lock.name} names {name} {version}, but this environment has '
                f'{component.version if component else "none"}; run make setup'
            )
        # As cyclonedx-py notes the hashes of requirements: they are of the files that pip may
        # choose from, by the machine.
        component.external_references.add(
            ExternalReference(
                type=ExternalReferenceType.DISTRIBUTION,
                url=XsUri(str(component.purl)),
                comment=f'one of these files, allowed by {lock.name}',
                hashes=[HashTypeFactory().from_composite_str(one) for one in hashes],
            )
        )
        found.append(with_licence(component))
    return found, bom


def shipped_files(root: Path) -> Iterator[Component]:
    """Yield models and other data, with checksums.

    :raises SbomError: a model's card names another checksum.
    """
    for file, text, licence in read_notices(root / 'THIRD_PARTY.md'):
        name = file.relative_to(root).as_posix()
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        is_model = file.suffix in ('.npz', '.task', '.tflite')
        version = None
        if is_model:
            card = file.with_suffix('.md').read_text()
            if digest not in card:
                raise SbomError(f'{name} is not what its card describes; restore both')
            version = re.search(r'^\| version \| (\S+) \|$', card, re.MULTILINE)[1]
        yield Component(
            type=ComponentType.MACHINE_LEARNING_MODEL if is_model else ComponentType.DATA,
            name=name,
            version=version,
            bom_ref=name,
            description=text,
            hashes=[HashTypeFactory().from_composite_str(f'sha256:{digest}')],
            licenses=[LicenseFactory().make_from_string(licence)],
        )


def bill_of_materials(lock: Path, root: Path) -> Bom:
    """Return all that is in the package and all that is installed with it.

    :raises SbomError: the environment is not that of the lock file, or a model is not its card's.
    """
    packages, environment = locked(lock)
    (package,) = (one for one in environment.components if one.name == PACKAGE)
    package.type = ComponentType.APPLICATION
    # Of this checkout, where it was installed from a folder.
    package.external_references.clear()
    files = list(shipped_files(root))
    bom = Bom(components=[*packages, *files])
    bom.metadata.component = package
    bom.metadata.tools = environment.metadata.tools
    bom.register_dependency(package, bom.components)
    by_ref = {one.bom_ref: one for one in packages}
    for known in environment.dependencies:
        if known.ref in by_ref:
            needs = [by_ref[ref] for ref in known.dependencies_as_bom_refs() if ref in by_ref]
            bom.register_dependency(by_ref[known.ref], needs)
    return bom


def as_json(bom: Bom) -> str:
    """Return the text of ``bom``.

    :raises SbomError: it breaks the schema.
    """
    text = JsonV1Dot6(bom).output_as_string(indent=1) + '\n'
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SbomError(f'what was written breaks the schema of CycloneDX: {error!r}')
    return text


def main() -> int:
    """Write the file; return 2 with one line on standard error if that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--lock', type=Path, default=ROOT / 'requirements' / 'demo.lock')
    parser.add_argument('--output', type=Path, default=ROOT / 'out' / 'sbom.cdx.json')
    chosen = parser.parse_args()
    try:
        bom = bill_of_materials(chosen.lock, ROOT)
        text = as_json(bom)
        chosen.output.parent.mkdir(parents=True, exist_ok=True)
        chosen.output.write_text(text)
    except (SbomError, OSError) as error:
        print(f'write_sbom: {error}', file=sys.stderr)
        return 2
    print(f'{chosen.output}: {len(bom.components)} components, valid CycloneDX 1.6')
    return 0


if __name__ == '__main__':
    sys.exit(main())
