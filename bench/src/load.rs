//! The load: many connections that send requests one after another and count every token of every answer.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::form::Form;
use crate::line::Connection;
use crate::plan::{micros_now, text};

/// The target and the parameters of a load.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) port: u16,
    pub(crate) key: String,
    pub(crate) form: Form,
    /// Whether the proxy forwards the backend's stream unchanged.
    pub(crate) through: bool,
    /// The number of tokens that each answer must have.
    pub(crate) tokens: u32,
    pub(crate) connections: u32,
    pub(crate) time: Duration,
    /// The delay between the starts of two connections.
    pub(crate) stagger: Duration,
    /// The pause of each connection before a read; zero reads at once.
    pub(crate) rest: Duration,
}

/// The results of a round.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadResult {
    pub(crate) requests: u64,
    pub(crate) tokens: u64,
    /// The times from request to first token, microseconds.
    pub(crate) first: Vec<u64>,
    /// The times from sending to arrival of stamped tokens, microseconds.
    pub(crate) delays: Vec<u64>,
}

impl Load {
    /// Sends requests until the time is over and every started answer has ended.
    pub(crate) async fn run(&self) -> Result<LoadResult> {
        let end = Instant::now() + self.time;
        let mut clients = JoinSet::new();
        for n in 0..self.connections {
            let load = self.clone();
            clients.spawn(async move { load.client(n, end).await });
        }
        let mut all = LoadResult::default();
        while let Some(taken) = clients.join_next().await {
            let taken = taken??;
            all.requests += taken.requests;
            all.tokens += taken.tokens;
            all.first.extend(taken.first);
            all.delays.extend(taken.delays);
        }
        Ok(all)
    }

    /// Sends one request.
    pub(crate) async fn one(&self) -> Result<LoadResult> {
        let mut taken = LoadResult::default();
        self.once(&mut Connection::connect(self.port, self.rest).await?, &self.request(0), &mut taken).await?;
        Ok(taken)
    }

    async fn client(&self, n: u32, end: Instant) -> Result<LoadResult> {
        tokio::time::sleep(self.stagger * n).await;
        let (mut line, request) = (Connection::connect(self.port, self.rest).await?, self.request(n));
        let mut taken = LoadResult::default();
        while Instant::now() < end {
            self.once(&mut line, &request, &mut taken).await?;
        }
        Ok(taken)
    }

    async fn once(&self, line: &mut Connection, request: &[u8], taken: &mut LoadResult) -> Result<()> {
        let began = Instant::now();
        let mut count = Count::new(self.form);
        let mut take = |data: &[u8]| {
            let before = count.next;
            count.push(data)?;
            if before == 0 && count.next > 0 {
                taken.first.push(micros(began.elapsed()));
            }
            Ok(())
        };
        line.ask(request, &mut take).await.with_context(|| format!("port {}", self.port))?;
        taken.delays.append(&mut count.delays);
        count.finish(self.tokens)?;
        taken.requests += 1;
        taken.tokens += u64::from(self.tokens);
        Ok(())
    }

    /// The request of the `n`-th connection; each connection is one conversation.
    fn request(&self, n: u32) -> Vec<u8> {
        let (path, body) = self.form.request(self.through);
        let (port, key, length) = (self.port, &self.key, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nSession-Id: bench-{n}\r\nContent-Length: {length}\r\n\r\n"
        );
        [head, body].concat().into_bytes()
    }
}

/// One connection with its driver running.
pub(crate) async fn connect(port: u16) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("port {port}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Checks that the tokens are 0, 1, 2, ... without a gap or a duplicate, for any chunking.
struct Count {
    marks: [Finder<'static>; 3],
    responses: Finder<'static>,
    collected: bool,
    rest: Vec<u8>,
    next: u32,
    delays: Vec<u64>,
}

impl Count {
    fn new(form: Form) -> Self {
        Self {
            marks: [&br#""delta":""#[..], br#""content":""#, br#""text":""#].map(Finder::new),
            responses: Finder::new(br#""type":"response."#),
            collected: !form.stream,
            rest: Vec::new(),
            next: 0,
            delays: Vec::new(),
        }
    }

    fn push(&mut self, data: &[u8]) -> Result<()> {
        if self.collected {
            self.rest.extend_from_slice(data);
            return Ok(());
        }
        // Only complete lines are parsed; the tail of a line waits for its end.
        let Some(end) = memchr::memrchr(b'\n', data) else {
            self.rest.extend_from_slice(data);
            return Ok(());
        };
        if self.rest.is_empty() {
            return self.lines(&data[..end]).map(|()| self.rest.extend_from_slice(&data[end + 1..]));
        }
        let mut whole = std::mem::take(&mut self.rest);
        whole.extend_from_slice(&data[..end]);
        self.lines(&whole)?;
        self.rest.extend_from_slice(&data[end + 1..]);
        Ok(())
    }

    fn lines(&mut self, data: &[u8]) -> Result<()> {
        for line in data.split(|&byte| byte == b'\n') {
            // The Responses events that repeat the text have their type as the first member.
            let marks = if self.responses.find(line).is_some() { &self.marks[..1] } else { &self.marks[..] };
            let found = marks.iter().find_map(|mark| mark.find(line).map(|at| at + mark.needle().len()));
            let Some((number, rest)) = found.and_then(|at| number(&line[at..])) else { continue };
            ensure!(number == u64::from(self.next), "token {number} came where {} was due", self.next);
            self.next += 1;
            if let Some((sent, _)) = rest.strip_prefix(b"@").and_then(self::number) {
                self.delays.push(micros_now().saturating_sub(sent));
            }
        }
        Ok(())
    }

    fn finish(mut self, tokens: u32) -> Result<()> {
        if self.collected {
            ensure!(
                memchr::memmem::find(&self.rest, text(tokens).as_bytes()).is_some(),
                "the collected text is not whole"
            );
            return Ok(());
        }
        let rest = std::mem::take(&mut self.rest);
        self.lines(&rest)?;
        if self.next != tokens {
            bail!("{} of {tokens} tokens came", self.next);
        }
        Ok(())
    }
}

/// The number at the start of `text`, and the rest.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let value = text[..digits].iter().fold(0_u64, |value, digit| value.wrapping_mul(10) + u64::from(digit - b'0'));
    (digits > 0).then_some((value, &text[digits..]))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
