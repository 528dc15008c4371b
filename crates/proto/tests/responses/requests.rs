//! Requests: read, normalised, refused, and written for the backend in both shapes and for relays.

use bytes::Bytes;
use proptest::prelude::*;
use proto::canon::{ItemKind, Part, Role, ToolChoice, ToolKind};
use proto::dialect::{CodexTarget, RelayTarget, Target, Written};
use proto::{Dialect, Failure, Kind, Notes, Request, Wire};
use serde_json::{Value, json};

fn read(body: &str) -> Result<Request, Failure> {
    Dialect::Responses.read_request(Bytes::copy_from_slice(body.as_bytes())).map(|(request, _)| request)
}

fn classic() -> CodexTarget {
    CodexTarget {
        model: "gpt-5.5".into(),
        default_effort: Some("medium".into()),
        efforts: ["low", "medium", "high", "xhigh"].map(String::from).to_vec(),
        priority_tier: true,
        cache_key: "conv-7".into(),
        metadata: vec![("session_id".into(), "s-1".into())],
        ..CodexTarget::default()
    }
}

fn lite() -> CodexTarget {
    CodexTarget { model: "gpt-6-sol".into(), lite: true, ..classic() }
}

fn write(request: &Request, target: &CodexTarget) -> (Bytes, Notes) {
    let Written { body, notes, .. } = Wire::Responses.write_request(request, &Target::Codex(target.clone())).unwrap();
    (body, notes)
}

fn relay(request: &Request) -> (Bytes, Notes) {
    let target = RelayTarget { model: "gpt-x".into(), effort: Some("low".into()), ..RelayTarget::default() };
    let Written { body, notes, .. } = Wire::Responses.write_request(request, &Target::Relay(target)).unwrap();
    (body, notes)
}

/// A body as text, one top-level field per line, and its notes.
fn show((body, notes): (Bytes, Notes)) -> String {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let fields = body.as_object().unwrap().iter().map(|(key, value)| format!("{key}: {value}\n"));
    let notes = notes.iter().map(|note| format!("note: {note}\n"));
    fields.chain(notes).collect()
}

/// All fields at once, in no special order, with unknown fields too.
const RICH: &str = r#"{
  "stream": true, "temperature": 0.20, "unknown_field": {"kept": [1, 2.50]}, "model": "alias", "user": "u",
  "instructions": "Be \u201cbrief\u201d.",
  "input": [
    {"role": "system", "content": "Sys.", "x": 1},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Look:"},
      {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"},
      {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}], "content": null, "encrypted_content": "gAAAA"},
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"},
    {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}]},
    {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
    {"type": "from_the_future", "payload": {"a": null}},
    {"type": "compaction", "encrypted_content": "gAAAB"}
  ],
  "tools": [
    {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}},
    {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"}},
    {"type": "namespace", "name": "own", "description": "", "tools": []},
    {"type": "web_search", "external_web_access": false}
  ],
  "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": true,
  "reasoning": {"effort": "max", "summary": "auto"}, "max_output_tokens": 77, "service_tier": "fast",
  "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": false}},
  "include": ["file_search_call.results"], "store": true, "metadata": {"a": "b"}, "truncation": null, "prompt_cache_key": "mine"
}"#;

#[test]
fn everything_is_read() {
    let request = read(RICH).unwrap();
    assert_eq!(request.model.as_deref(), Some("alias"));
    assert_eq!(request.instructions.as_ref().unwrap().plain(), "Be “brief”.");
    assert!(matches!(&request.items[0].kind, ItemKind::Message { role: Role::System, parts, .. } if parts.len() == 1));
    let ItemKind::Message { parts, .. } = &request.items[1].kind else { panic!() };
    assert!(matches!(parts[..], [Part::Text { .. }, Part::Image { .. }, Part::File { .. }]));
    assert!(matches!(&request.items[7].kind, ItemKind::Other { kind } if kind == "from_the_future"));
    assert!(matches!(&request.tools[0].kind, ToolKind::Function { name, strict: Some(true), .. } if name.is("f")));
    assert!(matches!(&request.tools[3].kind, ToolKind::Hosted { kind } if kind == "web_search"));
    assert!(matches!(&request.tool_choice, Some(ToolChoice::Function(name)) if name.is("f")));
    assert_eq!(request.limits.max_tokens, Some(77));
    assert_eq!(request.sampling[0].1.as_str(), "0.20");
    let rest: Vec<&str> = request.rest.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(rest, ["unknown_field", "user", "include", "metadata"]);
    assert_eq!(request.store, Some(true));
}

#[test]
fn the_classic_shape() {
    insta::assert_snapshot!(show(write(&read(RICH).unwrap(), &classic())));
}

/// For any author and any order of the fields.
#[test]
fn the_backend_gets_the_official_clients_order() {
    let order = [
        "model", "instructions", "stream", "service_tier", "input", "tools", "tool_choice", "parallel_tool_calls",
        "reasoning", "store", "include", "prompt_cache_key", "text", "client_metadata",
    ];
    let keys = |target: &CodexTarget| {
        let body: Value = serde_json::from_slice(&write(&read(RICH).unwrap(), target).0).unwrap();
        body.as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(keys(&classic()), order);
    let lite_order: Vec<_> = order.into_iter().filter(|name| !matches!(*name, "instructions" | "tools")).collect();
    assert_eq!(keys(&lite()), lite_order);
}

#[test]
fn the_lite_shape() {
    insta::assert_snapshot!(show(write(&read(RICH).unwrap(), &lite())));
}

#[test]
fn another_account_gets_no_replay_items() {
    let target = CodexTarget { without_replay: true, ..classic() };
    let (body, notes) = write(&read(RICH).unwrap(), &target);
    assert!(!String::from_utf8_lossy(&body).contains("gAAAA"));
    assert!(notes.iter().any(|note| note == "dropped reasoning state of another account"));
    let target = RelayTarget { model: "gpt-x".into(), without_replay: true, ..RelayTarget::default() };
    let Written { body, notes, .. } =
        Wire::Responses.write_request(&read(RICH).unwrap(), &Target::Relay(target)).unwrap();
    assert!(!String::from_utf8_lossy(&body).contains("gAAAA"));
    assert!(notes.iter().any(|note| note == "dropped reasoning state of another upstream"));
}

#[test]
fn relays_are_asked_for_encrypted_reasoning() {
    let thinking =
        r#"{"model":"m","max_tokens":3,"messages":[{"role":"user","content":"a"}],"thinking":{"type":"adaptive"}}"#;
    let (request, _) = Dialect::Messages.read_request(thinking.into()).unwrap();
    let (body, _) = relay(&request);
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["include"], serde_json::json!(["reasoning.encrypted_content"]));
    assert_eq!((&body["store"], &body["max_output_tokens"]), (&false.into(), &16.into()));
    let plain = r#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#;
    let (request, _) = Dialect::Chat.read_request(plain.into()).unwrap();
    let target = Target::Relay(RelayTarget { model: "gpt-x".into(), ..RelayTarget::default() });
    let Written { body, .. } = Wire::Responses.write_request(&request, &target).unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(body.get("include").is_none() && body.get("reasoning").is_none(), "{body}");
}

#[test]
fn relays_get_the_public_form() {
    insta::assert_snapshot!(show(relay(&read(RICH).unwrap())));
}

#[test]
fn a_string_is_one_user_message() {
    let request = read(r#"{"input":"Hi \"you\"","model":null,"store":false}"#).unwrap();
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        show(write(&request, &classic())),
        show(write(&request, &lite())),
        show(relay(&request))
    ));
}

#[test]
fn a_request_of_another_dialect_is_written_fresh() {
    let chat = r#"{"model":"m","temperature":0.5,"max_tokens":9,"stop":["x"],"reasoning_effort":"high","messages":[{"role":"system","content":"S"},
        {"role":"user","content":[{"type":"text","text":"q"},{"type":"image_url","image_url":{"url":"https://a.test/i.png","detail":"low"}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"c","content":"ok"}],
        "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}],
        "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":true}}}"#;
    let (request, _) = Dialect::Chat.read_request(Bytes::from_static(chat.as_bytes())).unwrap();
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        show(write(&request, &classic())),
        show(write(&request, &lite())),
        show(relay(&request))
    ));
}

/// A request by Codex itself for a lite model: already in the lite shape.
const LITE: &str = r#"{"model":"gpt-6-sol","stream":true,"input":[{"type":"additional_tools","id":"at_1","role":"developer","tools":[{"type":"namespace","name":"functions","description":"","tools":[{"type":"custom","name":"exec"}]}]},{"type":"message","id":"msg_1","role":"developer","content":[{"type":"input_text","text":"Base."}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}],"tool_choice":"auto","parallel_tool_calls":false,"reasoning":{"effort":"low","context":"all_turns"},"store":false,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k","text":{"verbosity":"low"},"client_metadata":{"session_id":"s"}}"#;

#[test]
fn a_body_in_shape_passes_byte_for_byte() {
    let (body, notes) = write(&read(LITE).unwrap(), &lite());
    assert_eq!(body, LITE);
    assert!(notes.is_empty(), "{notes:?}");
    let classic_body = r#"{"model":"gpt-5.5","stream":true,"service_tier":"priority","input":[ {"type":"message","role":"developer","content":[{"type":"input_text","text":"B"}]} ],"tools":[{"type":"tool_search","execution":"client"}],"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"medium"},"store":false,"include":["reasoning.encrypted_content"],"prompt_cache_key":"k","client_metadata":{}}"#;
    let (body, notes) = write(&read(classic_body).unwrap(), &classic());
    assert_eq!(body, classic_body);
    assert!(notes.is_empty(), "{notes:?}");
}

/// The image generation tool is found in every place that can offer it, and where it may be called.
#[test]
fn who_offers_the_image_tool_draws() {
    let list =
        |tools: &str| format!(r#"{{"input":[{{"type":"additional_tools","role":"developer","tools":[{tools}]}}]}}"#);
    let inside = |tools: &str| list(&format!(r#"{{"type":"namespace","name":"n","tools":[{tools}]}}"#));
    let (image, named) = (r#"{"type":"image_generation"}"#, r#"{"type":"function","name":"image_generation"}"#);
    let later = r#"{"input":["#.to_owned() + r#"{"role":"user","content":"image_generation"}]}"#;
    let cases = [
        (format!(r#"{{"input":"x","tools":[{image}]}}"#), true),
        (format!(r#"{{"input":"x","tools":[{image}],"tool_choice":"none"}}"#), false),
        (list(image), true),
        (list(&format!("{named},{image}")), true),
        (inside(image), true),
        (inside(&format!("{named},{image}")), true),
        (list(image).replace(r#""input""#, r#""tool_choice":"none","input""#), false),
        (list(named), false),
        (inside(named), false),
        (list(r#"{"image_generation":1}"#), false),
        (list(""), false),
        (later, false),
    ];
    for (body, draws) in cases {
        assert_eq!(proto::dialect::responses::draws(&read(&body).unwrap()), draws, "{body}");
    }
}

#[test]
fn efforts_and_tiers_fit_the_model() {
    let cases = [
        (r#""reasoning":{"effort":"none"}"#, Some("low"), "effort none changed to low"),
        (r#""reasoning":{"effort":"ultra"}"#, Some("xhigh"), "effort ultra changed to xhigh"),
        (r#""reasoning":{"effort":"brand_new"}"#, Some("brand_new"), ""),
        (r#""reasoning":{"summary":"auto"}"#, Some("medium"), ""),
        (r#""service_tier":"flex""#, Some("medium"), "dropped service_tier flex"),
        (r#""service_tier":"auto""#, Some("medium"), ""),
    ];
    for (field, effort, note) in cases {
        let (body, notes) = write(&read(&format!(r#"{{"input":"x",{field}}}"#)).unwrap(), &classic());
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["reasoning"]["effort"].as_str(), effort, "{field}");
        assert_eq!(notes.header(), note, "{field}");
        assert!(body.get("service_tier").is_none(), "{field}");
    }
    let suffixed = CodexTarget { effort: Some("high".into()), tier: Some("fast".into()), ..classic() };
    let (body, _) = write(&read(r#"{"input":"x"}"#).unwrap(), &suffixed);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["reasoning"]["effort"], &body["service_tier"]), (&json!("high"), &json!("priority")));
}

/// Hosted tools that a request gets in addition to its own, in both shapes.
#[test]
fn added_tools_follow_the_clients() {
    let request = read(r#"{"input":"x","tools":[{"type":"function","name":"f","parameters":{}}]}"#).unwrap();
    let with_tools = |target: CodexTarget| CodexTarget { tools: vec!["web_search", "image_generation"], ..target };
    let kinds = |list: &Value| {
        list.as_array().unwrap().iter().map(|tool| tool["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["function", "web_search", "image_generation"];
    let (body, notes) = write(&request, &with_tools(classic()));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (kinds(&body["tools"]), notes.header().as_str()),
        (all.map(str::to_owned).to_vec(), "added web_search and image_generation")
    );
    let (body, _) = write(&request, &with_tools(lite()));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["input"][0]["type"], "additional_tools");
    assert_eq!(kinds(&body["input"][0]["tools"][0]["tools"]), all);
    let (body, _) = write(&read(r#"{"input":"x"}"#).unwrap(), &with_tools(classic()));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (kinds(&body["tools"]), &body["tool_choice"]),
        (all[1..].iter().map(|kind| (*kind).to_owned()).collect(), &json!("auto"))
    );
}

#[test]
fn instructions_are_never_missing_where_they_must_be() {
    let instructions = |input: Value| {
        let (body, _) = write(&read(&json!({ "input": input }).to_string()).unwrap(), &classic());
        serde_json::from_slice::<Value>(&body).unwrap().get("instructions").cloned()
    };
    assert_eq!(instructions(json!("x")), Some(json!("You are a helpful assistant.")));
    let user = json!({"role": "user", "content": "x"});
    for role in ["developer", "system"] {
        let operator = json!({"role": role, "content": "d"});
        assert_eq!(instructions(json!([operator, user])), None);
        assert_eq!(instructions(json!([user, operator])), Some(json!("You are a helpful assistant.")));
        // The first item may be one that is not sent.
        let stateless = json!({"type": "reasoning", "summary": []});
        assert_eq!(instructions(json!([stateless, operator, user])), None);
    }
}

#[test]
fn what_would_change_the_answer_is_refused() {
    let cases = [
        (r#""conversation":"conv_1""#, "conversation"),
        (r#""prompt":{"id":"pmpt_1"}"#, "prompt"),
        (r#""background":true"#, "background"),
    ];
    for (field, param) in cases {
        let request = read(&format!(r#"{{"input":"x",{field}}}"#)).unwrap();
        let failure = Wire::Responses.write_request(&request, &Target::Codex(classic())).unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(param)));
        assert!(Wire::Responses.write_request(&request, &Target::Relay(RelayTarget::default())).is_ok());
    }
    let harmless = read(r#"{"input":"x","background":false,"previous_response_id":null}"#).unwrap();
    assert!(Wire::Responses.write_request(&harmless, &Target::Codex(classic())).is_ok());
}

#[test]
fn malformed_requests_name_the_field() {
    let cases = [
        (r#"{"model":"m"}"#, "input"),
        (r#"{"input":7}"#, "input"),
        (r#"{"input":[7]}"#, "input[0]"),
        (r#"{"input":[{}]}"#, "input[0].type"),
        (r#"{"input":[{"type":7}]}"#, "input[0].type"),
        (r#"{"input":[{"type":"message","content":"x"}]}"#, "input[0].role"),
        (r#"{"input":[{"role":"robot","content":"x"}]}"#, "input[0].role"),
        (r#"{"input":[{"role":"user"}]}"#, "input[0].content"),
        (r#"{"input":[{"role":"user","content":{}}]}"#, "input[0].content"),
        (r#"{"input":[{"role":"user","content":[{"text":"x"}]}]}"#, "input[0].content[0].type"),
        (r#"{"input":["a",{"role":"user","content":[{"type":"input_text"}]}]}"#, "input[0]"),
        (r#"{"input":[{"role":"user","content":[{"type":"input_text","text":[]}]}]}"#, "input[0].content[0].text"),
        (r#"{"input":[{"role":"user","content":[{"type":"input_image"}]}]}"#, "input[0].content[0].image_url"),
        (
            r#"{"input":[{"role":"user","content":[{"type":"image_url","image_url":{"url":1}}]}]}"#,
            "input[0].content[0].image_url.url",
        ),
        (r#"{"input":[{"role":"user","content":[{"type":"input_file"}]}]}"#, "input[0].content[0].file_data"),
        (r#"{"input":[{"type":"function_call","name":"f","arguments":"{}"}]}"#, "input[0].call_id"),
        (r#"{"input":[{"type":"function_call","call_id":"c","name":"f","arguments":{}}]}"#, "input[0].arguments"),
        (r#"{"input":[{"type":"function_call_output","call_id":"c"}]}"#, "input[0].output"),
        (r#"{"input":[{"type":"reasoning","summary":"s"}]}"#, "input[0].summary"),
        (r#"{"input":"x","model":7}"#, "model"),
        (r#"{"input":"x","stream":"yes"}"#, "stream"),
        (r#"{"input":"x","instructions":[]}"#, "instructions"),
        (r#"{"input":"x","temperature":"hot"}"#, "temperature"),
        (r#"{"input":"x","max_output_tokens":-1}"#, "max_output_tokens"),
        (r#"{"input":"x","max_output_tokens":0}"#, "max_output_tokens"),
        (r#"{"input":"x","max_output_tokens":1.5}"#, "max_output_tokens"),
        (r#"{"input":"x","max_output_tokens":1e400}"#, "max_output_tokens"),
        (r#"{"input":"x","reasoning":"high"}"#, "reasoning"),
        (r#"{"input":"x","reasoning":{"effort":3}}"#, "reasoning.effort"),
        (r#"{"input":"x","text":{"format":{"type":"json_schema","schema":{}}}}"#, "text.format.name"),
        (r#"{"input":"x","text":{"format":{"type":"json_schema","name":"n","schema":true}}}"#, "text.format.schema"),
        (r#"{"input":"x","tools":{}}"#, "tools"),
        (r#"{"input":"x","tools":[{"name":"f"}]}"#, "tools[0].type"),
        (r#"{"input":"x","tools":[{"type":"function"}]}"#, "tools[0].name"),
        (r#"{"input":"x","tools":[{"type":"function","name":""}]}"#, "tools[0].name"),
        (r#"{"input":"x","tools":[{"type":"function","name":"a\u0000b"}]}"#, "tools[0].name"),
        (r#"{"input":"x","tools":[{"type":"function","name":"f","parameters":true}]}"#, "tools[0].parameters"),
        (r#"{"input":"x","tools":[{"type":"function","function":{"name":7}}]}"#, "tools[0].function.name"),
        (r#"{"input":"x","tool_choice":"maybe"}"#, "tool_choice"),
        (r#"{"input":"x","tool_choice":{"type":"function"}}"#, "tool_choice.name"),
        (r#"{"input":"x","tool_choice":{}}"#, "tool_choice.type"),
    ];
    for (body, param) in cases {
        let failure = read(body).map(|_| ()).unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(param)), "{body}");
    }
}

#[test]
fn limits_on_tools() {
    let tool = |name: &str| json!({"type": "function", "name": name});
    let body = |tools: Vec<Value>| json!({"input": "x", "tools": tools}).to_string();
    assert!(read(&body((0..1024).map(|at| tool(&format!("f{at}"))).collect())).is_ok());
    assert!(read(&body((0..1025).map(|at| tool(&format!("f{at}"))).collect())).is_err());
    for name in ["__proto__", "constructor", &"n".repeat(128)] {
        let request = read(&body(vec![tool(name)])).unwrap();
        assert!(matches!(&request.tools[0].kind, ToolKind::Function { name: read, .. } if read.is(name)));
    }
    for name in ["n".repeat(129), "n".repeat(65536)] {
        assert!(read(&body(vec![tool(&name)])).is_err());
    }
}

#[test]
fn odd_but_legal_requests_are_read() {
    let cases = [
        r#"{"input":[]}"#,
        r#"{"input":""}"#,
        r#"{"previous_response_id":"resp_1"}"#,
        r#"{"input":[{"role":"assistant","content":null}]}"#,
        r#"{"input":[{"role":"user","content":[]}]}"#,
        r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"file:///etc/passwd"}]}]}"#,
        r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"http://169.254.169.254/"}]}]}"#,
        r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:junk"}]}]}"#,
        r#"{"input":[{"type":"function_call_output","call_id":"nobody","output":"x"}]}"#,
        r#"{"input":[{"type":"item_reference","id":"msg_1"}]}"#,
        r#"{"input":"x","max_output_tokens":1000000000000,"seed":18446744073709551617,"top_p":1e400}"#,
        r#"{"input":"\u2028\u202e\u0000😀"}"#,
        r#"{"input":"x","input_":1,"__proto__":{"model":"m"}}"#,
    ];
    for body in cases {
        let request = read(body).unwrap_or_else(|failure| panic!("{body}: {failure:?}"));
        relay(&request);
    }
}

#[test]
fn truncated_requests_are_invalid() {
    for body in [RICH, LITE] {
        for at in 0..body.len() {
            let failure = Dialect::Responses.read_request(Bytes::copy_from_slice(&body.as_bytes()[..at])).unwrap_err();
            assert_eq!(failure.kind, Kind::Invalid, "cut at {at}");
        }
    }
}

#[test]
fn deep_and_wide_requests_are_judged_without_recursion() {
    let within = |open: &str, close: &str, depth: usize| format!("{}0{}", open.repeat(depth), close.repeat(depth));
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for (depth, fits) in [(100, true), (127, false), (10_000, false), (1_000_000, false)] {
            let schema = within(open, close, depth);
            let body =
                format!(r#"{{"input":"x","tools":[{{"type":"function","name":"f","parameters":{{"x":{schema}}}}}]}}"#);
            assert_eq!(read(&body).is_ok(), fits, "{open} {depth}");
            assert_eq!(read(&format!(r#"{{"input":"x","y":{schema}}}"#)).is_ok(), depth <= 127, "{open} {depth}");
        }
    }
    let wide = vec![r##"{"$ref":"#"}"##; 100_000].join(",");
    let body =
        format!(r#"{{"input":"x","tools":[{{"type":"function","name":"f","parameters":{{"anyOf":[{wide}]}}}}]}}"#);
    assert_eq!(read(&body).unwrap_err().param.as_deref(), Some("tools[0].parameters"));
    let many = vec![r#"{"role":"user","content":"x"}"#; 100_000].join(",");
    assert_eq!(read(&format!(r#"{{"input":[{many}]}}"#)).unwrap().items.len(), 100_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn damaged_requests_never_panic(damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let mut body = RICH.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at % body.len();
            body[at] = byte;
        }
        if let Ok((request, _)) = Dialect::Responses.read_request(Bytes::from(body)) {
            for target in [classic(), lite()] {
                let _ = Wire::Responses.write_request(&request, &Target::Codex(target));
            }
            relay(&request);
        }
    }

    #[test]
    fn what_relays_get_reads_the_same(text in any::<String>(), name in "[a-z]{1,8}", effort in "[a-z]{1,6}") {
        let body = json!({"model": "gpt-x", "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}],
            "tools": [{"type": "function", "name": name}], "reasoning": {"effort": effort}, "stream": true, "odd": {"a": text}});
        let first = read(&body.to_string()).unwrap();
        let (written, _) = relay(&first);
        prop_assert_eq!(&serde_json::from_slice::<Value>(&written).unwrap(), &body);
        let (again, _) = relay(&read(std::str::from_utf8(&written).unwrap()).unwrap());
        prop_assert_eq!(written, again);
    }
}
