//! Sends the steps of an answer as frames and meanwhile reads the client's messages.

use std::future::Future;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, SinkExt, StreamExt};
use serde_json::Value;
use tokio::time::{Duration, Instant};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame as Piece, FrameHeader};

use super::{Session, SocketEnd, frame};
use crate::answer::Pacing;
use crate::plan::shape::{Frames, Step, Steps};
use crate::plan::wire::Termination;
use crate::plan::{Blob, QuirkKind, Shape, Stop, StopPosition};
use crate::record::{EndKind, RequestGuard, Violation};

/// The sizes at which collected bytes are flushed, and at which a message is split into frames.
const BATCH: usize = 16 << 10;
const WHOLE: usize = 66 << 20;

/// The result of sending a turn.
#[derive(Default)]
pub(super) struct SendOutcome {
    /// The completed items.
    pub(super) items: Vec<Value>,
    /// The response id, if the response is completed.
    pub(super) completed: Option<String>,
    pub(super) bytes: usize,
}

/// Sends the frames of a turn.
pub(super) struct TurnSender<'a> {
    pub(super) visit: &'a mut RequestGuard,
    pace: Option<Pacing>,
    /// The start of an incomplete event.
    part: BytesMut,
    /// Whether the event is sent in several frames and the first one is sent.
    split: bool,
    odd: Option<QuirkKind>,
    gathered: usize,
    outcome: SendOutcome,
}

impl Session {
    /// Sends one message.
    pub(super) async fn send_message(&mut self, text: Bytes) -> Result<(), SocketEnd> {
        self.socket.send(Message::Frame(Piece::message(text, OpCode::Data(Data::Text), true))).await?;
        Ok(())
    }

    /// Sends planned bytes instead of frames, then ends the socket.
    pub(super) async fn raw(&mut self, steps: &[(u64, Blob)], visit: &mut RequestGuard) -> SocketEnd {
        visit.end(EndKind::Cut);
        self.line.fresh();
        self.line.raw(steps.iter().map(|(time, blob)| (Duration::from_millis(*time), blob.0.clone())).collect());
        let _ = self.socket.flush().await;
        SocketEnd(EndKind::Cut)
    }

    /// Performs the steps of an answer.
    pub(super) async fn send_frames(
        &mut self,
        frames: Frames,
        shape: &Shape,
        visit: &mut RequestGuard,
    ) -> Result<SendOutcome, SocketEnd> {
        let shape = self.order(shape);
        let pace = shape.pace.map(Pacing::new);
        let part = BytesMut::new();
        let mut speech =
            TurnSender { visit, pace, part, split: false, odd: None, gathered: 0, outcome: SendOutcome::default() };
        let cut = matches!(shape.stop, Some(Stop { at: StopPosition::Byte(_) | StopPosition::Wire(_), .. }));
        let done = self.perform(Steps::new(frames, shape, crate::plan::api::Api::Backend), &mut speech).await;
        match done {
            Ok(()) => {
                speech.visit.end(EndKind::Complete);
                self.line.answered();
                Ok(speech.outcome)
            }
            Err(SocketEnd(left)) => {
                let left = if cut { EndKind::Cut } else { left };
                speech.visit.end(left);
                Err(SocketEnd(left))
            }
        }
    }

    /// Gives the orders to the connection; returns the shape that remains for the steps.
    fn order(&self, shape: &Shape) -> Shape {
        self.line.fresh();
        if let Some(Stop { at: StopPosition::Byte(bytes) | StopPosition::Wire(bytes), how }) = &shape.stop {
            self.line.budget(*bytes, how.clone());
        }
        let mut shape = Shape { newline: None, bom: false, split: None, compress: Vec::new(), ..shape.clone() };
        shape.pace = shape.pace.or(self.shared.options.pace);
        if let Some(Stop { at: at @ StopPosition::Byte(_), .. }) = &mut shape.stop {
            *at = StopPosition::Wire(0);
        }
        shape
    }

    async fn perform(&mut self, steps: Steps, speech: &mut TurnSender<'_>) -> Result<(), SocketEnd> {
        for step in steps {
            match step {
                Step::Bytes(bytes) => self.send_bytes(bytes, speech).await?,
                Step::Flush => self.socket.flush().await?,
                Step::Wait(wait) => {
                    let shared = std::sync::Arc::clone(&self.shared);
                    self.listen(shared.gates.pass(&wait), speech.visit.id).await?;
                }
                Step::Pace => {
                    let due = speech.pace.as_mut().map_or_else(Instant::now, Pacing::due);
                    self.listen(tokio::time::sleep_until(due), speech.visit.id).await?;
                }
                Step::Quirk(QuirkKind::Pings(count)) => {
                    for _ in 0..count {
                        self.socket.feed(Message::Ping(Bytes::from_static(b"offline"))).await?;
                    }
                }
                Step::Quirk(odd) => speech.odd = Some(odd),
                Step::End(how) => return self.end(how).await,
            }
        }
        self.socket.flush().await?;
        Ok(())
    }

    /// Sends an event's data when the event is complete.
    async fn send_bytes(&mut self, bytes: Bytes, speech: &mut TurnSender<'_>) -> Result<(), SocketEnd> {
        let Some(message) = speech.whole(&bytes) else { return Ok(()) };
        speech.visit.sent(message.payload().len());
        speech.gathered += message.payload().len();
        let last = message.header().is_final;
        match speech.odd.take_if(|_| last) {
            Some(odd) => self.odd(message, odd).await?,
            None => self.socket.feed(Message::Frame(message)).await?,
        }
        if speech.gathered >= BATCH {
            speech.gathered = 0;
            self.socket.flush().await?;
            self.listen(std::future::ready(()), speech.visit.id).await?;
        }
        Ok(())
    }

    async fn odd(&mut self, message: Piece, odd: QuirkKind) -> Result<(), SocketEnd> {
        let data = message.into_payload();
        let frames = match odd {
            QuirkKind::Fragments(size) => fragments(&data, size.max(1)),
            QuirkKind::Binary => vec![Piece::message(data, OpCode::Data(Data::Binary), true)],
            QuirkKind::Masked => {
                let opcode = OpCode::Data(Data::Text);
                let header = FrameHeader { opcode, mask: Some([1, 2, 3, 4]), ..FrameHeader::default() };
                vec![Piece::from_payload(header, data)]
            }
            QuirkKind::Pings(_) => Vec::new(),
        };
        for frame in frames {
            self.socket.feed(Message::Frame(frame)).await?;
        }
        Ok(())
    }

    /// Waits and meanwhile reads the client's messages. A new turn from the client is a protocol violation and is queued.
    pub(super) async fn listen(&mut self, wait: impl Future<Output = ()>, running: u64) -> Result<(), SocketEnd> {
        self.socket.flush().await?;
        let wait = wait.fuse();
        tokio::pin!(wait);
        loop {
            let pings = self.shared.options.socket_pings;
            let message = tokio::select! {
                biased;
                message = self.socket.next() => message,
                () = &mut wait => return Ok(()),
                () = tokio::time::sleep(pings.unwrap_or_default()), if pings.is_some() => {
                    self.socket.send(Message::Ping(Bytes::from_static(b"offline"))).await?;
                    continue;
                }
                () = tokio::time::sleep_until(self.until) => return Err(self.expire().await),
            };
            if matches!(&message, Some(Ok(Message::Pong(_)))) {
                self.shared.recorder.edit(running, |seen| seen.pongs += 1);
            }
            if let Some(text) = self.read_message(message).await? {
                self.shared.recorder.record_offence(Violation::Overlap { request: running });
                self.queued.push_back(text);
            }
        }
    }

    /// Ends the turn as planned; an end without a close leaves the connection open.
    async fn end(&mut self, how: Termination) -> Result<(), SocketEnd> {
        self.socket.flush().await?;
        match how {
            Termination::Failed { .. } | Termination::Incomplete { .. } => Ok(()),
            Termination::End => Err(self.close(CloseCode::Normal).await),
            Termination::Close { code } if code != 1006 => Err(self.close(CloseCode::from(code)).await),
            Termination::Reset | Termination::Fin | Termination::Close { .. } => {
                self.line.end_connection(how);
                // The connection ends with the next flush, and no frame can be sent after it.
                let _ = self.socket.flush().await;
                Err(SocketEnd(EndKind::Cut))
            }
        }
    }
}

impl TurnSender<'_> {
    /// Collects an event's bytes; returns the frame that is ready, if any.
    fn whole(&mut self, bytes: &Bytes) -> Option<Piece> {
        if self.part.is_empty() && !self.split && bytes.ends_with(b"\n\n") {
            return self.message(bytes);
        }
        self.part.extend_from_slice(bytes);
        let ended = self.part.ends_with(b"\n\n");
        if !ended && self.part.len() < WHOLE && !self.split {
            return None;
        }
        let part = self.part.split().freeze();
        match (self.split, ended) {
            (false, true) => self.message(&part),
            (later, _) => {
                let opcode = OpCode::Data(if later { Data::Continue } else { Data::Text });
                let text = if later { Some(part.slice(..part.trim_ascii_end().len())) } else { frame::data(&part) };
                self.split = !ended;
                Some(Piece::message(text.unwrap_or_default(), opcode, ended))
            }
        }
    }

    /// A complete event as a message; records items and the completed response.
    fn message(&mut self, event: &Bytes) -> Option<Piece> {
        let data = frame::data(event)?;
        if event.starts_with(b"event: response.output_item.done") {
            let item = serde_json::from_slice(&data).ok().map(|event: Value| event["item"].clone());
            self.outcome.items.extend(item);
            self.outcome.bytes += data.len();
        }
        if event.starts_with(b"event: response.completed") {
            let event: Value = serde_json::from_slice(&data).unwrap_or_default();
            self.outcome.completed = event["response"]["id"].as_str().map(str::to_owned);
        }
        Some(Piece::message(data, OpCode::Data(Data::Text), true))
    }
}

/// A message in frames of `size` bytes.
fn fragments(data: &Bytes, size: usize) -> Vec<Piece> {
    let starts: Vec<usize> = (0..data.len().max(1)).step_by(size).collect();
    let piece = |(at, start): (usize, &usize)| {
        let opcode = OpCode::Data(if at == 0 { Data::Text } else { Data::Continue });
        let end = (start + size).min(data.len());
        Piece::message(data.slice(*start..end), opcode, end == data.len())
    };
    starts.iter().enumerate().map(piece).collect()
}
