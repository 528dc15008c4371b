//! Requests: how they are read and written, and which ones are refused with which path.

use bytes::Bytes;
use proto::dialect::{CodexTarget, RelayTarget, Target, Written};
use proto::{Dialect, Failure, Kind, Notes, Request, Wire};

use crate::{corpus, utf8};

pub(crate) fn read(body: &str) -> Result<(Request, Notes), Failure> {
    Dialect::Gemini.read_request(Bytes::copy_from_slice(body.as_bytes()))
}

pub(crate) fn codex(lite: bool) -> Target {
    let model = "gpt-5.5".to_owned();
    Target::Codex(CodexTarget { model, lite, cache_key: "conversation-1".to_owned(), ..CodexTarget::default() })
}

pub(crate) fn relay(model: &str) -> Target {
    Target::Relay(RelayTarget { model: model.to_owned(), max_output: Some(4096), ..RelayTarget::default() })
}

pub(crate) fn notes(notes: &Notes) -> String {
    notes.iter().collect::<Vec<_>>().join("; ")
}

#[test]
fn requests_written_for_every_upstream() {
    for (name, body) in corpus("requests/gemini", ".json") {
        let (request, read) = Dialect::Gemini.read_request(body).unwrap();
        let mut lines = vec![format!("read: {}", notes(&read)), format!("{:?} {:?}", request.reply, request.envelope)];
        let mut bare = request.clone();
        // The patched body has its own test.
        bare.raw = None;
        let targets = [
            ("classic", Wire::Responses, codex(false)),
            ("lite", Wire::Responses, codex(true)),
            ("responses", Wire::Responses, relay("relay-large")),
            ("chat", Wire::Chat, relay("relay-large")),
            ("messages", Wire::Messages, relay("claude-opus-5-5")),
            ("gemini", Wire::Gemini, relay("gemini-3-pro")),
            ("gemini 2.5", Wire::Gemini, relay("gemini-2.5-flash")),
        ];
        for (target_name, wire, target) in targets {
            let line = match wire.write_request(&bare, &target) {
                Ok(Written { body: out, notes: written, .. }) => {
                    format!("{target_name}: {}\n{}", notes(&written), utf8(&out))
                }
                Err(failure) => format!("{target_name}: {failure:?}"),
            };
            lines.push(line);
        }
        insta::assert_snapshot!(format!("request_{name}"), lines.join("\n\n"));
    }
}

#[test]
fn every_dialects_requests_for_a_gemini_relay() {
    for (dialect, folder) in [
        (Dialect::Chat, "requests/chat"),
        (Dialect::Messages, "requests/messages"),
        (Dialect::Ollama, "requests/ollama"),
    ] {
        for (name, body) in corpus(folder, ".json") {
            let Ok((request, _)) = dialect.read_request(body) else { continue };
            let line = match Wire::Gemini.write_request(&request, &relay("gemini-3-pro")) {
                Ok(Written { body: out, notes: written, .. }) => format!("{}\n{}", notes(&written), utf8(&out)),
                Err(failure) => format!("{failure:?}"),
            };
            insta::assert_snapshot!(format!("to_gemini_{dialect:?}_{name}").to_lowercase(), line);
        }
    }
}

#[test]
fn what_we_write_we_read_the_same_way() {
    for (name, body) in corpus("requests/gemini", ".json").into_iter().chain(corpus("requests/chat", ".json")) {
        let dialect = if body.windows(10).any(|w| w == b"\"contents\"") { Dialect::Gemini } else { Dialect::Chat };
        let (mut request, _) = dialect.read_request(body).unwrap();
        request.raw = None;
        let Ok(Written { body: once, .. }) = Wire::Gemini.write_request(&request, &relay("gemini-2.5-pro")) else {
            continue;
        };
        let (mut again, _) = Dialect::Gemini.read_request(once.clone()).unwrap();
        again.raw = None;
        let Written { body: twice, .. } = Wire::Gemini.write_request(&again, &relay("gemini-2.5-pro")).unwrap();
        assert_eq!(utf8(&twice), utf8(&once), "{name}");
    }
}

#[test]
fn gemini_to_gemini_changes_only_what_it_must() {
    let body = r#"{ "x":{"k":1.50}, "model":"models/other", "contents":[{"parts":[{"text":"\u00e9"}]}], "generation_config":{"top_k":1} }"#;
    let (request, _) = read(body).unwrap();
    let Written { body: out, notes, .. } = Wire::Gemini.write_request(&request, &relay("gemini-3-pro")).unwrap();
    assert_eq!(
        utf8(&out),
        r#"{"x":{"k":1.50},"contents":[{"parts":[{"text":"\u00e9"}]}],"generation_config":{"top_k":1}}"#
    );
    assert!(notes.is_empty());
    let same = r#"{ "contents" : [] , "tools":null}"#.replace("[]", r#"[{"parts":[{"text":"a"}]}]"#);
    let (request, _) = read(&same).unwrap();
    assert_eq!(utf8(&Wire::Gemini.write_request(&request, &relay("gemini-3-pro")).unwrap().body), same);
    let effort = |model: &str| {
        let relay = RelayTarget { model: model.to_owned(), effort: Some("high".to_owned()), ..RelayTarget::default() };
        let (request, _) = read(body).unwrap();
        let Written { body: out, .. } = Wire::Gemini.write_request(&request, &Target::Relay(relay)).unwrap();
        utf8(&out).to_owned()
    };
    assert!(effort("gemini-3-pro").ends_with(r#"{"top_k":1,"thinkingConfig":{"thinkingLevel":"high"}}}"#));
    assert!(effort("gemini-2.5-flash").ends_with(r#"{"top_k":1,"thinkingConfig":{"thinkingBudget":16000}}}"#));
    assert!(effort("gemma-3").ends_with(r#"{"top_k":1}}"#));
}

#[test]
fn signatures_of_others_do_not_reach_a_gemini_relay() {
    let (_, body) = corpus("requests/gemini", "signatures.json").remove(0);
    let (request, _) = Dialect::Gemini.read_request(body).unwrap();
    let write = |target: Target| utf8(&Wire::Gemini.write_request(&request, &target).unwrap().body).to_owned();
    let out = write(relay("gemini-3-pro"));
    assert!(
        out.contains(r#""thoughtSignature": "R2VtaW5pIG93bg==""#)
            || out.contains(r#""thoughtSignature":"R2VtaW5pIG93bg==""#),
        "{out}"
    );
    assert!(out.contains("skip_thought_signature_validator"), "{out}");
    assert!(!out.contains("cGcxL"), "{out}");
    let without = RelayTarget { model: "gemini-2.5-pro".to_owned(), without_replay: true, ..RelayTarget::default() };
    assert!(!write(Target::Relay(without)).contains("houghtSignature"));
}

#[test]
fn every_truncation_is_invalid() {
    for (name, body) in corpus("requests/gemini", ".json") {
        let whole = body.trim_ascii_end().len();
        for end in 0..whole {
            let failure = Dialect::Gemini.read_request(body.slice(..end)).expect_err(&name);
            assert_eq!(failure.kind, Kind::Invalid, "{name} at {end}");
        }
    }
}

/// A request with one content that has this part.
fn part(part: &str) -> String {
    format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"a"}},{part}]}}]}}"#)
}

/// A request with this member.
fn with(member: &str) -> String {
    format!(r#"{{"contents":[{{"parts":[{{"text":"a"}}]}}],{member}}}"#)
}

fn config(member: &str) -> String {
    with(&format!(r#""generationConfig":{{{member}}}"#))
}

#[test]
fn refusals_name_the_field_as_the_client_spelled_it() {
    let table = [
        ("{}".to_owned(), "contents"),
        (r#"{"contents":[]}"#.to_owned(), "contents"),
        (r#"{"contents":1}"#.to_owned(), "contents"),
        (r#"{"contents":[{"role":"system","parts":[]}]}"#.to_owned(), "contents[0].role"),
        (r#"{"contents":[{"parts":[1]}]}"#.to_owned(), "contents[0].parts[0]"),
        (part(r#"{"text":1}"#), "contents[0].parts[1].text"),
        (part(r#"{"inlineData":{"data":"aa"}}"#), "contents[0].parts[1].inlineData.mimeType"),
        (part(r#"{"inline_data":{"mime_type":"png","data":"aa"}}"#), "contents[0].parts[1].inline_data.mime_type"),
        (part(r#"{"inline_data":{"mime_type":"image/png","data":"a b"}}"#), "contents[0].parts[1].inline_data.data"),
        (part(r#"{"inlineData":{"mimeType":"image/png","data":""}}"#), "contents[0].parts[1].inlineData.data"),
        (part(r#"{"fileData":{"fileUri":"file:///etc/passwd"}}"#), "contents[0].parts[1].fileData.fileUri"),
        (part(r#"{"functionResponse":{"response":{}}}"#), "contents[0].parts[1].functionResponse.name"),
        (
            r#"{"contents":[{"role":"model","parts":[{"functionCall":{"args":{}}}]}]}"#.to_owned(),
            "contents[0].parts[0].functionCall.name",
        ),
        (
            r#"{"contents":[{"role":"model","parts":[{"function_call":{"name":"f","args":"{}"}}]}]}"#.to_owned(),
            "contents[0].parts[0].function_call.args",
        ),
        (with(r#""systemInstruction":{"parts":[{"inlineData":{}}]}"#), "systemInstruction.parts[0]"),
        (with(r#""system_instruction":{"parts":[{"text":1}]}"#), "system_instruction.parts[0].text"),
        (with(r#""tools":[{"functionDeclarations":[{"description":"x"}]}]"#), "tools[0].functionDeclarations[0].name"),
        (
            with(
                r#""tools":[{"function_declarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"LIST"}}}}]}]"#,
            ),
            "tools[0].function_declarations[0].parameters.properties.a.type",
        ),
        (with(r#""toolConfig":{"functionCallingConfig":{"mode":"SOME"}}"#), "toolConfig.functionCallingConfig.mode"),
        (with(r#""safetySettings":[1]"#), "safetySettings[0]"),
        (config(r#""candidateCount":2"#), "generationConfig.candidateCount"),
        (config(r#""maxOutputTokens":0"#), "generationConfig.maxOutputTokens"),
        (config(r#""temperature":"hot""#), "generationConfig.temperature"),
        (config(r#""stopSequences":"x""#), "generationConfig.stopSequences"),
        (config(r#""responseMimeType":"image/png""#), "generationConfig.responseMimeType"),
        (config(r#""responseSchema":{"type":"X"}"#), "generationConfig.responseSchema.type"),
        (config(r#""responseModalities":["VIDEO"]"#), "generationConfig.responseModalities"),
        (config(r#""thinkingConfig":{"thinkingBudget":1.5}"#), "generationConfig.thinkingConfig.thinkingBudget"),
        (config(r#""thinking_config":{"thinking_level":"MAX"}"#), "generationConfig.thinking_config.thinking_level"),
    ];
    for (body, param) in table {
        let failure = read(&body).expect_err(&body);
        assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(param)), "{body}");
        assert!(failure.message.contains(param), "{}", failure.message);
        let (status, error) = Dialect::Gemini.error(&failure);
        let error: serde_json::Value = serde_json::from_slice(&error).unwrap();
        assert_eq!((status, &error["error"]["status"]), (400, &"INVALID_ARGUMENT".into()));
        let fields =
            error["error"]["details"].as_array().unwrap().iter().find(|detail| !detail["fieldViolations"].is_null());
        assert_eq!(fields.unwrap()["fieldViolations"][0]["field"], param);
    }
}

#[test]
fn what_only_google_has_is_refused_elsewhere() {
    for (member, param) in [
        (r#""cachedContent":"cachedContents/x""#, "cachedContent"),
        (r#""generationConfig":{"responseModalities":["AUDIO"]}"#, "generationConfig.responseModalities"),
    ] {
        let (request, _) = read(&with(member)).unwrap();
        for (wire, target) in [(Wire::Responses, codex(false)), (Wire::Chat, relay("m")), (Wire::Messages, relay("m"))]
        {
            let failure = wire.write_request(&request, &target).unwrap_err();
            assert_eq!((failure.kind, failure.param.as_deref()), (Kind::Invalid, Some(param)));
        }
        assert!(Wire::Gemini.write_request(&request, &relay("gemini-3-pro")).is_ok());
    }
}

#[test]
fn a_schema_may_be_large_but_not_endless() {
    let wide = vec![r#"{"type":"STRING"}"#; 60_000].join(",");
    let body = config(&format!(r#""responseSchema":{{"anyOf":[{wide}]}}"#));
    assert_eq!(read(&body).unwrap_err().param.as_deref(), Some("generationConfig.responseSchema"));
}

/// The body of a chat request for this model, and its notes.
fn from_chat(member: &str, model: &str) -> (serde_json::Value, String) {
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],{member}}}"#);
    let (request, _) = Dialect::Chat.read_request(Bytes::from(body)).unwrap();
    let Written { body: out, notes: written, .. } = Wire::Gemini.write_request(&request, &relay(model)).unwrap();
    (serde_json::from_slice(&out).unwrap(), notes(&written))
}

#[test]
fn efforts_are_mapped_to_those_of_the_model() {
    let table = [
        ("gemini-2.5-flash", "none", 0.into(), ""),
        ("gemini-2.5-pro", "none", 128.into(), "effort none changed to 128 tokens"),
        ("gemini-2.5-flash-lite", "minimal", 512.into(), ""),
        ("gemini-2.5-pro", "medium", 8192.into(), ""),
        ("gemini-3-flash-preview", "minimal", "minimal".into(), ""),
        ("gemini-3-flash-preview", "none", "minimal".into(), "effort none changed to minimal"),
        ("gemini-3-pro-preview", "none", "low".into(), "effort none changed to low"),
        ("gemini-3-pro-preview", "low", "low".into(), ""),
        ("gemini-3-pro-preview", "medium", "high".into(), "effort medium changed to high"),
        ("models/gemini-3.1-pro-preview", "minimal", "low".into(), "effort minimal changed to low"),
        ("gemini-3.1-pro-preview", "medium", "medium".into(), ""),
        ("gemini-pro-latest", "medium", "medium".into(), ""),
        ("gemini-3-pro", "xhigh", "high".into(), "effort xhigh changed to high"),
        ("gemma-3", "high", serde_json::Value::Null, "dropped reasoning effort"),
    ];
    for (model, effort, wanted, noted) in table {
        let (out, written) = from_chat(&format!(r#""reasoning_effort":"{effort}""#), model);
        let config = &out["generationConfig"]["thinkingConfig"];
        let sent = config.get("thinkingLevel").or(config.get("thinkingBudget")).cloned().unwrap_or_default();
        assert_eq!((sent, written.as_str()), (wanted, noted), "{model} {effort}");
    }
}

#[test]
fn the_effort_suffix_applies_without_an_effort_of_the_client() {
    for (thinking, wanted) in [
        (r#"{"includeThoughts":true}"#, r#"{"includeThoughts":true,"thinkingLevel":"high"}"#),
        (r#"{"include_thoughts":true}"#, r#"{"include_thoughts":true,"thinkingLevel":"high"}"#),
        ("null", r#"{"thinkingLevel":"high"}"#),
        (r#"{"thinkingBudget":0}"#, r#"{"thinkingBudget":0}"#),
        (r#"{"thinking_level":"LOW"}"#, r#"{"thinking_level":"LOW"}"#),
    ] {
        for name in ["thinkingConfig", "thinking_config"] {
            let (request, _) = read(&config(&format!(r#""topK":1,"{name}":{thinking}"#))).unwrap();
            let model = "gemini-3-pro".to_owned();
            let target = RelayTarget { model, effort: Some("xhigh".to_owned()), ..RelayTarget::default() };
            let Written { body: out, notes: written, .. } =
                Wire::Gemini.write_request(&request, &Target::Relay(target)).unwrap();
            assert!(utf8(&out).contains(&format!(r#"g":{wanted}}}"#)), "{}", utf8(&out));
            assert_eq!(notes(&written).is_empty(), !wanted.contains("high"));
        }
    }
}

#[test]
fn a_request_searches_or_calls_functions() {
    let search = r#"{"type":"web_search"}"#;
    let function = r#"{"type":"function","function":{"name":"f"}}"#;
    for (tools, choice, sent, noted) in [
        (
            format!("{search},{function}"),
            "auto",
            r#"[{"functionDeclarations":[{"name":"f"}]}]"#,
            "dropped the hosted tool web_search",
        ),
        (search.to_owned(), "auto", r#"[{"googleSearch":{}}]"#, ""),
        (search.to_owned(), "required", r#"[{"googleSearch":{}}]"#, "dropped tool_choice"),
    ] {
        let (out, written) = from_chat(&format!(r#""tools":[{tools}],"tool_choice":"{choice}""#), "gemini-3-pro");
        assert_eq!((out["tools"].to_string().as_str(), written.as_str()), (sent, noted));
    }
}

#[test]
fn more_stops_than_google_takes_are_left_to_the_gateway() {
    for count in [5, 6] {
        let stops: Vec<String> = (0..count).map(|at| at.to_string()).collect();
        let (out, written) = from_chat(&format!(r#""stop":{}"#, serde_json::json!(stops)), "gemini-3-pro");
        let sent = count == 5;
        assert_eq!(!out["generationConfig"]["stopSequences"].is_null(), sent);
        assert_eq!(written, if sent { "" } else { "stop applied by the gateway" });
    }
}
