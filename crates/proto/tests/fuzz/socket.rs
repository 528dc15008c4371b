//! The messages of a WebSocket: an accepted message is one line with one object, and a reply in messages says the same as in server-sent
//! events.

use bytes::{Bytes, BytesMut};
use proto::canon::{Event, What};
use proto::dialect::responses::socket;
use proto::framing::Framing;
use proto::{Dialect, Reader, Wire};

use super::stream::{read, settings, write};

/// Checks a reply with one message per line; a `data:` in front of a message is left out, so that streams are seeds too.
pub fn check(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n').map(|line| line.strip_prefix(b"data: ").unwrap_or(line));
    // The messages of a WebSocket are UTF-8.
    let messages = lines.filter(|line| std::str::from_utf8(line).is_ok()).map(Bytes::copy_from_slice);
    let events: Vec<Bytes> = messages.filter_map(|message| socket::event(&message)).map(|(event, _)| event).collect();
    for event in &events {
        assert!(event.starts_with(b"{") && !event.iter().any(|byte| matches!(byte, b'\n' | b'\r')), "one line");
        assert_eq!(socket::event(event).map(|(again, _)| again).as_ref(), Some(event), "an event is an event");
    }
    let mut frames = BytesMut::new();
    for event in &events {
        frames.extend_from_slice(&[b"data: ", &event[..], b"\n\n"].concat());
    }
    let (received, framed) = (messages_read(&events), read(Dialect::Responses, &[frames.freeze()]));
    let whats = |events: &[Event]| -> Vec<What> { events.iter().map(|event| event.what.clone()).collect() };
    assert_eq!(whats(&received), whats(&framed), "messages and frames say the same");
    for setting in settings() {
        for client in [Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama] {
            assert_eq!(write(client, &setting, &received), write(client, &setting, &framed), "{client:?}");
        }
        let lines = proto::dialect::ReplySetting { framing: Framing::Lines, ..setting };
        assert_eq!(write(Dialect::Responses, &lines, &received), write(Dialect::Responses, &lines, &framed), "lines");
    }
}

fn messages_read(messages: &[Bytes]) -> Vec<Event> {
    let (mut reader, mut events) = (Reader::new(Wire::Responses), Vec::new());
    reader.read_messages();
    for message in messages {
        reader.push(message.clone(), &mut events);
    }
    reader.end(&mut events);
    events
}
