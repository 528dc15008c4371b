//! Measures the time to translate a long conversation for the Codex backend, in each client protocol.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use proto::dialect::{CodexTarget, Target};
use proto::{Dialect, Wire};
use serde_json::{Value, json};

/// The number of messages and the size of each text in bytes, so that the body is about 134 kB.
const MESSAGES: usize = 200;
const TEXT: usize = 565;
/// Translations per protocol; the median counts.
const ROUNDS: usize = 201;
/// The maximum time of one translation.
const BAR: Duration = Duration::from_millis(1);

/// Prints each protocol's median; fails if `strict` and a median is over the limit.
pub(crate) fn run(strict: bool) -> Result<()> {
    let mut met = true;
    for (name, dialect, body) in [
        ("chat", Dialect::Chat, chat()),
        ("responses", Dialect::Responses, responses()),
        ("messages", Dialect::Messages, messages()),
        ("gemini", Dialect::Gemini, gemini()),
        ("ollama", Dialect::Ollama, chat()),
    ] {
        let body = Bytes::from(body.to_string());
        let median = median(dialect, &body)?;
        met &= median <= BAR;
        let verdict = if median <= BAR { "ok  " } else { "MISS" };
        println!("{verdict} {name:<10} {:>4} kB  {:>7.1} us", body.len() / 1000, median.as_secs_f64() * 1e6);
    }
    ensure!(met || !strict, "a translation took more than {BAR:?}");
    Ok(())
}

fn median(dialect: Dialect, body: &Bytes) -> Result<Duration> {
    let target =
        Target::Codex(CodexTarget { model: "gpt-5.5".into(), cache_key: "bench".into(), ..CodexTarget::default() });
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let written = dialect
            .read_request(body.clone())
            .and_then(|(request, _)| Wire::Responses.write_request(&request, &target))
            .map_err(|failure| anyhow::anyhow!("{dialect:?}: {}", failure.message))?;
        std::hint::black_box(written);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[ROUNDS / 2])
}

/// A text with the characters of agents' texts: quotes, line ends, backslashes, other alphabets.
fn words(n: usize) -> String {
    let line = format!("{n}: let path = \"src\\main.rs\";\n\t// naïve, 你好, ok? ");
    line.chars().cycle().take(TEXT - TEXT / 16).collect()
}

fn turns<T>(make: impl Fn(usize, bool) -> T) -> Vec<T> {
    (0..MESSAGES).map(|n| make(n, n % 2 == 0)).collect()
}

fn chat() -> Value {
    let role = |user| if user { "user" } else { "assistant" };
    json!({ "model": "gpt-5.5", "stream": true, "messages": turns(|n, user| json!({ "role": role(user), "content": words(n) })) })
}

fn responses() -> Value {
    let item = |n, user| {
        let (role, kind) = if user { ("user", "input_text") } else { ("assistant", "output_text") };
        json!({ "type": "message", "role": role, "content": [{ "type": kind, "text": words(n) }] })
    };
    json!({ "model": "gpt-5.5", "stream": true, "input": turns(item) })
}

fn messages() -> Value {
    let call = |n: usize| format!("toolu_{n}");
    let turn = |n: usize, user| match user {
        true if n == 0 => json!({ "role": "user", "content": words(n) }),
        true => {
            json!({ "role": "user", "content": [{ "type": "tool_result", "tool_use_id": call(n - 1), "content": [{ "type": "text", "text": words(n) }] }] })
        }
        false => {
            json!({ "role": "assistant", "content": [{ "type": "tool_use", "id": call(n), "name": "Read", "input": { "file": words(n) } }] })
        }
    };
    json!({ "model": "gpt-5.5", "stream": true, "max_tokens": 32000, "messages": turns(turn) })
}

fn gemini() -> Value {
    let role = |user| if user { "user" } else { "model" };
    json!({ "contents": turns(|n, user| json!({ "role": role(user), "parts": [{ "text": words(n) }] })) })
}
