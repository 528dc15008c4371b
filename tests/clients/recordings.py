"""How the official client was seen to take failures: recorded experiments, each as rules of the made-up backend."""

import json
import os
from pathlib import Path

#: Recorded experiments whose last request came later than this many seconds are left out: they wait, no more.
LONGEST = 9.5
#: What is not told as a script, and why.
UNSCRIPTED = {"e24_residency": "it serves no failure: a workspace's residency, which the made-up backend has of its own"}
#: The endpoints of recorded rules; the first whose name the path ends with.
PLACES = {"/responses": "responses", "/oauth/token": "token", "/accounts/check": "accounts_check"}
BEGUN = {"type": "response.created", "response": {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}}


class Experiment:
    """What was served, and what the client did: how many requests of each kind, and its last words."""

    def __init__(self, name, recorded):
        self.name, self.served, self.requests = name, recorded["served"], recorded["client_requests"]
        self.last = recorded["client_messages"][-1]

    def __repr__(self):
        return self.name

    def short(self):
        """It was seen to end, and soon."""
        return self.requests[-1][0] <= LONGEST and outcome(self.last) is not None

    def counts(self):
        """Requests by endpoint; a model request is a POST or a message of a socket."""
        kinds = ["socket" if kind == "ws-upgrade" else place(path) for _, kind, _, path in self.requests]
        return {kind: kinds.count(kind) for kind in ("responses", "socket", "token", "accounts_check")}

    def rules(self):
        """The same for the made-up backend; `None` when something of it cannot be said."""
        served = dict(self.served)
        rules = [rule(place(given["path"]), given["times"], answer(given)) for given in served.pop("rules", [])]
        if (status := served.pop("ws_status", None)) is not None:
            refused = {"status": status, "body": served.pop("ws_body", "")}
            rules.append(rule("socket", 0, answer(refused)))
        if (mode := served.pop("mode", None)) is not None:
            rules.append(rule("responses", 0, MODES[mode](served)))
        return None if served else rules


def experiments():
    """All of them; `None` where the recordings are not there and not required."""
    shared = os.environ.get("POLYGATE_SHARED")
    path = shared and Path(shared) / "captures/retry-behaviour.json"
    if not path or not path.exists():
        if os.environ.get("POLYGATE_REQUIRE_SHARED") == "1":
            raise FileNotFoundError(f"POLYGATE_REQUIRE_SHARED is 1, but POLYGATE_SHARED names no recordings: {path}")
        return None
    return [Experiment(name, recorded) for name, recorded in json.loads(path.read_text()).items()]


def outcome(message):
    """How a message of the client ends a turn: what it failed with, or what was said; `None` when it does not."""
    if message["type"] == "turn.failed":
        return "failed", message["error"]["message"]
    item = message.get("item", {})
    return ("said", item["text"]) if item.get("type") == "agent_message" else None


def place(path):
    """The endpoint of a path."""
    return next(place for end, place in PLACES.items() if path.endswith(end))


def rule(where, times, plan):
    """A rule of a script; 0 times is always."""
    return {"when": {"place": where}, "times": times, "plan": plan}


def answer(given):
    """The plan of a status with a body and headers."""
    body = given["body"]
    return {
        "status": given["status"],
        "headers": given.get("headers", []),
        "body": {"text" if isinstance(body, str) else "json": body},
    }


def ended(how):
    """The backend's own answer until its second event, and then this end."""
    return {"shape": {"stop": {"at": {"event": 2}, "how": how}}}


def failed(served):
    """`response.failed`; as a script's own end where that says it all."""
    error = served.pop("error")
    if error.keys() == {"code", "message"}:
        return ended({"failed": error})
    failure = {"type": "response.failed", "response": {**BEGUN["response"], "status": "failed", "error": error}}
    return {"body": {"events": [BEGUN, failure]}}


#: What a recorded mode was; each takes from what was served what it says.
MODES = {
    "failed": failed,
    "incomplete": lambda served: ended({"incomplete": {"reason": served.pop("reason", "max_output_tokens")}}),
    "cut": lambda _: ended("end"),
    "raw": lambda served: {"body": {"events": [BEGUN, *served.pop("events")]}},
    "wserror": lambda served: {"body": {"events": [served.pop("frame")]}},
}
