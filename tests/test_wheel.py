"""The built wheel works where there is no checkout: commands, notebooks, data and notices come with it."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = list(ROOT.glob("workbench/data/**/*"))
NOTICES = [path for name in ("LICENSE", "NOTICE") for path in ROOT.glob(f"workbench/**/*{name}*")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from this checkout, with what is installed: nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scripts of an environment of its own in which the wheel is; what it stands on is that of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    python = str(scripts / "python")
    install = ["install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", python, *install], check=True, capture_output=True)
    own = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    Path(own.strip(), "beneath.pth").write_text(sysconfig.get_path("purelib"))
    return scripts


def test_the_wheel_holds_notebooks_data_and_every_notice_of_what_it_bundles(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        held = set(opened.namelist())
    notebooks = {f"workbench/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("notebooks/**/*.ipynb")}
    own, data = ({path.relative_to(ROOT).as_posix() for path in some if path.is_file()} for some in (NOTICES, DATA))
    licences = {name.partition(".dist-info/licenses/")[2] for name in held}
    assert len(notebooks) >= 6 and notebooks <= held
    assert len(own) >= 2 and own | {"LICENSE"} <= licences and own <= held
    assert len(data) > 30 and data <= held


def test_from_an_empty_folder_the_installed_command_runs_the_notebooks_it_carries(installed, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    manner = {"cwd": tmp_path, "env": environment, "text": True}
    command = [str(installed / "workbench"), "run"]
    refused = subprocess.run([*command, "-p", "steps", "0"], capture_output=True, **manner)
    assert refused.returncode == 2 and "steps must keep to" in refused.stderr and not list(tmp_path.iterdir())

    given = [*command, "--run-dir", "r", "-p", "shown_nodes", "30", "-p", "table", "mediakg", "-p", "topics", "[]"]
    with subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **manner) as run:
        assert run.stdout and run.stderr
        lines = []
        for line in run.stdout:
            lines.append(line)
            if line.startswith("[2/4]"):  # the first notebook is done: the others run as they do in a checkout
                run.terminate()
        said = run.stderr.read()
    assert (tmp_path / "r" / "kg" / "manifest.json").is_file(), "".join(lines) + said
