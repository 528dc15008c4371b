"""Readers for model lists, token counts and Ollama's other answers."""

from typing import Literal, Optional

import anthropic.types
import google.genai.types
import ollama
import openai.types
from pydantic import BaseModel, ConfigDict, TypeAdapter


class OpenAiList(BaseModel):
    """A page of `openai`, whose own class needs a client."""

    model_config = ConfigDict(extra="forbid")
    object: Literal["list"]
    data: list[openai.types.Model]


class AnthropicList(BaseModel):
    """A page of `anthropic`, whose own class needs a client."""

    model_config = ConfigDict(extra="forbid")
    data: list[anthropic.types.ModelInfo]
    has_more: bool
    first_id: Optional[str]
    last_id: Optional[str]


class GoogleModel(google.genai.types.Model):
    """A model as it is sent: the SDK gives one field another name, and leaves one out."""

    supported_generation_methods: list[str]
    base_model_id: str


class GoogleList(google.genai.types.ListModelsResponse):
    """A page of such models."""

    models: list[GoogleModel]


class Version(BaseModel):
    """What `ollama` reads without a model of its own."""

    model_config = ConfigDict(extra="forbid")
    version: str


OPENAI = TypeAdapter(OpenAiList)
OPENAI_MODEL = TypeAdapter(openai.types.Model)
ANTHROPIC = TypeAdapter(AnthropicList)
ANTHROPIC_MODEL = TypeAdapter(anthropic.types.ModelInfo)
ANTHROPIC_COUNT = TypeAdapter(anthropic.types.MessageTokensCount)
GOOGLE = TypeAdapter(GoogleList)
GOOGLE_MODEL = TypeAdapter(GoogleModel)
GOOGLE_COUNT = TypeAdapter(google.genai.types.CountTokensResponse)
OLLAMA_GENERATE = TypeAdapter(ollama.GenerateResponse)
# Reader, path, and what is posted beside the model; None is a GET.
OLLAMA = [
    (TypeAdapter(ollama.ListResponse), "/api/tags", None),
    (TypeAdapter(ollama.ProcessResponse), "/api/ps", None),
    (TypeAdapter(Version), "/api/version", None),
    (TypeAdapter(ollama.ShowResponse), "/api/show", {"verbose": False}),
]
