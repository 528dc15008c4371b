//! Known defects of another system in this protocol, each as a test that the gateway passes.

use bytes::Bytes;
use proto::canon::{CallKind, Channel, Finish, ItemKind, Part, Role, SchemaEnvelope};
use proto::dialect::Written;
use proto::{Dialect, Event, What, Wire};
use serde_json::{Value, json};

use crate::requests::{codex, notes, read, relay};
use crate::{corpus, fold, read as events, setting, utf8, write};

fn sent(body: &str) -> Value {
    let (request, _) = read(body).unwrap();
    serde_json::from_slice(&Wire::Responses.write_request(&request, &codex(false)).unwrap().body).unwrap()
}

fn pairs(body: &Value) -> Vec<(String, String)> {
    let items = body["input"].as_array().unwrap().iter().filter(|item| !item["call_id"].is_null());
    items
        .map(|item| (item["type"].as_str().unwrap().to_owned(), item["call_id"].as_str().unwrap().to_owned()))
        .collect()
}

#[test]
fn calls_of_one_function_have_ids_of_their_own_over_all_turns() {
    let (_, body) = corpus("requests/gemini", "repeated-calls.json").remove(0);
    let body = sent(utf8(&body));
    let pairs = pairs(&body);
    let expected = [
        ("function_call", "call_0"),
        ("function_call", "call_1"),
        ("function_call_output", "call_0"),
        ("function_call_output", "call_1"),
        ("function_call", "call_2"),
        ("function_call", "call_3"),
        ("function_call_output", "call_3"),
        ("function_call_output", "call_2"),
    ];
    assert_eq!(pairs, expected.map(|(kind, id)| (kind.to_owned(), id.to_owned())));
}

#[test]
fn ids_come_first_then_names_in_order() {
    let call = |id: &str| format!(r#"{{"functionCall":{{{id}"name":"f","args":{{}}}}}}"#);
    let response = |id: &str| format!(r#"{{"functionResponse":{{{id}"name":"f","response":{{}}}}}}"#);
    let body = |calls: &[&str], responses: &[&str]| {
        let list = |parts: Vec<String>| parts.join(",");
        format!(
            r#"{{"contents":[{{"parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{}]}},{{"role":"user","parts":[{}]}}]}}"#,
            list(calls.iter().map(|id| call(id)).collect()),
            list(responses.iter().map(|id| response(id)).collect())
        )
    };
    let outputs = |body: &str| -> Vec<String> {
        let all = pairs(&sent(body)).into_iter().filter(|(kind, _)| kind == "function_call_output");
        all.map(|(_, id)| id).collect()
    };
    let (x, y) = (r#""id":"x","#, r#""id":"y","#);
    assert_eq!(outputs(&body(&[x, y], &[y, x])), ["y", "x"]);
    assert_eq!(outputs(&body(&[x, y], &["", ""])), ["x", "y"]);
    assert_eq!(outputs(&body(&[x, ""], &["", x])), ["x", "call_1"], "by name in order when the id is used up");
    assert_eq!(outputs(&body(&["", ""], &[r#""id":"z","#, ""])), ["call_0", "call_1"]);
    // An id that is repeated becomes two ids.
    assert_eq!(outputs(&body(&[x, x], &[x, x])), ["x", "call_1"]);
    // A generated id differs from those of the client.
    assert_eq!(outputs(&body(&["", r#""id":"call_1","#, ""], &["", "", ""])), ["call_0", "call_1", "call_2"]);
}

#[test]
fn tuples_and_lists_at_the_root_come_back_right() {
    let (_, body) = corpus("requests/gemini", "schema-tuples.json").remove(0);
    let (request, _) = Dialect::Gemini.read_request(body).unwrap();
    assert_eq!(request.envelope, SchemaEnvelope::Json);
    let format = &sent(utf8(request.raw.as_ref().unwrap()))["text"]["format"];
    assert_eq!((&format["strict"], &format["schema"]["type"]), (&Value::from(true), &"object".into()));
    let answer = r#"{"__value":[{"at":{"__0":1.5,"__1":-2},"name":"a {\"__0\"}","note":null},{"at":{"__0":0,"__1":3},"name":"b","note":""}]}"#;
    let wanted = r#"[{"at":[1.5,-2],"name":"a {\"__0\"}","note":null},{"at":[0,3],"name":"b","note":""}]"#;
    for size in [1, 5, 1000] {
        let stream = responses_stream(answer, size);
        let events = events(Dialect::Responses, [stream.as_bytes()]);
        let mut setting = setting(Dialect::Gemini);
        setting.envelope = request.envelope;
        let out = write(Dialect::Gemini, setting.clone(), &events);
        let reply = crate::sdk::collect(&crate::sdk::javascript(&out).0);
        assert_eq!(reply["parts"][0]["text"], wanted, "{size}");
        let body = Dialect::Gemini.whole(&fold(&events), &setting);
        assert_eq!(crate::sdk::body(&body)["parts"][0]["text"], wanted);
    }
}

#[test]
fn an_enum_comes_back_without_quotes() {
    let (_, body) = corpus("requests/gemini", "enum.json").remove(0);
    let (request, _) = Dialect::Gemini.read_request(body).unwrap();
    let events = events(Dialect::Responses, [responses_stream(r#"{"__value":"RED"}"#, 4).as_bytes()]);
    let mut setting = setting(Dialect::Gemini);
    setting.envelope = request.envelope;
    let out = write(Dialect::Gemini, setting, &events);
    assert_eq!(crate::sdk::collect(&crate::sdk::javascript(&out).0)["parts"][0]["text"], "RED");
}

/// A stream of the backend with the text `text`.
fn responses_stream(text: &str, size: usize) -> String {
    let frame = |kind: &str, mut event: Value| {
        event["type"] = kind.into();
        format!("event: {kind}\ndata: {event}\n\n")
    };
    let item = serde_json::json!({"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":text,"annotations":[]}]});
    let mut out = frame("response.created", serde_json::json!({"response":{"id":"resp_1","model":"m","created_at":1}}));
    out += &frame(
        "response.output_item.added",
        serde_json::json!({"output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}),
    );
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(size) {
        let delta: String = piece.iter().collect();
        let event = serde_json::json!({"output_index":0,"content_index":0,"item_id":"msg_1","delta":delta});
        out += &frame("response.output_text.delta", event);
    }
    out += &frame("response.output_item.done", serde_json::json!({"output_index":0,"item":item}));
    let usage = serde_json::json!({"input_tokens":3,"output_tokens":9,"total_tokens":12});
    out + &frame(
        "response.completed",
        serde_json::json!({"response":{"id":"resp_1","model":"m","status":"completed","output":[item],"usage":usage}}),
    )
}

#[test]
fn thoughts_and_their_count_are_shown() {
    let (_, stream) = corpus("responses", "reasoning.sse").remove(0);
    let events = events(Dialect::Responses, [&stream[..]]);
    let out = write(Dialect::Gemini, setting(Dialect::Gemini), &events);
    let reply = crate::sdk::collect(&crate::sdk::javascript(&out).0);
    assert_eq!(reply["parts"][0]["thought"], true);
    assert!(reply["usageMetadata"]["thoughtsTokenCount"].as_u64().unwrap() > 0);
    let signed = reply["parts"].as_array().unwrap().iter().filter(|part| part["thoughtSignature"].is_string()).count();
    let states = fold(&events)
        .items
        .into_iter()
        .filter(|item| matches!(item.kind, ItemKind::Reasoning { encrypted: Some(_), .. }));
    assert_eq!(signed, states.count());
}

#[test]
fn images_and_files_are_sent() {
    let (_, body) = corpus("requests/gemini", "files.json").remove(0);
    let body = sent(utf8(&body)).to_string();
    for wanted in [
        r#""image_url":"https://example.test/a.jpg""#,
        r#""file_url":"https://example.test/b.pdf""#,
        r#""file_data":"data:application/pdf;base64,JVBERi0=""#,
        r#""image_url":"data:image/png;base64,iVBORw==""#,
        r#""image_url":"data:image/webp;base64,UklGRg==""#,
    ] {
        assert!(body.contains(wanted), "{wanted} in {body}");
    }
}

#[test]
fn python_s_base64_alphabet_is_understood() {
    let (_, body) = corpus("requests/gemini", "sdk-mixed.json").remove(0);
    assert!(sent(utf8(&body)).to_string().contains("data:image/png;base64,/+8A"));
}

#[test]
fn tools_and_images_reach_a_gemini_relay() {
    let chat = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw=="}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"p":{"type":"string"}}}}}],"tool_choice":"required"}"#;
    let (request, _) = Dialect::Chat.read_request(Bytes::from(chat)).unwrap();
    let Written { body: out, .. } = Wire::Gemini.write_request(&request, &relay("gemini-2.5-pro")).unwrap();
    let out: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(out["contents"][0]["parts"][1]["inlineData"]["data"], "iVBORw==");
    assert_eq!(out["tools"][0]["functionDeclarations"][0]["parameters"]["type"], "OBJECT");
    assert_eq!(out["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
}

#[test]
fn nothing_is_dropped_in_silence() {
    let (_, body) = corpus("requests/gemini", "search.json").remove(0);
    let (request, read) = Dialect::Gemini.read_request(body).unwrap();
    let Written { notes: written, .. } = Wire::Responses.write_request(&request, &codex(false)).unwrap();
    let all_notes = format!("{}; {}", notes(&read), notes(&written));
    for wanted in ["urlContext", "codeExecution", "safetySettings", "labels", "mediaResolution"] {
        assert!(all_notes.contains(wanted), "{wanted} in {all_notes}");
    }
}

#[test]
fn a_format_that_cannot_be_strict_is_sent_all_the_same() {
    let (_, body) = corpus("requests/gemini", "schema-free.json").remove(0);
    let (request, _) = Dialect::Gemini.read_request(body).unwrap();
    let Written { body: out, notes: written, .. } = Wire::Responses.write_request(&request, &codex(false)).unwrap();
    let out: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(out["text"]["format"]["strict"], false);
    assert!(notes(&written).contains("free keys"));
}

#[test]
fn a_choice_among_no_tools_is_no_choice() {
    let body = |tools: &str| {
        format!(
            r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],"tools":[{tools}],"toolConfig":{{"functionCallingConfig":{{"mode":"ANY"}}}}}}"#
        )
    };
    let (request, notes_read) = read(&body(r#"{"codeExecution":{}}"#)).unwrap();
    assert_eq!((request.tool_choice, notes(&notes_read)), (None, "dropped toolConfig".to_owned()));
    assert_eq!(sent(&body(r#"{"functionDeclarations":[{"name":"f"}]}"#))["tool_choice"], "required");
}

/// Reasoning, then text, then calls: the first call is signed and the text is not, streamed and collected, and the history that a client
/// sends back has the state before the text. Some clients send back signed parts only.
#[test]
fn the_first_call_is_signed_and_text_before_it_is_not() {
    let text = |plain: &str| proto::Text::from(plain);
    let item = |kind| proto::Item { kind, raw: None };
    let call = |id: &str| {
        let (call_id, name, input) = (text(id), text("f"), text("{}"));
        item(ItemKind::Call { kind: CallKind::Function, id: None, call_id, name, namespace: None, input })
    };
    let reasoning = ItemKind::Reasoning {
        id: Some(text("rs_1")),
        summary: Vec::new(),
        text: Vec::new(),
        encrypted: Some(text("gAAAAABstate")),
    };
    let parts = vec![Part::Text { text: text("I look."), annotations: None }];
    let message = item(ItemKind::Message { id: None, role: Role::Assistant, parts, phase: None });
    let items = [item(reasoning), message, call("a"), call("b")];
    let done = |(at, item): (u32, &proto::Item)| Event::new(What::ItemDone { at, item: item.clone() });
    let mut events: Vec<Event> = (0..).zip(&items).map(done).collect();
    events.insert(1, Event::new(What::Delta { at: 1, part: 0, channel: Channel::Text, data: text("I look.") }));
    events.push(Event::new(What::End { finish: Finish::ToolCalls, response: None }));
    let stream =
        crate::sdk::collect(&crate::sdk::javascript(&write(Dialect::Gemini, setting(Dialect::Gemini), &events)).0);
    let whole = crate::sdk::body(&Dialect::Gemini.whole(&fold(&events), &setting(Dialect::Gemini)));
    for parts in [&stream["parts"], &whole["parts"]] {
        let signed: Vec<bool> =
            parts.as_array().unwrap().iter().map(|part| part["thoughtSignature"].is_string()).collect();
        assert_eq!(signed, [false, true, false], "{parts}");
        let result = |id: &str| json!({"functionResponse": {"id": id, "name": "f", "response": {"output": "1"}}});
        let order = |parts: Value| {
            let body = json!({"contents": [
                {"role": "user", "parts": [{"text": "q"}]},
                {"role": "model", "parts": parts},
                {"role": "user", "parts": [result("a"), result("b")]},
            ]});
            let (request, _) = Dialect::Gemini.read_request(body.to_string().into()).unwrap();
            let Written { body: out, .. } = Wire::Responses.write_request(&request, &codex(false)).unwrap();
            let sent: Value = serde_json::from_slice(&out).unwrap();
            let kinds = sent["input"].as_array().unwrap().iter();
            kinds.map(|item| item["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        let tail = "function_call function_call function_call_output function_call_output";
        assert_eq!(order(parts.clone()), format!("message reasoning message {tail}"));
        let signed_parts: Vec<Value> =
            parts.as_array().unwrap().iter().filter(|part| part["thoughtSignature"].is_string()).cloned().collect();
        assert_eq!(
            order(Value::from(signed_parts)),
            "message reasoning function_call function_call_output message",
            "the other result has lost its call, and is text"
        );
    }
}
