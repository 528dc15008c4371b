//! The rest of the API for accounts: compaction, token counts, bare completions, images and searches.

use offline::{Endpoint, Plan, Quota, Rule};
use serde_json::{Value, json};

use crate::gateway::{Gateway, request};
use crate::streams::{gateway, gateway_of};
use crate::wire::{Answer, Wire};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

async fn post(gateway: &Gateway, path: &str, body: &Value) -> Answer {
    gateway.post(path, &[], body.to_string().as_bytes()).await
}

/// The body of a response, which must be a success.
async fn ask(gateway: &Gateway, path: &str, body: &Value) -> Value {
    let answer = post(gateway, path, body).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
    read(&answer)
}

fn read(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

/// The status, and the name of the invalid parameter.
fn refusal(answer: &Answer) -> (u16, Value) {
    (answer.check().status, read(answer)["error"]["param"].clone())
}

#[tokio::test]
async fn a_conversation_is_compacted_and_goes_on_where_it_can_be_read() {
    let (gateway, backend) = gateway_of(&["plus", "plus", "plus"], |_| {}).await;
    let reply_text = json!([
        { "role": "user", "content": "Remember the fox." },
        { "role": "assistant", "content": [{ "type": "output_text", "text": "I do.", "annotations": [] }] },
    ]);
    for (at, path) in
        ["/v1/responses/compact", "/responses/compact", "/backend-api/codex/responses/compact"].iter().enumerate()
    {
        for model in ["gpt-6-sol", "gpt-5.5"] {
            let compact =
                ask(&gateway, path, &json!({ "model": model, "input": reply_text, "instructions": "Be short." })).await;
            assert_eq!(compact["object"], "response.compaction", "{path}");
            let output = compact["output"].as_array().unwrap();
            assert_eq!((output.len(), &output[0]["role"]), (2, &json!("user")));
            assert_eq!(output[1]["type"], "compaction");
            assert!(compact["usage"]["input_tokens"].as_u64().unwrap() > 0 && compact["id"].is_string());
            let mut next = output.clone();
            next.push(json!({ "role": "user", "content": format!("Reply with exactly: on {at}") }));
            let answer = ask(&gateway, "/v1/responses", &json!({ "model": model, "input": next })).await;
            let text = answer["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
            assert_eq!(text["content"][0]["text"], format!("on {at}"));
        }
    }
    let record = backend.record();
    assert_eq!(record.offences, []);
    let (made, used): (Vec<_>, Vec<_>) = record.model_requests().partition(|post| asks(post));
    let owners =
        |posts: &[&offline::RecordedRequest]| posts.iter().map(|post| post.account.clone()).collect::<Vec<_>>();
    assert_eq!(owners(&made), owners(&used), "the account that made it reads it");
    assert!(made.iter().all(|post| post.header("x-codex-beta-features") == Some("remote_compaction_v2")));
}

fn asks(post: &offline::RecordedRequest) -> bool {
    post.json()["input"]
        .as_array()
        .is_some_and(|items| items.last().is_some_and(|item| item["type"] == "compaction_trigger"))
}

#[tokio::test]
async fn a_compaction_is_tried_again_like_any_request() {
    let (gateway, backend) = gateway_of(&["plus", "plus"], |_| {}).await;
    backend.add_rule(Rule::responses(Plan::usage_limit(3_600)));
    let body = json!({ "model": "gpt-5.5", "input": [{ "role": "user", "content": "hello" }] });
    assert_eq!(ask(&gateway, "/v1/responses/compact", &body).await["output"][1]["type"], "compaction");
    assert_eq!(backend.record().model_requests().count(), 2);
    // A reply without a compaction is not accepted as one.
    backend.add_rule(Rule::responses(Plan::events([
        json!({ "type": "response.created", "response": { "id": "resp_1", "output": [] } }),
        json!({ "type": "response.completed", "response": { "id": "resp_1", "status": "completed", "output": [], "usage": null } }),
    ])));
    assert_eq!(post(&gateway, "/v1/responses/compact", &body).await.check().status, 502);
    for body in [json!({ "model": "gpt-5.5" }), json!({ "model": "none", "input": "x" })] {
        assert!(matches!(post(&gateway, "/v1/responses/compact", &body).await.check().status, 400 | 404));
    }
}

#[tokio::test]
async fn input_tokens_are_counted_without_asking() {
    let (gateway, backend) = gateway(|_| {}).await;
    let body = json!({ "model": "gpt-5.5", "input": "Hello, how are you?" });
    let counted = ask(&gateway, "/v1/responses/input_tokens", &body).await;
    assert_eq!(counted["object"], "response.input_tokens");
    assert!((5..20).contains(&counted["input_tokens"].as_u64().unwrap()), "{counted}");
    let tools = json!({ "model": "gpt-5.5", "input": "Hello, how are you?", "instructions": "Be terse.",
        "tools": [{ "type": "function", "name": "f", "parameters": { "type": "object", "properties": {} } }] });
    let more = ask(&gateway, "/responses/input_tokens", &tools).await["input_tokens"].as_u64();
    assert!(more > counted["input_tokens"].as_u64());
    assert_eq!(backend.record().model_requests().count(), 0);
    let unknown = json!({ "model": "none", "input": "x" });
    assert_eq!(post(&gateway, "/v1/responses/input_tokens", &unknown).await.check().status, 404);
}

#[tokio::test]
async fn a_bare_prompt_is_completed() {
    let (gateway, _backend) = gateway(|_| {}).await;
    let body = json!({ "model": "gpt-6-sol", "prompt": "Reply with exactly: a b c", "max_tokens": 2_000 });
    let whole = ask(&gateway, "/v1/completions", &body).await;
    assert_eq!((&whole["object"], &whole["choices"][0]["text"]), (&json!("text_completion"), &json!("a b c")));
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    assert!(whole["id"].as_str().unwrap().starts_with("cmpl-") && whole["usage"]["total_tokens"].as_u64() > Some(0));

    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    streamed["stop"] = json!(" c");
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let headers = ["host: localhost", "content-type: application/json", &key];
    let mut wire = Wire::open(gateway.port).await;
    wire.send(request("POST /v1/completions", &headers, streamed.to_string().as_bytes())).await;
    let answer = wire.answer().await.unwrap();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let text = answer.text();
    let chunks = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let chunks: Vec<Value> = chunks.map(|data| serde_json::from_str(data).unwrap()).collect();
    let reply_text: String = chunks.iter().map(|chunk| chunk["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!((reply_text.as_str(), text.ends_with("data: [DONE]\n\n")), ("a b", true), "{text}");

    for (field, value) in [("echo", json!(true)), ("n", json!(3)), ("logprobs", json!(1)), ("suffix", json!("x"))] {
        let mut wrong = body.clone();
        wrong[field] = value;
        assert_eq!(refusal(&post(&gateway, "/v1/completions", &wrong).await), (400, json!(field)));
    }
}

#[tokio::test]
async fn accounts_draw() {
    let (gateway, backend) = gateway_of(&["free", "plus", "free"], |_| {}).await;
    for path in ["/v1/images/generations", "/backend-api/codex/images/generations"] {
        let drawn =
            ask(&gateway, path, &json!({ "model": "gpt-image-2", "prompt": "a fox", "size": "1024x1536" })).await;
        assert!(drawn["data"][0]["b64_json"].is_string() && drawn["size"] == "1024x1536", "{drawn}");
        assert!(drawn["usage"]["total_tokens"].as_u64() > Some(0));
    }
    let answer = post(&gateway, "/v1/images/generations", &json!({ "prompt": "a fox" })).await;
    assert_eq!((answer.status, answer.header("x-polygate-account").is_some()), (200, true), "no model is theirs");
    let seen = backend.record();
    let posts: Vec<_> = seen.requests_to(Endpoint::Images).collect();
    assert_eq!(posts.len(), 3);
    assert_eq!(
        posts[2].json(),
        json!({ "prompt": "a fox", "background": "auto", "model": "gpt-image-2", "quality": "auto", "size": "auto" })
    );
    let order = [
        "version", "x-codex-image-turn-id", "authorization", "chatgpt-account-id", "content-type", "originator",
        "user-agent", "accept",
    ];
    let names: Vec<&str> =
        posts[0].headers.iter().map(|(name, _)| name.as_str()).filter(|name| order.contains(name)).collect();
    assert_eq!(names, order);
    assert_eq!(seen.offences, []);

    for (field, value) in [("n", json!(2)), ("mask", json!("x")), ("style", json!("vivid")), ("size", json!("1x1"))] {
        let mut body = json!({ "model": "gpt-image-2", "prompt": "a fox" });
        body[field] = value;
        assert_eq!(refusal(&post(&gateway, "/v1/images/generations", &body).await), (400, json!(field)));
    }
    let other = json!({ "model": "dall-e-3", "prompt": "a fox" });
    assert_eq!(refusal(&post(&gateway, "/v1/images/generations", &other).await), (404, json!("model")));
    assert_eq!(backend.record().requests_to(Endpoint::Images).count(), 3);
}

/// A Codex client names the turn of an image; the same headers from other clients are not forwarded.
#[tokio::test]
async fn codex_says_which_turn_a_picture_is_for() {
    let (gateway, backend) = gateway(|_| {}).await;
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let body = json!({ "prompt": "a fox" }).to_string();
    for originator in ["originator: codex_exec", "originator: other"] {
        let turn = ["x-codex-image-turn-id: t-1", "x-codex-turn-metadata: {\"turn_id\":\"t-1\"}"];
        let headers = ["host: localhost", "content-type: application/json", &key, originator, turn[0], turn[1]];
        let answer = gateway.ask("POST /backend-api/codex/images/generations", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let record = backend.record();
    let seen: Vec<_> = record.requests_to(Endpoint::Images).collect();
    assert_eq!(seen[0].header("x-codex-image-turn-id"), Some("t-1"));
    assert_eq!(seen[0].header("x-codex-turn-metadata"), Some("{\"turn_id\":\"t-1\"}"));
    assert!(seen[1].header("x-codex-image-turn-id").is_some_and(|turn| turn != "t-1"));
    assert_eq!(seen[1].header("x-codex-turn-metadata"), None);
}

#[tokio::test]
async fn accounts_change_pictures_from_json_and_from_forms() {
    let (gateway, backend) = gateway(|_| {}).await;
    let picture = json!([{ "image_url": "data:image/png;base64,AAAA" }]);
    let body = json!({ "model": "gpt-image-2", "prompt": "a hat", "images": picture });
    assert!(ask(&gateway, "/v1/images/edits", &body).await["data"][0]["b64_json"].is_string());
    let part = |head: &str, data: &[u8]| {
        [format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n").as_bytes(), data, b"\r\n"].concat()
    };
    let form = |more: Vec<u8>| {
        [
            part("name=\"model\"", b"gpt-image-2"),
            part("name=\"image\"; filename=\"a.png\"", PNG),
            part("name=\"prompt\"", b"a hat"),
            more,
            b"--b--\r\n".to_vec(),
        ]
        .concat()
    };
    let key = format!("authorization: Bearer {}", gateway.keys.client);
    let headers = ["host: localhost", "content-type: multipart/form-data; boundary=b", &key];
    let answer = gateway.ask("POST /v1/images/edits", &headers, &form(Vec::new())).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let sent = backend.record().requests_to(Endpoint::Images).next_back().unwrap().json();
    assert_eq!((&sent["prompt"], sent["images"].as_array().unwrap().len()), (&json!("a hat"), 1));
    assert!(sent["images"][0]["image_url"].as_str().unwrap().starts_with("data:image/png;base64,iVBORw0KGgpyZXN0"));
    let masked =
        gateway.ask("POST /v1/images/edits", &headers, &form(part("name=\"mask\"; filename=\"m\"", PNG))).await;
    assert_eq!(refusal(&masked), (400, json!("mask")));
}

#[tokio::test]
async fn an_account_that_may_not_draw_is_not_asked_to() {
    let (gateway, backend) = gateway_of(&["free", "guest"], |_| {}).await;
    let answer = post(&gateway, "/v1/images/generations", &json!({ "prompt": "a fox" })).await;
    assert_eq!((answer.check().status, &read(&answer)["error"]["code"]), (403, &json!("image_generation_unavailable")));
    let tools = json!([{ "type": "image_generation", "size": "1024x1024", "quality": "low", "background": "opaque" }]);
    let mut body = json!({ "model": "gpt-5.5", "input": "draw a fox", "tools": tools });
    let answer = post(&gateway, "/v1/responses", &body).await;
    assert_eq!((answer.check().status, &read(&answer)["error"]["code"]), (403, &json!("image_generation_unavailable")));
    assert_eq!(backend.record().model_requests().count(), 0);
    body["tool_choice"] = json!("none");
    assert_eq!(post(&gateway, "/v1/responses", &body).await.status, 200);
}

#[tokio::test]
async fn the_image_tool_goes_whole_to_a_plan_that_has_it() {
    let (gateway, backend) = gateway_of(&["free", "plus", "free"], |_| {}).await;
    let tool = json!({ "type": "image_generation", "model": "gpt-image-2", "size": "1024x1024", "quality": "low",
        "background": "opaque", "output_format": "png", "output_compression": 100, "moderation": "auto",
        "partial_images": 1, "input_fidelity": "low", "action": "generate" });
    for model in ["gpt-5.5", "gpt-6-sol"] {
        let body = json!({ "model": model, "input": "draw a fox", "tools": [tool] });
        let answer = ask(&gateway, "/v1/responses", &body).await;
        assert!(
            answer["output"].as_array().unwrap().iter().any(|item| item["type"] == "image_generation_call"),
            "{answer}"
        );
        let sent = backend.record().model_requests().last().unwrap().json();
        let sent = if model == "gpt-5.5" { &sent["tools"][0] } else { &sent["input"][0]["tools"][0]["tools"][0] };
        assert_eq!(*sent, tool);
    }
}

/// A Codex client offers the image tool in a list among its messages, alone or in a namespace.
#[tokio::test]
async fn the_image_tool_of_a_list_goes_to_a_plan_that_has_it() {
    let (gateway, backend) = gateway_of(&["free", "plus", "free"], |_| {}).await;
    let tool = json!({ "type": "image_generation", "output_format": "png" });
    let space = json!({ "type": "namespace", "name": "functions", "description": "", "tools": [tool] });
    for tools in [json!([tool]), json!([space])] {
        let list = json!({ "type": "additional_tools", "role": "developer", "tools": tools });
        for _ in 0..3 {
            let input = json!([list, { "type": "message", "role": "user", "content": "draw a fox" }]);
            let answer = ask(&gateway, "/v1/responses", &json!({ "model": "gpt-6-sol", "input": input })).await;
            assert!(
                answer["output"].as_array().unwrap().iter().any(|item| item["type"] == "image_generation_call"),
                "{answer}"
            );
        }
    }
    let record = backend.record();
    let mut accounts: Vec<_> = record.model_requests().map(|seen| seen.account.clone()).collect();
    accounts.dedup();
    assert_eq!(accounts.len(), 1);
}

#[tokio::test]
async fn drawing_moves_on_and_renews_tokens() {
    let (gateway, backend) = gateway_of(&["plus", "plus"], |_| {}).await;
    let body = json!({ "prompt": "a fox" });
    backend.add_rule(Rule::at(Endpoint::Images, Plan::usage_limit(3_600)));
    ask(&gateway, "/v1/images/generations", &body).await;
    let record = backend.record();
    let accounts: Vec<_> = record.requests_to(Endpoint::Images).map(|seen| seen.account.clone()).collect();
    assert_eq!((accounts.len(), accounts[0] == accounts[1]), (2, false));
    let left = accounts[1].clone().unwrap();
    backend.expire_access(&left);
    ask(&gateway, "/v1/images/generations", &body).await;
    assert_eq!(backend.record().token_posts().count(), 1, "a refused token is renewed");
    backend.set_quota(&left, &Quota::default());
    assert_eq!(backend.record().offences, []);
}

#[tokio::test]
async fn accounts_search() {
    let (gateway, backend) = gateway_of(&["free"], |_| {}).await;
    let body = json!({ "id": "session", "model": "gpt-6-sol", "commands": { "search_query": [{ "q": "foxes" }] }, "more": [1] });
    for path in ["/v1/alpha/search", "/backend-api/codex/alpha/search"] {
        let found = ask(&gateway, path, &body).await;
        assert_eq!(found["results"][0]["snippet"], "About foxes.");
    }
    assert_eq!(backend.record().requests_to(Endpoint::Search).next().unwrap().json(), body, "it goes as it came");
    let wrong = post(&gateway, "/v1/alpha/search", &json!({ "id": "session" })).await;
    assert_eq!(wrong.check().status, 400, "{}", wrong.text());
}
