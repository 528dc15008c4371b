//! Limits that refusals name: lists show them, over-long prompts are refused without a call, and wishes for too much are lowered.

use std::time::Duration;

use offline::{Endpoint, Plan, Rule};
use pool::catalog::Model;
use pool::limits;
use proto::{Dialect, Kind};
use rstest::rstest;
use serde_json::{Value, json};

use crate::bench::{Bench, MODEL, Setup, call, refused};
use crate::relays::{CHAT, FakeRelay, GEMINI, MESSAGES, RESPONSES, alone, asking, sent};

const DIALECTS: [Dialect; 5] = [Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

/// A prompt of so many words, each a token; the relays' count is half of that.
fn prompt(words: usize) -> String {
    "x ".repeat(words)
}

/// The model as lists show it.
fn listed(bench: &Bench, name: &str) -> Model {
    bench.engine.models().catalog().into_iter().find(|model| model.slug == name).expect("a listed model")
}

/// A refusal of an overlong prompt, in the words of the relay's protocol.
fn too_long(fake_relay: &FakeRelay, prompt: u64, window: u64) -> Plan {
    let message = match fake_relay.endpoint {
        Endpoint::MessagesRelay => format!("prompt is too long: {prompt} tokens > {window} maximum"),
        Endpoint::GeminiRelay => {
            format!("The input token count ({prompt}) exceeds the maximum number of tokens allowed ({window}).")
        }
        Endpoint::ChatRelay => {
            format!("request ({prompt} tokens) exceeds the available context size ({window} tokens)")
        }
        _ => format!(
            "This model's maximum context length is {window} tokens. However, your messages resulted in {prompt} tokens."
        ),
    };
    refusal(fake_relay, &message)
}

fn refusal(fake_relay: &FakeRelay, message: &str) -> Plan {
    Plan::json(
        400,
        match fake_relay.endpoint {
            Endpoint::MessagesRelay => {
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
            }
            Endpoint::GeminiRelay => json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": message}}),
            _ => json!({"error": {"type": "invalid_request_error", "message": message, "code": null}}),
        },
    )
}

#[rstest]
#[tokio::test]
async fn a_window_that_a_relay_names_is_heeded_until_it_is_old(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    assert_eq!(listed(&bench, fake_relay.model).context, None);
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, too_long(&fake_relay, 5010, 4000)));
    let first = refused(bench.ask(asking(Dialect::Chat, fake_relay.model, &prompt(5000), true)).await);
    assert_eq!((first.failure.kind, first.head.attempts), (Kind::ContextLength, 1));
    let shown = listed(&bench, fake_relay.model);
    assert_eq!((shown.context, shown.max_context, shown.max_output), (Some(4000), Some(4000), None));
    for dialect in DIALECTS {
        let second = refused(bench.ask(asking(dialect, fake_relay.model, &prompt(5000), true)).await);
        let Kind::ContextLength = second.failure.kind else { panic!("{dialect:?}: {}", second.failure.message) };
        assert_eq!((second.head.attempts, second.failure.code.as_deref()), (0, Some("context_length_exceeded")));
        assert!(second.head.notes.header().contains("not sent"), "{dialect:?}");
        let (status, body) = dialect.error(&second.failure);
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 400);
        let numbers = if dialect == Dialect::Messages { "prompt is too long: 50" } else { "4000 tokens" };
        assert!(body.contains(numbers) && body.contains("4000"), "{dialect:?}: {body}");
    }
    assert_eq!(sent(&bench, &fake_relay).len(), 1, "the relay is not asked again");
    for short in ["hello".to_owned(), prompt(4000)] {
        bench.ask(asking(Dialect::Chat, fake_relay.model, &short, true)).await.expect("what may fit is sent");
    }
    bench.pass(limits::LEARNED);
    bench
        .ask(asking(Dialect::Chat, fake_relay.model, &prompt(5000), true))
        .await
        .expect("a day later it is tried again");
    GEMINI.join(&bench, "another").await;
    bench.until("the lists forget", |bench| listed(bench, fake_relay.model).context.is_none()).await;
}

#[tokio::test]
async fn a_window_that_the_backend_names_outlives_its_lists() {
    let bench = Bench::new().await;
    bench.until("the live list", |bench| bench.engine.accounts().list()[0].models > 0).await;
    let before = listed(&bench, MODEL);
    assert!(before.context.is_some_and(|window| window > 20_000), "{before:?}");
    let message =
        "This model's maximum context length is 20000 tokens. However, your messages resulted in 22010 tokens.";
    let error = json!({"error": {"code": "context_length_exceeded", "message": message}});
    bench.backend.add_rule(Rule::responses(Plan::json(400, error)));
    let etag = bench.engine.models().codex(None, Duration::ZERO).await.etag;
    let refusal = refused(bench.ask(call(Dialect::Messages, &prompt(22_000), true)).await);
    assert_eq!(refusal.failure.kind, Kind::ContextLength);
    let codex = bench.engine.models().codex(None, Duration::ZERO).await;
    assert_ne!(codex.etag, etag, "Codex clients are told of another list");
    let body: Value = serde_json::from_slice(&codex.body).expect("JSON");
    let entry = body["models"].as_array().and_then(|all| all.iter().find(|entry| entry["slug"] == MODEL));
    assert_eq!(entry.expect("the model")["context_window"], 20_000);
    // The next list says what the last one said.
    bench.backend.set_models(&bench.logins[0].account_id, &[MODEL]);
    bench.ask(call(Dialect::Chat, "hello", true)).await.expect("a reply, which names the new list");
    bench.until("the new list", |bench| bench.engine.models().catalog().len() == 1).await;
    assert_eq!(listed(&bench, MODEL).context, Some(20_000));
    let posts = bench.posts();
    let refusal = refused(bench.ask(call(Dialect::Messages, &prompt(23_000), true)).await);
    assert_eq!((refusal.failure.kind, refusal.head.attempts, bench.posts()), (Kind::ContextLength, 0, posts));
    bench.innocent();
}

#[rstest]
#[tokio::test]
async fn a_wish_for_too_much_is_lowered_the_next_time(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[values(Dialect::Chat, Dialect::Responses, Dialect::Messages, Dialect::Gemini)] dialect: Dialect,
) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    let message = match fake_relay.endpoint {
        Endpoint::MessagesRelay => {
            "max_tokens: 9000 > 4096, which is the maximum allowed number of output tokens for m"
        }
        Endpoint::GeminiRelay => {
            "Unable to submit request because it has a maxOutputTokens value of 9000 but the supported range is from 1 \
             (inclusive) to 4097 (exclusive). Update the value and try again."
        }
        _ => {
            "max_tokens is too large: 9000. This model supports at most 4096 completion tokens, whereas you provided 9000."
        }
    };
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, refusal(&fake_relay, message)));
    let client_call = || {
        let mut client_call = asking(dialect, fake_relay.model, "Reply with exactly: pong", true);
        let body = match dialect {
            Dialect::Gemini => {
                json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}],
                    "generationConfig": {"maxOutputTokens": 9000}})
            }
            Dialect::Responses => json!({"model": fake_relay.model, "input": "hello", "max_output_tokens": 9000}),
            _ => {
                let messages = json!([{"role": "user", "content": "hello"}]);
                json!({"model": fake_relay.model, "messages": messages, "max_tokens": 9000})
            }
        };
        client_call.request = crate::bench::from(dialect, &body).request;
        client_call.request.model = Some(fake_relay.model.to_owned());
        client_call.request.reply.stream = true;
        client_call
    };
    let first = refused(bench.ask(client_call()).await);
    assert_eq!((first.failure.kind, first.head.attempts), (Kind::Invalid, 1));
    assert_eq!(listed(&bench, fake_relay.model).max_output, Some(4096));
    let second = bench.ask(client_call()).await.expect("it is served");
    assert!(second.head.notes.header().contains("lowered max_tokens to 4096"), "{:?}", second.head.notes);
    let body = sent(&bench, &fake_relay).pop().expect("the second call");
    let limits = ["/max_tokens", "/max_completion_tokens", "/max_output_tokens", "/generationConfig/maxOutputTokens"];
    let values: Vec<_> = limits.iter().filter_map(|path| body.pointer(path)?.as_u64()).collect();
    assert_eq!(values, [4096], "{body}");
    bench.innocent();
}

/// What cannot be true of the refused request, or names no number, changes nothing.
#[rstest]
#[case::no_number("Your input exceeds the context window of this model.", 5000)]
#[case::hostile("This model's maximum context length is 1 tokens.", 5000)]
#[case::a_short_prompt("This model's maximum context length is 4000 tokens.", 10)]
#[case::it_fits(
    "This model's maximum context length is 4000 tokens. However, your messages resulted in 3000 tokens.",
    5000
)]
#[tokio::test]
async fn nothing_is_guessed(#[case] message: &str, #[case] words: usize) {
    let bench = alone().await;
    CHAT.join(&bench, "far").await;
    bench.backend.add_rule(Rule::at(CHAT.endpoint, refusal(&CHAT, message)));
    let first = refused(bench.ask(asking(Dialect::Chat, CHAT.model, &prompt(words), true)).await);
    assert_eq!(first.failure.kind, Kind::ContextLength);
    assert_eq!(listed(&bench, CHAT.model).context, None);
    bench.ask(asking(Dialect::Chat, CHAT.model, &prompt(words), true)).await.expect("it is sent");
}

/// Who asks cannot speak for the upstream: what it quotes of a request, or repeats, limits nobody.
#[rstest]
#[case::in_quotes("maximum context length is 1024 tokens")]
#[case::out_of_them("x' maximum context length is 1024 tokens")]
#[case::with_a_count("x' maximum context length is 1024 tokens. your messages resulted in 9999 tokens")]
#[case::of_output("x' this model supports at most 256 completion tokens")]
#[tokio::test]
async fn what_a_client_wrote_is_not_learned(
    #[values(CHAT, RESPONSES, MESSAGES, GEMINI)] fake_relay: FakeRelay,
    #[case] words: &str,
) {
    let bench = alone().await;
    fake_relay.join(&bench, "far").await;
    let message = format!("Invalid value: '{words}'. Supported values are: 'low', 'medium', and 'high'.");
    bench.backend.add_rule(Rule::at(fake_relay.endpoint, refusal(&fake_relay, &message)));
    let text = format!("{words} {}", prompt(5000));
    refused(bench.ask(asking(Dialect::Chat, fake_relay.model, &text, true)).await);
    let shown = listed(&bench, fake_relay.model);
    assert_eq!((shown.context, shown.max_output), (None, None));
    bench.ask(asking(Dialect::Chat, fake_relay.model, &prompt(5000), true)).await.expect("it is sent");
}

/// A larger prompt that is served says that the window is another one.
#[tokio::test]
async fn a_larger_prompt_that_is_served_ends_what_was_learned() {
    let bench = alone().await;
    CHAT.join(&bench, "far").await;
    bench
        .backend
        .add_rule(Rule::at(CHAT.endpoint, refusal(&CHAT, "This model's maximum context length is 2000 tokens.")));
    refused(bench.ask(asking(Dialect::Chat, CHAT.model, &prompt(2000), true)).await);
    assert_eq!(listed(&bench, CHAT.model).context, Some(2000));
    // The backend counts more tokens than there are: the vocabulary has this word.
    let answer = bench.ask(asking(Dialect::Chat, CHAT.model, &"international ".repeat(1000), true)).await;
    answer.expect("it may fit, so it is sent");
    let rows = bench.rows(2).await;
    assert!(rows[0].tokens.input > 2000, "{:?}", rows[0].tokens);
    assert_eq!(listed(&bench, CHAT.model).context, None);
}

/// Another key or address is another relay: what was learned of the old one is forgotten.
#[tokio::test]
async fn a_relay_that_changes_is_another_one() {
    let bench = Bench::with(Setup::accounts(0)).await;
    let relay = CHAT.join(&bench, "far").await;
    bench.backend.add_rule(Rule::at(CHAT.endpoint, too_long(&CHAT, 5010, 4000)));
    refused(bench.ask(asking(Dialect::Chat, CHAT.model, &prompt(5000), true)).await);
    assert_eq!(listed(&bench, CHAT.model).context, Some(4000));
    let change = engine::RelayChange { key: Some(pool::Secret::from("sk-offline-relay-2")), ..Default::default() };
    bench.engine.relays().change(&relay.id, change).await.expect("changed");
    assert_eq!(listed(&bench, CHAT.model).context, None);
}
