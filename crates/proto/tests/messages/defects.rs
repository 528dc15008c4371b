//! Defects of other gateways in this protocol, each as a test that the gateway passes.

use proto::canon::{ItemKind, Part, Source, Thinking, ToolChoice};
use proto::dialect::Written;
use proto::failure::{Failure, Kind};
use proto::{Dialect, Request, Wire};
use serde_json::{Value, json};

use crate::requests::{block, codex, foreign, notes, read, relay};
use crate::{events, fold, sdk, seeing, setting, utf8, write};

/// The body that is sent to the Codex backend.
fn sent(body: &str) -> Value {
    let (request, _) = read(body).unwrap();
    let Written { body: out, .. } = Wire::Responses.write_request(&request, &codex(false)).unwrap();
    serde_json::from_slice(&out).unwrap()
}

fn request(body: &str) -> Request {
    read(body).unwrap().0
}

fn with(member: &str) -> String {
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}}],{member}}}"#)
}

/// A call with the id `c`, and this as its result.
fn answered(result: &str) -> String {
    let call = r#"{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]}"#;
    format!(r#"{{"model":"m","max_tokens":9,"messages":[{call},{{"role":"user","content":[{result}]}}]}}"#)
}

#[test]
fn images_by_url_and_documents_reach_the_model() {
    let image = sent(&block("user", r#"{"type":"image","source":{"type":"url","url":"https://example.test/a.png"}}"#));
    assert_eq!(image["input"][1]["content"][0], json!({"type":"input_image","image_url":"https://example.test/a.png"}));
    let pdf = sent(&block(
        "user",
        r#"{"type":"document","title":"T","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}"#,
    ));
    let expected = json!({"type":"input_file","filename":"T","file_data":"data:application/pdf;base64,JVBERi0="});
    assert_eq!(pdf["input"][1]["content"][0], expected);
    let url = sent(&block("user", r#"{"type":"document","source":{"type":"url","url":"https://example.test/a.pdf"}}"#));
    assert_eq!(url["input"][1]["content"][0]["file_url"], "https://example.test/a.pdf");
    let text =
        sent(&block("user", r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"x"}}"#));
    assert_eq!(text["input"][1]["content"][0], json!({"type":"input_text","text":"x"}));
}

#[test]
fn every_tool_choice_is_accepted() {
    let tools = r#""tools":[{"name":"f","input_schema":{"type":"object"}}]"#;
    let cases = [
        (r#"{"type":"auto"}"#, json!("auto"), Value::Bool(true)),
        (r#"{"type":"any"}"#, json!("required"), Value::Bool(true)),
        (r#"{"type":"none"}"#, json!("none"), Value::Bool(true)),
        (r#"{"type":"tool","name":"f"}"#, json!({"type":"function","name":"f"}), Value::Bool(true)),
        (r#"{"type":"auto","disable_parallel_tool_use":true}"#, json!("auto"), Value::Bool(false)),
    ];
    for (choice, expected, parallel) in cases {
        let body = sent(&with(&format!(r#"{tools},"tool_choice":{choice}"#)));
        assert_eq!((&body["tool_choice"], &body["parallel_tool_calls"]), (&expected, &parallel), "{choice}");
        assert_eq!(body["tools"][0]["parameters"], json!({"type":"object","properties":{}}));
    }
}

#[test]
fn images_stay_in_the_result_that_shows_them() {
    let body = sent(&answered(
        r#"{"type":"tool_result","tool_use_id":"c","content":[{"type":"text","text":"t"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}]}"#,
    ));
    let output = &body["input"][1];
    assert_eq!((&output["type"], &output["call_id"]), (&json!("function_call_output"), &json!("c")));
    let image = json!({"type":"input_image","image_url":"data:image/png;base64,iVBO"});
    assert_eq!(output["output"], json!([{"type":"input_text","text":"t"}, image]));
    assert_eq!(body["input"].as_array().unwrap().len(), 2);
}

#[test]
fn the_texts_of_a_result_stay_apart() {
    let texts = r#"{"type":"text","text":"a.txt"},{"type":"text","text":"b.txt"}"#;
    for (content, expected) in [
        (texts, "a.txt\nb.txt"),
        (
            r#"{"type":"tool_reference","tool_name":"f"},{"type":"tool_reference","tool_name":"g"}"#,
            "Available tool: f\nAvailable tool: g",
        ),
        (r#"{"type":"text","text":"one"}"#, "one"),
    ] {
        let result = format!(r#"{{"type":"tool_result","tool_use_id":"c","content":[{content}]}}"#);
        assert_eq!(sent(&answered(&result))["input"][1]["output"], expected);
    }
    let failed = format!(r#"{{"type":"tool_result","tool_use_id":"c","content":[{texts}],"is_error":true}}"#);
    assert_eq!(sent(&answered(&failed))["input"][1]["output"], "Error: a.txt\nb.txt");
}

/// Gemini has one field for the text of a result.
#[test]
fn the_texts_of_a_result_stay_apart_in_gemini_too() {
    let texts = r#"{"type":"text","text":"a.txt"},{"type":"text","text":"b.txt"}"#;
    let result = format!(r#"{{"type":"tool_result","tool_use_id":"c","content":[{texts}]}}"#);
    let Written { body: out, .. } =
        Wire::Gemini.write_request(&request(&answered(&result)), &relay("gemini-2.5-pro")).unwrap();
    let body: Value = serde_json::from_slice(&out).unwrap();
    let response = &body["contents"][1]["parts"][0]["functionResponse"]["response"];
    assert_eq!(*response, json!({"output": "a.txt\nb.txt"}), "{body}");
}

#[test]
fn pictures_of_the_operator_are_noted_on_the_way_to_gemini() {
    let image = json!({"type": "input_image", "image_url": "https://example.test/a.png"});
    let text = json!({"type": "input_text", "text": "s"});
    let body = json!({"model": "m", "input": [{"role": "developer", "content": [text, image]}, {"role": "user", "content": "a"}]});
    let (request, _) = Dialect::Responses.read_request(body.to_string().into()).unwrap();
    let Written { notes: written, .. } = Wire::Gemini.write_request(&request, &relay("gemini-2.5-pro")).unwrap();
    assert_eq!(notes(&written), "dropped pictures and files of the operator");
}

#[test]
fn a_failed_result_is_marked() {
    let result = r#"{"type":"tool_result","tool_use_id":"c","content":"no","is_error":true}"#;
    assert_eq!(sent(&answered(result))["input"][1]["output"], "Error: no");
    let call = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"no","is_error":true}]}]}"#;
    let request = foreign(request(call));
    let Written { body: out, notes: written, .. } = Wire::Chat.write_request(&request, &relay("m")).unwrap();
    assert!(utf8(&out).contains(r#"{"role":"tool","tool_call_id":"c","content":"Error: no"}"#));
    assert_eq!(notes(&written), "said that a tool failed in words");
    let Written { body: out, .. } = Wire::Messages.write_request(&request, &relay("m")).unwrap();
    assert!(utf8(&out).contains(r#"{"type":"tool_result","tool_use_id":"c","is_error":true,"content":"no"}"#));
}

#[test]
fn thinking_comes_back_with_the_state_that_it_came_with() {
    let events = events(Dialect::Responses, "responses", "reasoning.sse");
    for thinking in [Thinking::Shown, Thinking::Sealed] {
        let message = sdk::message(&write(Dialect::Messages, seeing(thinking), &events));
        let assistant = json!({"role":"assistant","content":message["content"]});
        let body = sent(&format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"a"}},{assistant},{{"role":"user","content":"b"}}]}}"#
        ));
        let item = &body["input"][1];
        assert_eq!((&item["type"], &item["id"]), (&json!("reasoning"), &json!("rs_0")));
        assert_eq!(item["encrypted_content"], "gAAAAABo-state-of-the-account");
        assert_eq!(body["input"][2]["content"][0]["text"], "There are three.");
    }
}

#[test]
fn state_of_anthropic_comes_back_bare_and_goes_nowhere_else() {
    let events = crate::strange(events(Dialect::Messages, "messages", "thinking.sse"));
    let message = sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &events));
    assert_eq!(message["content"][0]["signature"], "Ep8CCkYIBxgCKkAtest+signature/one==");
    assert_eq!(message["content"][1], json!({"type":"redacted_thinking","data":"EroCCkYIBxgCKkDhidden=="}));
    // A Responses client stores the state in an envelope and sends it back to Anthropic, but not to the Codex backend.
    let whole = Dialect::Responses.whole(&fold(&events), &setting(Dialect::Responses));
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let body = json!({"model":"m","input":[{"role":"user","content":"a"}, whole["output"][0], whole["output"][1], whole["output"][2], {"role":"user","content":"b"}]});
    let (request, _) = Dialect::Responses.read_request(body.to_string().into()).unwrap();
    let Written { body: out, .. } = Wire::Messages.write_request(&request, &relay("claude-opus-4-6")).unwrap();
    let again: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(again["messages"][1]["content"], message["content"]);
    let Written { body: out, notes: written, .. } = Wire::Responses.write_request(&request, &codex(false)).unwrap();
    assert_eq!(notes(&written), "dropped reasoning state of another protocol");
    assert!(!utf8(&out).contains("pg1."));
}

#[test]
fn every_ending_has_its_name() {
    let reason = |dialect, folder, file| {
        let message =
            sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &events(dialect, folder, file)));
        message["stop_reason"].as_str().unwrap().to_owned()
    };
    let cases = [
        (Dialect::Responses, "responses", "text.sse", "end_turn"),
        (Dialect::Responses, "responses", "tools.sse", "tool_use"),
        (Dialect::Responses, "responses", "incomplete.sse", "max_tokens"),
        (Dialect::Responses, "responses", "filtered.sse", "refusal"),
        (Dialect::Chat, "chat", "length.sse", "max_tokens"),
        (Dialect::Chat, "chat", "tools.sse", "tool_use"),
        (Dialect::Chat, "chat", "filter.sse", "refusal"),
        (Dialect::Messages, "messages", "stop-sequence.sse", "stop_sequence"),
        (Dialect::Messages, "messages", "pause.sse", "pause_turn"),
    ];
    for (dialect, folder, file, expected) in cases {
        assert_eq!(reason(dialect, folder, file), expected, "{folder}/{file}");
    }
}

#[test]
fn cached_tokens_are_counted_beside_the_input() {
    let events = crate::strange(events(Dialect::Messages, "messages", "text.sse"));
    let usage = fold(&events).usage.unwrap();
    assert_eq!((usage.input, usage.cached, usage.cache_write), (21 + 2048 + 128, 2048, 128));
    let message = sdk::message(&write(Dialect::Messages, setting(Dialect::Messages), &events));
    let expected =
        json!({"input_tokens":21,"cache_creation_input_tokens":128,"cache_read_input_tokens":2048,"output_tokens":17});
    assert_eq!(message["usage"], expected);
    let chat: Value = serde_json::from_slice(&Dialect::Chat.whole(&fold(&events), &setting(Dialect::Chat))).unwrap();
    assert_eq!(chat["usage"]["prompt_tokens_details"]["cached_tokens"], 2048);
}

#[test]
fn searches_have_calls_results_and_citations() {
    let message = sdk::message(&write(
        Dialect::Messages,
        setting(Dialect::Messages),
        &events(Dialect::Responses, "responses", "search.sse"),
    ));
    let content = message["content"].as_array().unwrap();
    let kinds: Vec<&str> = content.iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["server_tool_use", "text", "web_search_tool_result"]);
    assert_eq!(
        (&content[0]["name"], &content[0]["input"]["query"]),
        (&json!("web_search"), &json!("height of galdhøpiggen"))
    );
    assert_eq!(content[1]["citations"][0]["url"], "https://example.test/peaks?id=7");
    assert_eq!(content[2]["tool_use_id"], content[0]["id"]);
    assert_eq!(
        (&content[2]["content"][0]["title"], content[2]["content"].as_array().unwrap().len()),
        (&json!("Peaks"), 1)
    );
    assert_eq!(message["usage"]["server_tool_use"]["web_search_requests"], 1);
    assert_eq!(message["stop_reason"], "end_turn");
    let tool = sent(&with(
        r#""tools":[{"type":"web_search_20250305","name":"web_search","allowed_domains":["example.test"]}],"tool_choice":{"type":"tool","name":"web_search"}"#,
    ));
    assert_eq!(tool["tools"], json!([{"type":"web_search","filters":{"allowed_domains":["example.test"]}}]));
    assert_eq!(tool["tool_choice"], json!({"type":"web_search"}));
}

#[test]
fn a_search_of_anthropic_is_one_everywhere() {
    let events = events(Dialect::Messages, "messages", "search.sse");
    let whole = Dialect::Responses.whole(&fold(&events), &setting(Dialect::Responses));
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let action = &whole["output"][0]["action"];
    assert_eq!(
        (&action["query"], &action["sources"][1]["url"]),
        (&json!("height of galdhøpiggen"), &json!("https://example.test/norway"))
    );
    let cited = &whole["output"][1]["content"][1];
    assert_eq!(cited["text"], "Galdhøpiggen is 2,469 m high");
    let citation = &cited["annotations"][0];
    assert_eq!((&citation["start_index"], &citation["end_index"]), (&json!(0), &json!(28)));
}

#[test]
fn a_failure_in_the_middle_is_an_error_event() {
    for (dialect, folder, file) in [
        (Dialect::Messages, "messages", "error.sse"),
        (Dialect::Responses, "responses", "failed.sse"),
        (Dialect::Chat, "chat", "error.sse"),
    ] {
        let out = write(Dialect::Messages, setting(Dialect::Messages), &events(dialect, folder, file));
        assert!(matches!(sdk::assemble(&out), sdk::End::Error(_)), "{folder}");
        assert!(!utf8(&out).contains("message_stop"), "{folder}");
    }
}

#[test]
fn system_messages_are_accepted_at_any_position() {
    let (_, body) = crate::corpus("requests/messages", "claude-code.json").remove(0);
    let (request, read) = Dialect::Messages.read_request(body).unwrap();
    assert_eq!(
        request.instructions.as_ref().unwrap().plain(),
        "You are an agent for the command line.\n\nWork in small steps."
    );
    assert_eq!(request.cache_key.as_ref().unwrap().as_str(), "0b9c5a52-7d3e-4a5e-9d0b-3f6f3c1f2a11");
    assert_eq!(request.reasoning.effort.as_deref(), Some("medium"));
    assert_eq!(request.reply.thinking, Thinking::Sealed);
    assert!(notes(&read).contains("dropped x-anthropic-billing-header"));
    for lite in [false, true] {
        let Written { body: out, notes: written, .. } = Wire::Responses.write_request(&request, &codex(lite)).unwrap();
        assert!(!utf8(&out).contains(r#""role":"system""#) && !utf8(&out).contains("billing"));
        assert_eq!(utf8(&out).matches("Tools may change.").count(), 1);
        assert!(notes(&written).contains("dropped context_management"));
    }
    let alone = sent(
        r#"{"max_tokens":1,"system":"x-anthropic-billing-header: v=1\nBe kind.","messages":[{"role":"user","content":"a"}]}"#,
    );
    assert_eq!(alone["instructions"], "Be kind.");
}

#[test]
fn names_of_one_function_called_twice_keep_their_ids() {
    let blocks = r#"{"type":"tool_use","id":"one","name":"f","input":{}},{"type":"tool_use","id":"two","name":"f","input":{"a":[1.50]}}"#;
    let body = sent(&block("assistant", blocks));
    let ids: Vec<&str> =
        body["input"].as_array().unwrap()[1..3].iter().map(|item| item["call_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["one", "two"]);
    assert_eq!(body["input"][2]["arguments"], r#"{"a":[1.50]}"#);
}

#[test]
fn relays_get_tools_limits_and_images_in_this_protocols_form() {
    let chat = r#"{"model":"m","max_tokens":77,"temperature":0.5,"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO"}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto"}"#;
    let (request, _) = Dialect::Chat.read_request(chat.to_owned().into()).unwrap();
    let Written { body: out, .. } = Wire::Messages.write_request(&request, &relay("claude-opus-4-6")).unwrap();
    let body: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&body["max_tokens"], &body["temperature"], &body["system"]), (&json!(77), &json!(0.5), &json!("s")));
    assert_eq!(body["tools"], json!([{"name":"f","input_schema":{"type":"object","properties":{}}}]));
    assert_eq!(body["tool_choice"], json!({"type":"auto"}));
    let image = json!({"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}});
    assert_eq!(body["messages"][0]["content"][1], image);
}

#[test]
fn pictures_and_files_keep_their_sources() {
    let body = block("user", r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBO"}}"#);
    let ItemKind::Message { parts, .. } = &request(&body).items[1].kind.clone() else { panic!() };
    let Part::Image { source: Source::Url(url), .. } = &parts[0] else { panic!() };
    assert_eq!(url.as_str(), "data:image/png;base64,iVBO");
    assert_eq!(request(&with(r#""tool_choice":{"type":"none"}"#)).tool_choice, Some(ToolChoice::None));
}

#[test]
fn an_overlong_prompt_makes_clients_compact() {
    let failure = Failure::new(Kind::ContextLength, "Your input exceeds the context window of this model.");
    let (status, body) = Dialect::Messages.error(&failure);
    assert_eq!(status, 400);
    assert!(utf8(&body).contains(r#""type":"invalid_request_error","message":"prompt is too long: "#));
}

/// Anthropic answers 400 to a stop sequence of whitespace (BerriAI/litellm#3286).
#[test]
fn stop_sequences_of_whitespace_are_not_sent() {
    let body = |stop: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"a"}}],"stop_sequences":{stop},"max_tokens":9}}"#
        )
    };
    for (stop, sent) in [(r#"["\n\n"," "]"#, None), (r#"["\n","END"]"#, Some(r#""stop_sequences":["END"]"#))] {
        let (own, _) = read(&body(stop)).unwrap();
        assert_eq!(own.limits.stop.len(), 2);
        for request in [own.clone(), foreign(own)] {
            let Written { body: out, .. } = Wire::Messages.write_request(&request, &relay("m")).unwrap();
            match sent {
                Some(sent) => assert!(utf8(&out).contains(sent), "{}", utf8(&out)),
                None => assert!(!utf8(&out).contains("stop_sequences"), "{}", utf8(&out)),
            }
        }
    }
}

/// A reply that is cut has at least the counts from its beginning.
#[test]
fn the_usage_of_a_cut_reply_is_kept() {
    let (_, body) = crate::corpus("messages", "text.sse").remove(0);
    let cut = &body[..body.windows(13).position(|window| window == b"message_delta").unwrap()];
    let usage = fold(&crate::read(Dialect::Messages, [cut])).usage.unwrap();
    assert_eq!((usage.input, usage.cached, usage.output, usage.estimated), (21 + 2048 + 128, 2048, 0, true));
}
