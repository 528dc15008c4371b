//! Checks that a client's bytes are a legal stream of its protocol: every frame is JSON, there is exactly one end, and, where every frame
//! is our own, the order and the numbers of the frames are right.

mod chat;
mod gemini;
mod messages;
mod ollama;
mod responses;

use bytes::Bytes;
use proto::Dialect;
use proto::framing::sse::Decoder;
use proto::json;
use proto::text::Json;

pub(crate) use gemini::replies as gemini_replies;
pub(crate) use ollama::lines as ollama_lines;

/// One frame of an SSE stream.
pub(crate) enum Frame {
    /// The event name, perhaps empty, and its data.
    Data(String, Json),
    /// `[DONE]`
    Done,
    /// Data that is not JSON.
    Garbled(Bytes),
}

/// The frames of a stream, which must consist of frames and comments only.
pub(crate) fn frames(out: &[u8]) -> Vec<Frame> {
    let (mut decoder, mut frames) = (Decoder::new(usize::MAX >> 1), Vec::new());
    let read = decoder.push(Bytes::copy_from_slice(out), &mut frames);
    assert_eq!(read, Ok(()));
    assert!(decoder.end(&mut frames), "the stream ends inside a frame: {}", tail(out));
    let frame = |frame: proto::framing::sse::Frame| {
        if frame.data == "[DONE]" {
            return Frame::Done;
        }
        let name = String::from_utf8_lossy(frame.event()).into_owned();
        let data = readable(frame.data);
        if !json::valid(&data) {
            return Frame::Garbled(data);
        }
        Frame::Data(name, Json::from_valid(data))
    };
    frames.into_iter().map(frame).collect()
}

/// Checks a stream in which every frame is our own.
pub(crate) fn ours(client: Dialect, out: &[u8]) {
    check(client, out, true, &[]);
}

/// Checks a stream in which an upstream's frames pass as they came; frames that were `garbled` already may pass too.
pub(crate) fn passed(client: Dialect, out: &[u8], garbled: &[Bytes]) {
    check(client, out, false, garbled);
}

fn check(client: Dialect, out: &[u8], own: bool, garbled: &[Bytes]) {
    if client == Dialect::Gemini {
        return gemini::check(out, own);
    }
    if client == Dialect::Ollama {
        return ollama::check(out);
    }
    let frames = frames(out);
    for frame in &frames {
        if let Frame::Garbled(data) = frame {
            // The beginning of a frame that was cut and closed is the upstream's.
            let known = garbled.iter().any(|other| other.starts_with(&data[..data.len().min(16)]));
            assert!(known, "a frame is no JSON: {}", tail(data));
        }
    }
    match client {
        Dialect::Chat => chat::check(&frames, own),
        Dialect::Responses => responses::check(&frames, own),
        Dialect::Messages => messages::check(&frames, own),
        other => panic!("no rules for {other:?} yet"),
    }
}

/// The data of a stream's frames that is not JSON.
pub(crate) fn garbled(stream: &[u8]) -> Vec<Bytes> {
    let (mut decoder, mut frames) = (Decoder::new(usize::MAX >> 1), Vec::new());
    let read = decoder.push(Bytes::copy_from_slice(stream), &mut frames);
    assert_eq!(read, Ok(()));
    decoder.end(&mut frames);
    frames.into_iter().map(|frame| readable(frame.data)).filter(|data| !json::valid(data)).collect()
}

/// Bytes as the standard's decoder reads them: invalid UTF-8 becomes U+FFFD.
pub(crate) fn readable(data: Bytes) -> Bytes {
    if std::str::from_utf8(&data).is_ok() { data } else { Bytes::from(String::from_utf8_lossy(&data).into_owned()) }
}

/// The end of the bytes, for messages.
fn tail(bytes: &[u8]) -> String {
    bytes[bytes.len() - bytes.len().min(300)..].escape_ascii().to_string()
}
