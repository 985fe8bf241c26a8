"""The examples in docstrings run as they stand, and what a room offers has one."""

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for path in (ROOT / "workbench").rglob("*.py") if ">>> " in path.read_text("utf-8"))


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.relative_to(ROOT / "workbench").as_posix())
def test_examples_of_docstrings_run_as_they_stand(file: Path) -> None:
    name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.failed == 0


ROOMS = "stats cases explain attribution shift game kg kg.importers models pretrain train figures".split()
WITHOUT = {
    "stats": "Interval MedianInterval PairedDifference Proportion",
    "cases": "iter_cases load_cases",
    "explain": (
        "Change ChangedSets ElementSet Explanation LoopDivergence OtherOrders Sample Session Term against answered "
        "by_case certified_change hanging learn_masks load other_orders proved_set records second_case verified_changes"
    ),
    "attribution": "CfSearch LimaWeights Oracle cf_search",
    "shift": (
        "Intruders Measurement SmallestPart agreement_tests base_shares base_weights by_element by_entity by_group "
        "carried causal_check cheap_scores checkpoints compare contests deletions dose_path drift element_layers "
        "exact_at first_order gain_shares growth intruder_dimensions kept_accuracy looked_into masks_by_case "
        "module_saliency removals saliency_shift save_adapter separation smallest_part switch_shares "
        "to_singular_parts token_shift with_measures write_tables"
    ),
    "game": "Adapted",
    "kg": "Edam Given GraphError PathError Table agreement build_graph disagreements showcase standings",
    "kg.importers": (
        "FactItem Imported Importer Line Node Options Provenance RegistryError Report Toolchain Unit assemble "
        "import_registry read_edam write_report"
    ),
    "models": (
        "AdapterError ChatTemplate LanguageModel ModelError Template base_model chat_template check_base "
        "check_loaded hold_dequantised hold_merged keep_gradients load_config load_tokenizer loading other_values "
        "suit_threads with_adapter"
    ),
    "pretrain": "Pretraining Progress held_out is_path",
    "train": "TrainResult judged train",
}
"""Room -> what it offers without an example: what needs a finished run, a training, weights or a registry's files, and
what another example shows as its result."""


@pytest.mark.parametrize("room", ROOMS)
def test_what_a_room_offers_has_an_example(room: str) -> None:
    module = import_module(f"workbench.{room}")
    offered = {name: getattr(module, name) for name in vars(module) if not name.startswith("_")}
    own = {name: one for name, one in offered.items() if getattr(one, "__module__", "").startswith(module.__name__)}
    callables = {name: one for name, one in own.items() if inspect.isfunction(one) or inspect.isclass(one)}
    lacking = {name for name, one in callables.items() if ">>> " not in (one.__doc__ or "")}
    assert lacking <= set(WITHOUT.get(room, "").split())
