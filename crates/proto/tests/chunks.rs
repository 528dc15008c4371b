//! A chunk of the upstream is released once its events are written. A chunk that is held keeps the connection's read buffer, and each read
//! then needs a new buffer.

use bytes::{Bytes, BytesMut};
use proto::dialect::ReplySetting;
use proto::{Dialect, Fold, Reader, Wire, Writer};

/// The usual stream of each wire format: its opening, and a piece of text.
const STREAMS: [(Wire, &str, &str); 4] = [
    (
        Wire::Responses,
        concat!(
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"created_at\":1}}\n\n",
            "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,",
            "\"item\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[]}}\n\n",
        ),
        concat!(
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"m\",",
            "\"output_index\":0,\"content_index\":0,\"delta\":\"piece\"}\n\n",
        ),
    ),
    (
        Wire::Chat,
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"},\"finish_reason\":null}]}\n\n",
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"piece\"},\"finish_reason\":null}]}\n\n",
    ),
    (
        Wire::Messages,
        concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"m\",",
            "\"usage\":{\"input_tokens\":1}}}\n\n",
            "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
            "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        ),
        concat!(
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
            "\"delta\":{\"type\":\"text_delta\",\"text\":\"piece\"}}\n\n",
        ),
    ),
    (
        Wire::Gemini,
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"first\"}]}}],\"responseId\":\"g\"}\n\n",
        "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"piece\"}]}}],\"responseId\":\"g\"}\n\n",
    ),
];

const CLIENTS: [Dialect; 5] = [Dialect::Responses, Dialect::Chat, Dialect::Messages, Dialect::Gemini, Dialect::Ollama];

#[test]
fn a_chunk_is_released_once_it_is_written() {
    for (wire, opening, piece) in STREAMS {
        for client in CLIENTS {
            let (mut reader, mut fold) = (Reader::new(wire), Fold::default());
            let mut writer = Writer::new(client, ReplySetting::default());
            let (mut events, mut out) = (Vec::new(), BytesMut::new());
            // What opens a reply may stay: a writer keeps the reply's id and model.
            for (text, opens) in [(opening, true), (piece, true), (piece, false), (piece, false)] {
                let chunk = Bytes::from(text.as_bytes().to_vec());
                reader.push(chunk.clone(), &mut events);
                for event in events.drain(..) {
                    fold.push(&event);
                    writer.push(&event, &mut out);
                }
                assert!(opens || chunk.is_unique(), "{wire:?} for {client:?} holds {text}");
            }
            let sent = String::from_utf8_lossy(&out);
            assert_eq!(sent.matches("piece").count(), 3, "{wire:?} for {client:?} sent {sent}");
        }
    }
}
