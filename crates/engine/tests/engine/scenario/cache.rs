//! The cache proof: a long conversation among others stays on one account, with one cache key and a prefix that never changes
//! a byte; it moves only when it must, and then stays where it went.

use std::collections::HashSet;

use offline::{Plan, RecordedRequest, Rule};
use proto::Dialect;
use rstest::rstest;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::bench::{Answer, Bench, MODEL, Setup, events, from, words};

const TURNS: usize = 20;
const OTHERS: usize = 5;
/// The turn in which the account is used up.
const LAST: usize = 12;

/// A conversation as its client keeps it.
struct Conversation {
    dialect: Dialect,
    name: String,
    /// Messages, contents or items.
    history: Vec<Value>,
}

impl Conversation {
    fn new(dialect: Dialect, name: &str) -> Self {
        Self { dialect, name: name.to_owned(), history: Vec::new() }
    }

    /// The next turn: the whole history, as clients of stateless protocols send it.
    async fn turn(&mut self, bench: &Bench, turn: usize) -> Answer {
        let prompt = format!("Reply with exactly: {} says {turn}", self.name);
        self.history.push(match self.dialect {
            Dialect::Gemini => json!({"role": "user", "parts": [{"text": prompt}]}),
            Dialect::Responses => json!({"type": "message", "role": "user", "content": prompt}),
            _ => json!({"role": "user", "content": prompt}),
        });
        let mut call = from(self.dialect, &self.body());
        // Gemini has both in the path.
        call.request.model.get_or_insert(MODEL.to_owned());
        call.request.reply.stream = true;
        let answer = bench.ask(call).await.expect("a reply");
        self.hear(answer.text());
        answer
    }

    fn body(&self) -> Value {
        // Long enough to be cached: the backend's cache begins at 1,024 tokens.
        let system = format!("You are {}. {}", self.name, "Answer in the fewest words that say it. ".repeat(160));
        let history = &self.history;
        match self.dialect {
            Dialect::Messages => {
                json!({"model": MODEL, "max_tokens": 1000, "stream": true, "system": system, "messages": history})
            }
            Dialect::Gemini => json!({"systemInstruction": {"parts": [{"text": system}]}, "contents": history}),
            Dialect::Responses => json!({"model": MODEL, "stream": true, "store": false, "instructions": system,
                "input": history, "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "low"}}),
            Dialect::Chat | Dialect::Ollama => {
                let messages: Vec<_> = std::iter::once(json!({"role": "system", "content": system}))
                    .chain(history.iter().cloned())
                    .collect();
                json!({"model": MODEL, "stream": true, "messages": messages})
            }
        }
    }

    /// Takes the answer into the history.
    fn hear(&mut self, text: &str) {
        let reply = words(self.dialect, text);
        assert!(reply.starts_with(&self.name), "{text}");
        match self.dialect {
            Dialect::Gemini => self.history.push(json!({"role": "model", "parts": [{"text": reply}]})),
            Dialect::Responses => {
                let done = |event: &Value| event["type"] == "response.output_item.done";
                self.history.extend(events(text).iter().filter(|event| done(event)).map(|event| event["item"].clone()));
            }
            _ => self.history.push(json!({"role": "assistant", "content": reply})),
        }
    }
}

/// What counts of a body for the cache.
#[derive(serde::Deserialize)]
struct Sent<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
    prompt_cache_key: &'a str,
}

impl<'a> Sent<'a> {
    fn of(request: &'a RecordedRequest) -> Self {
        serde_json::from_slice(&request.body).expect("a body")
    }

    /// The body around the input.
    fn frame(&self, request: &'a RecordedRequest) -> (&'a str, &'a str) {
        let body = std::str::from_utf8(&request.body).expect("UTF-8");
        body.split_once(self.input.get()).expect("the input is a part of its body")
    }

    /// Whether `next` goes on where this one ends, byte by byte.
    fn goes_on(&self, next: &Self) -> bool {
        let open = self.input.get().strip_suffix(']').expect("a list");
        next.input.get().strip_prefix(open).is_some_and(|rest| rest.starts_with(','))
    }
}

fn requests_of<'a>(record: &'a offline::Record, name: &str) -> Vec<&'a RecordedRequest> {
    let of = |request: &&RecordedRequest| {
        request.prompt.as_deref().is_some_and(|prompt| prompt.contains(&format!("{name} says")))
    };
    record.model_requests().filter(of).collect()
}

#[rstest]
#[case(Dialect::Chat)]
#[case(Dialect::Messages)]
#[case(Dialect::Gemini)]
#[case(Dialect::Responses)]
#[tokio::test]
async fn a_conversation_moves_only_when_it_must(#[case] dialect: Dialect) {
    let bench = Bench::with(Setup::accounts(4)).await;
    let mut conversation = Conversation::new(dialect, "Ada");
    let mut others: Vec<_> = (0..OTHERS).map(|n| Conversation::new(dialect, &format!("Other{n}"))).collect();
    let mut served = Vec::new();
    for turn in 1..=TURNS {
        if turn == LAST {
            let owner = login(&bench, &served[0]).to_owned();
            bench.backend.add_rule(Rule::responses(Plan::usage_limit(3600)).account(&owner));
        }
        let answer = conversation.turn(&bench, turn).await;
        assert_eq!(answer.head.attempts, 1 + u32::from(turn == LAST));
        let dropped = answer.head.notes.header().contains("dropped reasoning state of another account");
        assert_eq!(dropped, dialect == Dialect::Responses && turn >= LAST, "turn {turn}");
        served.push(answer.head.account.expect("an account"));
        others[turn % OTHERS].turn(&bench, turn).await;
        // The old account is well again long before the end.
        let pause = if turn == LAST + 3 { 7200 } else { 5 };
        bench.clock.advance(std::time::Duration::from_secs(pause));
    }
    let (before, after) = served.split_at(LAST - 1);
    assert!(before.iter().all(|account| *account == before[0]), "{served:?}");
    assert!(after.iter().all(|account| *account == after[0] && *account != before[0]), "{served:?}");
    assert!((0..4).all(|at| bench.status(at) == "active"));

    let record = bench.backend.record();
    let strips = dialect == Dialect::Responses;
    prefix_is_stable(&requests_of(&record, "Ada"), TURNS + 1, strips);
    let mut keys = HashSet::from([Sent::of(requests_of(&record, "Ada")[0]).prompt_cache_key]);
    for conversation in &others {
        let posts = requests_of(&record, &conversation.name);
        prefix_is_stable(&posts, TURNS / OTHERS, strips);
        keys.insert(Sent::of(posts[0]).prompt_cache_key);
    }
    assert_eq!(keys.len(), 1 + OTHERS, "each conversation has a key of its own");
    cold_starts_are_few(&bench, &record).await;
    bench.innocent();
}

/// All posts of a conversation have one key, and each goes on where the one before ended while the account stays the same.
/// `strips`: the next account cannot read all of it.
fn prefix_is_stable(posts: &[&RecordedRequest], count: usize, strips: bool) {
    assert_eq!(posts.len(), count);
    for pair in posts.windows(2) {
        let (one, two) = (Sent::of(pair[0]), Sent::of(pair[1]));
        assert_eq!(one.prompt_cache_key, two.prompt_cache_key);
        assert_eq!(one.frame(pair[0]), two.frame(pair[1]), "instructions, tools and all else stay the same");
        let moved = pair[0].account != pair[1].account;
        match (moved, pair[0].status == Some(200)) {
            (true, _) if strips => assert!(!two.input.get().contains("encrypted_content")),
            // The same turn again, by another account.
            (_, false) => assert_eq!(one.input.get(), two.input.get()),
            (_, true) => assert!(one.goes_on(&two), "{}\n{}", one.input, two.input),
        }
    }
}

/// The backend counts cached tokens in every answer but the first of a conversation on an account.
async fn cold_starts_are_few(bench: &Bench, record: &offline::Record) {
    let good = record.model_requests().filter(|request| request.status == Some(200));
    let pairs: HashSet<_> =
        good.map(|request| (Sent::of(request).prompt_cache_key, request.account.as_deref())).collect();
    let rows = bench.rows(2 * TURNS).await;
    let cold = rows.iter().filter(|row| row.tokens.cached == 0).count();
    assert_eq!((rows.len(), cold), (2 * TURNS, pairs.len()));
    assert!(cold <= 1 + OTHERS + 1 + OTHERS, "each conversation moved once at most: {cold}");
}

fn login<'a>(bench: &'a Bench, id: &pool::AccountId) -> &'a str {
    let at = bench.ids.iter().position(|known| known == id).expect("one of ours");
    &bench.logins[at].account_id
}
