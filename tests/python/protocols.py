"""Five protocols: where a request goes, how its answer is cut, and which models of the official SDKs read it."""

from typing import Annotated, Literal, NamedTuple, Union, get_args

import anthropic.types
import google.genai.types
import ollama
import openai.types.chat
import openai.types.responses
import openai.types.shared
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

import asks
import frames


class Closed(BaseModel):
    """What an SDK reads without a model of its own."""

    model_config = ConfigDict(extra="forbid")


class OpenAiError(BaseModel):
    """`openai` reads `error` out of the body."""

    error: openai.types.shared.ErrorObject


class Ping(Closed):
    """`anthropic` knows it by the name of its event only."""

    type: Literal["ping"]


class GoogleFault(Closed):
    """`google.genai.errors.APIError` reads these."""

    code: int
    message: str
    status: Literal[
        "INVALID_ARGUMENT",
        "FAILED_PRECONDITION",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
        "NOT_FOUND",
        "RESOURCE_EXHAUSTED",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
    ]
    details: list[dict] = []


class GoogleError(Closed):
    """An error of the Gemini API."""

    error: GoogleFault


class OllamaError(Closed):
    """`ollama.ResponseError` reads `error` out of the body."""

    error: str


class Protocol(NamedTuple):
    """How one protocol is spoken."""

    name: str
    ask: object
    # The path of a request, from the model and whether to stream.
    path: object
    key: str
    # A stream's body to its events: pairs of name and data.
    cut: object
    event: TypeAdapter
    whole: TypeAdapter
    error: TypeAdapter
    # What an answer to a scene shows somewhere, as a stream or collected.
    signs: dict


def _events(union, *more):
    """A reader that looks at `type` first, so that a fault is told of the one model that was meant."""
    members = get_args(get_args(union)[0]) + more
    return TypeAdapter(Annotated[Union[members], Field(discriminator="type")])


def _data(body):
    """Events without their end mark."""
    return [pair for pair in frames.events(body) if pair[1] != b"[DONE]"]


CHAT = Protocol(
    "chat",
    asks.chat,
    lambda _model, _stream: "/v1/chat/completions",
    "authorization",
    _data,
    TypeAdapter(openai.types.chat.ChatCompletionChunk),
    TypeAdapter(openai.types.chat.ChatCompletion),
    TypeAdapter(OpenAiError),
    {"thinking": b'"reasoning_content":"', "length": b'"finish_reason":"length"', "stop": b'"finish_reason":"stop"'},
)

RESPONSES = Protocol(
    "responses",
    asks.responses,
    lambda _model, _stream: "/v1/responses",
    "authorization",
    frames.events,
    _events(openai.types.responses.ResponseStreamEvent),
    TypeAdapter(openai.types.responses.Response),
    TypeAdapter(OpenAiError),
    {"thinking": b'"encrypted_content":"', "length": b'"reason":"max_output_tokens"', "search": b'"url_citation"'},
)

MESSAGES = Protocol(
    "messages",
    asks.messages,
    lambda _model, _stream: "/v1/messages",
    "x-api-key",
    frames.events,
    _events(anthropic.types.RawMessageStreamEvent, Ping, anthropic.types.ErrorResponse),
    TypeAdapter(anthropic.types.Message),
    TypeAdapter(anthropic.types.ErrorResponse),
    {
        "thinking": b'"signature":"',
        "length": b'"stop_reason":"max_tokens"',
        "stop": b'"stop_sequence":" 17"',
        "search": b'"web_search_tool_result"',
    },
)

GEMINI = Protocol(
    "gemini",
    asks.gemini,
    lambda model, stream: f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent"),
    "x-goog-api-key",
    frames.events,
    TypeAdapter(google.genai.types.GenerateContentResponse),
    TypeAdapter(google.genai.types.GenerateContentResponse),
    TypeAdapter(GoogleError),
    {"thinking": b'"thought":true', "length": b'"MAX_TOKENS"', "stop": b'"STOP"', "search": b'"groundingMetadata"'},
)

OLLAMA = Protocol(
    "ollama",
    asks.ollama,
    lambda _model, _stream: "/api/chat",
    "authorization",
    lambda body: [(None, line) for line in frames.lines(body)],
    TypeAdapter(ollama.ChatResponse),
    TypeAdapter(ollama.ChatResponse),
    TypeAdapter(OllamaError),
    {"thinking": b'"thinking":"', "length": b'"done_reason":"length"', "stop": b'"done_reason":"stop"'},
)

ALL = [CHAT, RESPONSES, MESSAGES, GEMINI, OLLAMA]
