//! Translates the same requests and replies in every run, so that Callgrind counts the same instructions in every run.
//!
//! `cargo xtask instructions` runs this program in Callgrind, which counts inside [`counted_requests`] only and writes one dump
//! per call. The program prints the name of each call. There is no socket, no clock, no thread and no randomness.

#![allow(clippy::print_stdout, reason = "xtask reads the names")]

mod replies;

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use proto::dialect::responses::socket;
use proto::dialect::{CodexTarget, RelayTarget, ReplySetting, Target};
use proto::framing::Framing;
use proto::{Dialect, Event, Failure, Fold, Reader, Wire, Writer};

/// Requests of one count.
const REQUESTS: u32 = 50;
/// Tokens of the longer reply.
const TOKENS: u32 = 401;

/// One row of the table: a client's and an upstream's protocol.
#[derive(Clone, Copy)]
struct Pair {
    name: &'static str,
    client: Dialect,
    upstream: Wire,
    framing: Framing,
}

const fn pair(name: &'static str, client: Dialect, upstream: Wire) -> Pair {
    Pair { name, client, upstream, framing: Framing::ServerSentEvents }
}

const PAIRS: [Pair; 9] = [
    pair("responses", Dialect::Responses, Wire::Responses),
    Pair { framing: Framing::Lines, ..pair("responses, WebSocket", Dialect::Responses, Wire::Responses) },
    pair("chat", Dialect::Chat, Wire::Responses),
    pair("messages", Dialect::Messages, Wire::Responses),
    pair("gemini", Dialect::Gemini, Wire::Responses),
    pair("ollama", Dialect::Ollama, Wire::Responses),
    pair("chat, chat relay", Dialect::Chat, Wire::Chat),
    pair("responses, messages relay", Dialect::Responses, Wire::Messages),
    pair("responses, gemini relay", Dialect::Responses, Wire::Gemini),
];

/// One count: a request body and the chunks of its reply.
struct Exchange {
    pair: Pair,
    stream: bool,
    body: Bytes,
    target: Target,
    chunks: Vec<Bytes>,
}

fn main() -> Result<(), Failure> {
    for pair in PAIRS {
        for (column, stream, tokens) in [("stream", true, 1), ("collected", false, 1), ("long stream", true, TOKENS)] {
            let exchange = Exchange::new(pair, stream, tokens);
            // The first request fills caches that later ones share.
            exchange.run()?;
            println!("{}|{column}", pair.name);
            counted_requests(&exchange)?;
        }
    }
    Ok(())
}

/// The function that Callgrind counts.
#[inline(never)]
fn counted_requests(exchange: &Exchange) -> Result<(), Failure> {
    for _ in 0..REQUESTS {
        exchange.run()?;
    }
    Ok(())
}

impl Exchange {
    fn new(pair: Pair, stream: bool, tokens: u32) -> Self {
        let target = if pair.upstream == Wire::Responses {
            Target::Codex(CodexTarget { model: "gpt-5.5".into(), cache_key: "bench".into(), ..CodexTarget::default() })
        } else {
            Target::Relay(RelayTarget { model: "model".into(), ..RelayTarget::default() })
        };
        let chunks = replies::chunks(pair.upstream, pair.framing, tokens);
        Self { pair, stream, body: body(pair.client, stream), target, chunks }
    }

    /// Translates one request and its reply.
    fn run(&self) -> Result<(), Failure> {
        let (request, _) = self.pair.client.read_request(self.body.clone())?;
        black_box(self.pair.upstream.write_request(&request, &self.target)?);
        let mut reply = request.reply;
        reply.stream = self.stream;
        let (id, model) = ("reply".to_owned(), "gpt-5.5".to_owned());
        let setting =
            ReplySetting { id, model, created: 1, reply, framing: self.pair.framing, ..ReplySetting::default() };
        if self.stream {
            self.stream(setting);
        } else {
            self.collect(&setting);
        }
        Ok(())
    }

    fn reader(&self) -> Reader {
        let mut reader = Reader::new(self.pair.upstream).for_framing(self.pair.framing);
        if self.pair.framing == Framing::Lines {
            reader.read_messages();
        }
        reader
    }

    /// Reads a chunk as the gateway does; a message of a WebSocket is checked first.
    fn read(&self, reader: &mut Reader, chunk: &Bytes, events: &mut Vec<Event>) {
        let message = || socket::event(chunk).map(|(event, _)| event);
        let chunk = if self.pair.framing == Framing::Lines { message() } else { Some(chunk.clone()) };
        reader.push(chunk.unwrap_or_default(), events);
    }

    fn stream(&self, setting: ReplySetting) {
        let (mut reader, mut writer) = (self.reader(), Writer::new(self.pair.client, setting));
        let (mut events, mut out) = (Vec::new(), BytesMut::new());
        for chunk in &self.chunks {
            self.read(&mut reader, chunk, &mut events);
            for event in events.drain(..) {
                writer.push(&event, &mut out);
            }
            black_box(out.split());
        }
        reader.end(&mut events);
        for event in &events {
            writer.push(event, &mut out);
        }
        writer.end(&mut out);
        black_box(out);
    }

    fn collect(&self, setting: &ReplySetting) {
        let (mut reader, mut fold) = (self.reader(), Fold::for_client(self.pair.client));
        let mut events = Vec::new();
        for chunk in &self.chunks {
            self.read(&mut reader, chunk, &mut events);
            for event in events.drain(..) {
                fold.push(&event);
            }
        }
        reader.end(&mut events);
        for event in &events {
            fold.push(event);
        }
        black_box(self.pair.client.whole(&fold.finish(), setting));
    }
}

/// A request of about a kilobyte.
fn body(client: Dialect, stream: bool) -> Bytes {
    let prompt = "a prompt of about a kilobyte; ".repeat(33);
    let history = match client {
        Dialect::Responses => format!(
            r#""input":[{{"type":"message","role":"user","content":[{{"type":"input_text","text":"{prompt}"}}]}}]"#
        ),
        Dialect::Gemini => format!(r#""contents":[{{"role":"user","parts":[{{"text":"{prompt}"}}]}}]"#),
        Dialect::Messages => format!(r#""max_tokens":64000,"messages":[{{"role":"user","content":"{prompt}"}}]"#),
        Dialect::Chat | Dialect::Ollama => format!(r#""messages":[{{"role":"user","content":"{prompt}"}}]"#),
    };
    let head =
        if client == Dialect::Gemini { String::new() } else { format!(r#""model":"gpt-5.5","stream":{stream},"#) };
    Bytes::from(format!("{{{head}{history}}}"))
}
