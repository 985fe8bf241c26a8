"""What other systems leave of a question, as records of a log: one reader for each kind, chosen by name or by shape.

A reader gets one JSON object and gives a record's fields, or None where the object has another shape. None of these
systems is imported: what a reader knows is what their documents say of their output.

    graphrag    `response` and `context_data` of a search, each table as its rows (`to_dict("records")`)
    lightrag    what `/query/data` or `aquery_llm` gives, or `/query` with `include_chunk_content`
    llamaindex  a response's `source_nodes`, or the `nodes` of a retriever, by `to_dict()` or `model_dump_json()`
    langchain   documents as `context`, `source_documents` or `documents`, by `model_dump()` or `dumps`
    workbench   a case of a run folder (`adapter/cases_*.jsonl`), or an explanation of one

The question is not in what most of them give: it is added as `question` (or `query`, `input`). Packages add their own
as entry points of `workbench.readers`: name -> f(object) -> fields or None; these are used by name alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.logs.records import Fault, Record, Refused, named, read_log

GROUP = "workbench.readers"
QUESTIONS = ("question", "query", "query_str", "input")
ANSWERS = ("answer", "response", "result", "output", "llm_response")
Reader = Callable[[Mapping[str, Any]], dict[str, Any] | None]


def read(path: str | os.PathLike[str], source: str | None = None) -> Iterator[Record | Refused]:
    """The records of a log, as `read_log`, of a reader's kind.

    source: a reader's name; None: each object is read by the first one that knows its shape. ValueError: there is no
    such reader.
    """
    chosen = reader(source) if source else None

    def made(given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        if chosen is None:
            shapes = [workbench] if "facts" in given else READERS.values()
            return next(filter(None, (one(given) for one in shapes)), given)
        if (found := chosen(given)) is None:
            raise Fault("the line", f"have the shape of {source!r}", list(given), do="give another --from, or none")
        return found

    yield from read_log(path, made=made)


def file_of(path: str | os.PathLike[str]) -> Path:
    """The file of a log: of a run folder, that of its held-out cases."""
    return Path(path, "adapter", "cases_held_out.jsonl") if Path(path).is_dir() else Path(path)


def reader(name: str) -> Reader:
    """The reader of one name. ValueError: there is none."""
    return named(name, READERS, group=GROUP, what="reader")


def graphrag(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """GraphRAG: the tables of a context; rows that did not fit into the prompt (`in_context`) are left out."""
    tables = given.get("context_data")
    if not isinstance(tables, Mapping):
        return None
    rows = {name: [x for x in _rows(tables, name) if x.get("in_context", True)] for name in tables}
    facts: list[Any] = [_about(x, "entity") for x in rows.get("entities", [])]
    facts += [_link(x, "source", "target") for x in rows.get("relationships", [])]
    facts += [_about(x, "entity") for x in rows.get("claims", [])]
    facts += [x.get("content") for x in rows.get("reports", [])] + [x.get("text") for x in rows.get("sources", [])]
    return _fields(given, "context_data", facts)


def lightrag(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """LightRAG: entities, relationships and chunks; of a plain query, the chunks of its references."""
    data = given.get("data")
    if isinstance(data, Mapping) and {"entities", "relationships", "chunks"} & set(data):
        facts: list[Any] = [_about(x, "entity_name") for x in _rows(data, "entities")]
        facts += [_link(x, "src_id", "tgt_id") for x in _rows(data, "relationships")]
        return _fields(given, "data", facts + [x.get("content") for x in _rows(data, "chunks")])
    found = _rows(given, "references")
    chunks = [text for x in found if isinstance(x.get("content"), list) for text in x["content"]]
    return _fields(given, "references", chunks) if chunks else None


def llamaindex(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """LlamaIndex: nodes with their scores; the node of a property graph, `a -> r -> b`, is a triple."""
    name = next((name for name in ("source_nodes", "nodes") if isinstance(given.get(name), list)), "")
    rows = _rows(given, name)
    nodes = [x["node"] for x in rows if isinstance(x.get("node"), Mapping)]
    if not name or len(nodes) < len(rows):
        return None
    return _fields(given, name, [_arrows(node.get("text")) for node in nodes])


def langchain(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """LangChain: documents, as their fields or as `dumps` writes them."""
    for name in ("context", "source_documents", "documents"):
        documents = [_constructed(x) for x in _rows(given, name)]
        if documents and all("page_content" in x for x in documents):
            return _fields(given, name, [x["page_content"] for x in documents])
    return None


def workbench(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """This package: a case asks which chain leads from its source to its target (`--decision chain`)."""
    case = given.get("case", given)
    shape = {"source", "target", "facts", "path", "names"}
    if "question" in given or not isinstance(case, Mapping) or not shape <= set(case):
        return None
    if case.get("kind", "chain") != "chain":
        raise Fault("kind", "be 'chain'", case["kind"], do="leave questions of another kind out")
    names = case["names"]
    try:
        source, target = names[case["source"]], names[case["target"]]
        facts = [[names[head], relation, names[tail]] for head, relation, tail in case["facts"]]
        told = given["answers"]["tuned_full"] if "case" in given else case["path"]
        answer = " -> ".join(names.get(node, node) for node in told[1:])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Fault("the case", "name the ends of its facts", repr(error), do="use a file of a run folder") from None
    question = f"Which chain leads from {source} to {target}?"
    more = {"source": source, "target": target, "answer": answer}
    return {"id": case.get("id"), "question": question, "facts": facts, **more}


READERS: dict[str, Reader] = {one.__name__: one for one in (graphrag, lightrag, llamaindex, langchain, workbench)}


def _fields(given: Mapping[str, Any], used: str, facts: Sequence[Any]) -> dict[str, Any]:
    """A record: question and answer whatever they are called, the facts that say something, and the other fields."""
    asked = next((given[name] for name in QUESTIONS if name in given), None)
    if asked is None:
        raise Fault("question", "be there, and what was retrieved does not tell it", do="add it as `question`")
    told = (_answer(given[name]) for name in ANSWERS if name in given)
    answer = next((text for text in told if isinstance(text, str)), None)
    rest = {name: value for name, value in given.items() if name not in (used, *QUESTIONS, *ANSWERS)}
    return rest | {"question": asked, "answer": answer, "facts": [fact for fact in facts if fact]}


def _answer(given: Any) -> Any:
    """A text, or what of a message is one."""
    return _constructed(given).get("content") if isinstance(given, Mapping) else given


def _rows(given: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list, where there is one."""
    found = given.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _constructed(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """An object's fields, whether or not `dumps` has written around it how it is made."""
    fields = given.get("kwargs")
    return fields if given.get("type") == "constructor" and isinstance(fields, Mapping) else given


def _about(row: Mapping[str, Any], name: str) -> str:
    """What a table says of an entity."""
    return ": ".join(str(row[key]) for key in (name, "description") if row.get(key))


def _link(row: Mapping[str, Any], head: str, tail: str) -> dict[str, Any] | None:
    """What a table says of two entities, as a triple in words."""
    ends = [str(row.get(head) or ""), str(row.get(tail) or "")]
    said = str(row.get("description") or row.get("keywords") or "is related to")
    text = f"{ends[0]} - {ends[1]}: {said}"
    return {"subject": ends[0], "relation": said, "object": ends[1], "text": text} if all(ends) else None


def _arrows(text: Any) -> Any:
    parts = text.split(" -> ") if isinstance(text, str) and "\n" not in text else []
    return parts if len(parts) == 3 and all(map(str.strip, parts)) else text
