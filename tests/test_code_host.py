"""What a code host reads: the workflow and the citation keep to their schemas and say what is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from killed_runs import SMALL, known

import workbench
from workbench.artifacts.parameters import parse_value
from workbench.artifacts.steps import find_notebooks

ROOT = Path(__file__).resolve().parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
CITATION = ROOT / "CITATION.cff"


@pytest.mark.parametrize(
    ("schema", "file"),
    [("github-workflows", WORKFLOW), ("citation-file-format", CITATION)],
    ids=["workflow", "citation"],
)
def test_a_file_keeps_to_its_schema(schema: str, file: Path) -> None:
    words = ["check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_workflow_runs_the_tests_and_a_chain_with_parameters_that_there_are() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"]
    steps = [step for job in jobs.values() for step in job["steps"]]
    runs = "\n".join(step["run"] for step in steps if "run" in step)
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert {"test", "docs"} <= set(re.findall(r"make (\w+)", runs)) <= set(targets)
    (kept,) = [step["with"]["path"] for step in steps if "upload-artifact" in step.get("uses", "")]
    assert re.search(r"workbench run --run-dir (\S+)", runs)[1] + "/report.html" in kept
    given = re.findall(r"-p (\w+) (\S+)", jobs["chain"]["env"]["SMALL"])
    assert {name: parse_value(value) for name, value in given} == {
        name: parse_value(str(value)) for name, value in known(find_notebooks(), SMALL).items()
    }  # which another test runs


def test_the_citation_is_of_this_version_and_licence() -> None:
    citation, project = yaml.safe_load(CITATION.read_text("utf-8")), (ROOT / "pyproject.toml").read_text("utf-8")
    assert citation["version"] == workbench.__version__
    assert " AND ".join(citation["license"]) in project
