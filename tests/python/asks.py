"""The same questions in five protocols."""

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
ABOUT = "The weather of a city"
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+M8AAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
)

# What is asked beside the prompt; each protocol below says it in its own words.
SCENES = {
    "text": {"prompt": "Reply with exactly: pong"},
    "long": {"prompt": "count to 200"},
    "tool": {"prompt": "What is the weather in Paris for 3 days?", "tools": True},
    "parallel": {"prompt": "Call get_weather for both, 2 days in Paris and London", "tools": True},
    "result": {"prompt": "What is the weather in Paris for 3 days?", "tools": True, "result": "sunny"},
    "thinking": {"prompt": "Reply with exactly: pong", "thinking": True},
    "thinking-tool": {"prompt": "What is the weather in Paris for 3 days?", "tools": True, "thinking": True},
    "search": {"prompt": "search for example.com", "search": True},
    "schema": {"prompt": "Describe a person", "schema": True},
    "seen": {"prompt": "What is in this image?", "image": True},
    "length": {"prompt": "count to 200", "max_tokens": 20},
    "stop": {"prompt": "count to 200", "stop": " 17"},
}


def chat(model, scene, stream):
    """Chat Completions."""
    user = [{"type": "text", "text": scene["prompt"]}]
    if "image" in scene:
        user.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}})
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": user}]}
    if stream:
        body["stream_options"] = {"include_usage": True}
    if "tools" in scene:
        function = {"name": "get_weather", "description": ABOUT, "parameters": WEATHER}
        body["tools"] = [{"type": "function", "function": function}]
    if "result" in scene:
        call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        body["messages"].append({"role": "assistant", "content": None, "tool_calls": [call]})
        body["messages"].append({"role": "tool", "tool_call_id": "call_1", "content": scene["result"]})
    if "thinking" in scene:
        body["reasoning_effort"] = "high"
    if "search" in scene:
        body["web_search_options"] = {}
    if "schema" in scene:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}
    return body | _some(scene, max_tokens="max_completion_tokens", stop="stop")


def responses(model, scene, stream):
    """Responses."""
    user = [{"type": "input_text", "text": scene["prompt"]}]
    if "image" in scene:
        user.append({"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{PIXEL}"})
    body = {"model": model, "stream": stream, "input": [{"type": "message", "role": "user", "content": user}]}
    if "tools" in scene:
        body["tools"] = [{"type": "function", "name": "get_weather", "description": ABOUT, "parameters": WEATHER, "strict": True}]
    if "result" in scene:
        body["input"].append({"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"})
        body["input"].append({"type": "function_call_output", "call_id": "call_1", "output": scene["result"]})
    if "thinking" in scene:
        body |= {"reasoning": {"effort": "high", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}
    if "search" in scene:
        body["tools"] = [{"type": "web_search"}]
    if "schema" in scene:
        body["text"] = {"format": {"type": "json_schema", "name": "person", "schema": PERSON, "strict": True}}
    return body | _some(scene, max_tokens="max_output_tokens")


def messages(model, scene, stream):
    """Anthropic Messages."""
    user = [{"type": "text", "text": scene["prompt"]}]
    if "image" in scene:
        user.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}})
    body = {"model": model, "stream": stream, "max_tokens": 4096, "messages": [{"role": "user", "content": user}]}
    if "tools" in scene:
        body["tools"] = [{"name": "get_weather", "description": ABOUT, "input_schema": WEATHER}]
    if "result" in scene:
        call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
        body["messages"].append({"role": "assistant", "content": [call]})
        result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": scene["result"]}
        body["messages"].append({"role": "user", "content": [result]})
    if "thinking" in scene:
        body["thinking"] = {"type": "enabled", "budget_tokens": 2048}
    if "search" in scene:
        body["tools"] = [{"type": "web_search_20250305", "name": "web_search"}]
    if "schema" in scene:
        body["output_config"] = {"format": {"type": "json_schema", "schema": PERSON}}
    if "stop" in scene:
        body["stop_sequences"] = [scene["stop"]]
    return body | _some(scene, max_tokens="max_tokens")


def gemini(_model, scene, _stream):
    """Gemini; the model and the form of the answer stand in the path."""
    user = [{"text": scene["prompt"]}]
    if "image" in scene:
        user.append({"inlineData": {"mimeType": "image/png", "data": PIXEL}})
    settings = {}
    body = {"contents": [{"role": "user", "parts": user}], "generationConfig": settings}
    if "tools" in scene:
        function = {"name": "get_weather", "description": ABOUT, "parametersJsonSchema": WEATHER}
        body["tools"] = [{"functionDeclarations": [function]}]
    if "result" in scene:
        body["contents"].append({"role": "model", "parts": [{"functionCall": {"name": "get_weather", "args": {}}}]})
        answer = {"name": "get_weather", "response": {"result": scene["result"]}}
        body["contents"].append({"role": "user", "parts": [{"functionResponse": answer}]})
    if "thinking" in scene:
        settings["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": 8192}
    if "search" in scene:
        body["tools"] = [{"googleSearch": {}}]
    if "schema" in scene:
        settings |= {"responseMimeType": "application/json", "responseJsonSchema": PERSON}
    if "stop" in scene:
        settings["stopSequences"] = [scene["stop"]]
    settings |= _some(scene, max_tokens="maxOutputTokens")
    return body


def ollama(model, scene, stream):
    """Ollama's `/api/chat`."""
    user = {"role": "user", "content": scene["prompt"]}
    if "image" in scene:
        user["images"] = [PIXEL]
    body = {"model": model, "stream": stream, "messages": [user]}
    if "tools" in scene:
        function = {"name": "get_weather", "description": ABOUT, "parameters": WEATHER}
        body["tools"] = [{"type": "function", "function": function}]
    if "result" in scene:
        call = {"function": {"name": "get_weather", "arguments": {}}}
        body["messages"].append({"role": "assistant", "content": "", "tool_calls": [call]})
        body["messages"].append({"role": "tool", "tool_name": "get_weather", "content": scene["result"]})
    if "thinking" in scene:
        body["think"] = True
    if "schema" in scene:
        body["format"] = PERSON
    options = _some(scene, max_tokens="num_predict")
    if "stop" in scene:
        options["stop"] = [scene["stop"]]
    return body | ({"options": options} if options else {})


def _some(scene, **names):
    """The fields of a scene that a protocol takes as they are, under its own names."""
    return {name: scene[field] for field, name in names.items() if field in scene}
