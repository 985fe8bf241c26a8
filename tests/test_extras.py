"""What installs the optional packages: this checkout, or the packages themselves, never a name that others own."""

import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from workbench.artifacts import origin

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == origin.DISTRIBUTION != "workbench"


@pytest.mark.parametrize("extra", PROJECT["optional-dependencies"])
def test_an_extra_comes_from_the_checkout_or_package_by_package(
    extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, *words, place = shlex.split(origin.install_command(extra))
    assert python == sys.executable and words == ["-m", "pip", "install", "--editable"]
    assert place == f"{ROOT}[{extra}]"

    about = tmp_path / f"{PROJECT['name'].replace('-', '_')}-0.dist-info" / "METADATA"
    about.parent.mkdir()
    named = [(None, PROJECT["dependencies"]), *PROJECT["optional-dependencies"].items()]
    needs = [f"Requires-Dist: {one}{f'; extra == {kind!r}' if kind else ''}" for kind, some in named for one in some]
    about.write_text("\n".join(["Metadata-Version: 2.1", f"Name: {PROJECT['name']}", "Version: 0", *needs]))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(origin, "CHECKOUT", tmp_path)
    packages = shlex.split(origin.install_command(extra))[4:]
    wanted = PROJECT["optional-dependencies"][extra]
    assert [*map(Requirement, packages)] == [*map(Requirement, wanted)]
