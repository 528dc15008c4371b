//! The ClientHello must equal the official client's with a custom authority. The hello follows from rustls' version, provider and
//! features, and changes with any of them. rustls shuffles the order of extensions, so the set is compared.

use std::collections::BTreeSet;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use upstream::{Answer, Config, Fault, ResolvedEgress, Upstream};

use crate::recorder::{read, with_timeout};
use crate::setup::{call, capture, short};

#[derive(Debug, PartialEq, Eq)]
struct Hello {
    ciphers: Vec<u16>,
    extensions: BTreeSet<u16>,
    groups: Vec<u16>,
    shares: Vec<(u16, u16)>,
    sigalgs: Vec<u16>,
    versions: Vec<u16>,
    alpn: Vec<String>,
    sni: String,
    /// With the record header.
    length: usize,
}

/// Golden facts of the official client 0.169.0 (rustls 0.23.46, aws-lc-rs, prefer-post-quantum), measured 2026-11-21.
fn golden(sni: &str) -> Hello {
    Hello {
        ciphers: vec![0x1302, 0x1301, 0x1303, 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xc02f, 0xcca8, 0x00ff],
        extensions: [0, 5, 10, 11, 13, 16, 23, 35, 43, 45, 51].into(),
        groups: vec![4588, 29, 23, 24],
        shares: vec![(4588, 1216), (29, 32)],
        sigalgs: vec![
            0x0503, 0x0403, 0x0603, 0x0807, 0x0806, 0x0805, 0x0804, 0x0601, 0x0501, 0x0401, 0x0904, 0x0905, 0x0906,
        ],
        versions: vec![0x0304, 0x0303],
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        sni: sni.to_owned(),
        length: 1475 + sni.len(),
    }
}

#[tokio::test]
async fn the_hello_is_the_official_clients() {
    for host in ["api.example.test", "chatgpt.com"] {
        assert_eq!(record(host, false).await, golden(host));
    }
}

#[tokio::test]
async fn the_hello_equals_the_recorded_one() {
    let Some(capture) = capture("48-clienthello-rustls-custom-ca-h2.json") else { return };
    let theirs = parse(&recorded(&capture));
    assert_eq!(capture["client_hello"]["total_len"].as_u64().unwrap(), u64::try_from(theirs.length).unwrap());
    assert_eq!(record(&theirs.sni, false).await, theirs);
    assert_eq!(record(&theirs.sni, true).await, theirs, "through a proxy of the pool");
}

/// The hello of a socket: the same without ALPN, as in the official client.
#[tokio::test]
async fn the_hello_of_a_socket_is_the_official_clients() {
    let sni = "api.example.test";
    let mut expected = Hello { alpn: Vec::new(), length: 1457 + sni.len(), ..golden(sni) };
    expected.extensions.remove(&16);
    assert_eq!(record_of(sni, false, true).await, expected);
    let Some(capture) = capture("49-clienthello-rustls-websocket.json") else { return };
    let theirs = parse(&recorded(&capture));
    assert_eq!(record_of(&theirs.sni, false, true).await, theirs);
    assert_eq!(record_of(&theirs.sni, true, true).await, theirs, "through a proxy of the pool");
}

fn recorded(capture: &serde_json::Value) -> Vec<u8> {
    let hex =
        capture["client_hello_hex"].as_str().or_else(|| capture["client_hello"]["client_hello_hex"].as_str()).unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

async fn record(host: &str, pool: bool) -> Hello {
    record_of(host, pool, false).await
}

/// The gateway's hello for a host, recorded behind the CONNECT of the configured proxy, or of a proxy of the pool, so that no name is
/// looked up.
async fn record_of(host: &str, pool: bool, socket: bool) -> Hello {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config = Config {
        base_url: format!("https://{host}/backend-api").parse().unwrap(),
        proxy: (!pool).then(|| url.parse().unwrap()),
        timeouts: short(),
        ..Config::default()
    };
    let upstream = Upstream::new(config).unwrap();
    let upstream =
        if pool { upstream.with_egress(ResolvedEgress::through(crate::setup::proxy(&url))) } else { upstream };
    let proxy = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let connect = read(&mut stream, 0).await.unwrap();
        assert_eq!(connect.line, format!("CONNECT {host}:443 HTTP/1.1"));
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut record = vec![0; 5];
        stream.read_exact(&mut record).await.unwrap();
        record.resize(5 + usize::from(u16::from_be_bytes([record[3], record[4]])), 0);
        stream.read_exact(&mut record[5..]).await.unwrap();
        record
    };
    let (hello, _) = with_timeout(async { tokio::join!(proxy, ask(&upstream, socket)) }).await;
    parse(&hello)
}

async fn ask(upstream: &Upstream, socket: bool) -> Result<Answer, Fault> {
    if socket { crate::socket::call_over_socket(upstream, "{\"input\":[]}").await } else { call(upstream).await }
}

/// A cursor over the hello's length-prefixed fields.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(count);
        self.0 = tail;
        head
    }

    fn u8(&mut self) -> usize {
        usize::from(self.take(1)[0])
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    fn short(&mut self) -> Cursor<'a> {
        let length = self.u8();
        Cursor(self.take(length))
    }

    fn long(&mut self) -> Cursor<'a> {
        let length = self.u16();
        Cursor(self.take(usize::from(length)))
    }

    fn numbers(mut self) -> Vec<u16> {
        std::iter::from_fn(|| (!self.0.is_empty()).then(|| self.u16())).collect()
    }

    fn text(self) -> String {
        String::from_utf8(self.0.to_vec()).unwrap()
    }
}

/// RFC 8446 section 4.1.2, in one record.
fn parse(record: &[u8]) -> Hello {
    let mut cursor = Cursor(record);
    assert_eq!(
        (cursor.take(3), usize::from(cursor.u16())),
        (&[22, 3, 1][..], record.len() - 5),
        "one handshake record"
    );
    assert_eq!(cursor.take(1), [1], "a client hello");
    cursor.take(3 + 2 + 32);
    assert_eq!(cursor.short().0.len(), 32, "session id");
    let ciphers = cursor.long().numbers();
    assert_eq!(cursor.short().0, [0], "no compression");
    let mut hello = Hello {
        ciphers,
        extensions: BTreeSet::new(),
        groups: Vec::new(),
        shares: Vec::new(),
        sigalgs: Vec::new(),
        versions: Vec::new(),
        alpn: Vec::new(),
        sni: String::new(),
        length: record.len(),
    };
    let mut extensions = cursor.long();
    while !extensions.0.is_empty() {
        let kind = extensions.u16();
        assert!(hello.extensions.insert(kind), "extension {kind} twice");
        extension(&mut hello, kind, extensions.long());
    }
    hello
}

fn extension(hello: &mut Hello, kind: u16, mut data: Cursor<'_>) {
    match kind {
        0 => {
            let mut names = data.long();
            assert_eq!(names.u8(), 0, "a host name");
            hello.sni = names.long().text();
        }
        10 => hello.groups = data.long().numbers(),
        13 => hello.sigalgs = data.long().numbers(),
        16 => {
            let mut protocols = data.long();
            while !protocols.0.is_empty() {
                hello.alpn.push(protocols.short().text());
            }
        }
        43 => hello.versions = data.short().numbers(),
        51 => {
            let mut shares = data.long();
            while !shares.0.is_empty() {
                let group = shares.u16();
                hello.shares.push((group, u16::try_from(shares.long().0.len()).unwrap()));
            }
        }
        _ => {}
    }
}
