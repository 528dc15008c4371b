"""Reads JSON with an SDK's own models and finds what these have no name for."""

import json
import warnings

from pydantic import BaseModel, ValidationError

_PUBLIC = "the public API sends it, the SDK's models lag behind"
_THINKING = "thinking, as DeepSeek, vLLM and the agents that read it name it"
_OLLAMA = "Ollama sends it, its Python client's models lag behind"
_PICTURES = "pictures, as OpenRouter and the agents that read them name them"
# Fields of OpenAI's model list that are ours.
CATALOGUE = [
    "context_window",
    "default_reasoning_effort",
    "display_name",
    "input_modalities",
    "max_context_window",
    "service_tiers",
    "supported_reasoning_efforts",
]

# What we send beyond the published models, and why: (model, field), or (path of the field, value or None for any).
ALLOWED = {
    ("ChoiceDelta", "reasoning_content"): _THINKING,
    ("ChatCompletionMessage", "reasoning_content"): _THINKING,
    ("ChoiceDelta", "images"): _PICTURES,
    ("ChatCompletionMessage", "images"): _PICTURES,
    **{("Model", field): "what the catalogue knows of a model, for clients that choose by it" for field in CATALOGUE},
    ("choices.delta.tool_calls.type", "custom"): _PUBLIC,
    ("ChoiceDeltaToolCall", "custom"): _PUBLIC,
    ("ChoiceDelta", "annotations"): _PUBLIC,
    ("ErrorObject", "resets_at"): "when a quota resets; Codex reads it",
    ("ErrorObject", "resets_in_seconds"): "when a quota resets; Codex reads it",
    ("Response", "end_turn"): "the Codex backend sends it, and Codex reads it",
    ("Response", "frequency_penalty"): _PUBLIC,
    ("Response", "presence_penalty"): _PUBLIC,
    ("Response", "store"): _PUBLIC,
    ("ResponseCustomToolCall", "status"): _PUBLIC,
    ("ResponseCustomToolCallInputDeltaEvent", "obfuscation"): _PUBLIC,
    ("ResponseTextDeltaEvent", "obfuscation"): _PUBLIC,
    ("ResponseFunctionCallArgumentsDeltaEvent", "obfuscation"): _PUBLIC,
    ("ResponseFunctionCallArgumentsDoneEvent", "name"): _PUBLIC,
    ("ResponseReasoningSummaryTextDeltaEvent", "obfuscation"): _PUBLIC,
    ("response.output_item.added.item.ResponseFunctionWebSearch.action", None): _PUBLIC,
    ("response.failed.response.error.code", None): "the backend's own codes, by which Codex decides what to do",
    ("error.type", "request_too_large"): "Anthropic documents it for status 413",
    ("ListResponse.Model", "name"): _OLLAMA,
    ("promptTokensDetails", None): _PUBLIC,
    ("Message.ToolCall", "id"): _OLLAMA,
    ("Message.ToolCall.Function", "index"): _OLLAMA,
}


class Judge:
    """Collects everything that is wrong, so that one run shows all of it."""

    def __init__(self):
        self.problems, self.used, self.count = {}, set(), 0

    def read(self, adapter, payload, where):
        """Validates one payload; what it became, or None when it is no such thing."""
        self.count += 1
        try:
            with warnings.catch_warnings():
                # google-genai takes unknown members of an enum with no more than a warning.
                warnings.simplefilter("error")
                value = adapter.validate_json(payload, strict=True)
        except Warning as warning:
            self.note(str(warning), where, payload)
            return None
        except ValidationError as error:
            for fault in meant(error.errors()):
                self.fault(fault, where, payload)
            return None
        for extra in sorted(extras(value, json.loads(payload))):
            self.check([extra], f"{extra[0]} has no field {extra[1]}", where, payload)
        return value

    def fault(self, fault, where, payload):
        """One of the reasons why a payload is no such thing."""
        path = ".".join(part for part in fault["loc"] if isinstance(part, str))
        value = fault["input"] if isinstance(fault["input"], str) else None
        self.check([(path, value), (path, None)], f"{path}: {fault['msg']}, not {value}", where, payload)

    def check(self, cases, problem, where, payload):
        """Notes a problem unless one of its descriptions is allowed."""
        allowed = [case for case in cases if case in ALLOWED]
        self.used.update(allowed)
        if not allowed:
            self.note(problem, where, payload)

    def note(self, problem, where, payload):
        """Keeps the first place of each problem."""
        shown = payload if len(payload) < 1500 else payload[:1500] + b"..."
        self.problems.setdefault(problem, f"{where}: {shown.decode(errors='replace')}")

    def report(self):
        """Everything found, as text."""
        return "\n\n".join(f"{problem}\n  first seen in {where}" for problem, where in self.problems.items())


def meant(faults):
    """The faults of the member of a union that was meant: not of those whose `type` is another."""
    wrong = [fault for fault in faults if fault["loc"][-1:] == ("type",) and fault["type"] == "literal_error"]
    others = [fault["loc"][:-1] for fault in wrong]
    left = [fault for fault in faults if not any(fault["loc"][: len(loc)] == loc for loc in others)]
    if left or not wrong:
        return left or faults
    # No member has this type: once is enough.
    return [{**wrong[0], "loc": (*wrong[0]["loc"][:-2], "type")}]


def extras(value, data):
    """Fields of the JSON that the model does not have, as (model, field)."""
    if isinstance(value, BaseModel) and isinstance(data, dict):
        fields = type(value).model_fields
        names = {name: name for name in fields} | {fields[name].alias: name for name in fields if fields[name].alias}
        for key, item in data.items():
            if key in names:
                yield from extras(getattr(value, names[key]), item)
            else:
                yield type(value).__qualname__, key
    elif isinstance(value, (list, tuple)) and isinstance(data, list):
        for one, item in zip(value, data, strict=True):
            yield from extras(one, item)
    elif isinstance(value, dict) and isinstance(data, dict):
        for key, item in data.items():
            yield from extras(value.get(key), item)
