//! The HTTP proxy: CONNECT, and requests with an absolute URL, one per connection.

use std::io;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Client, Inner, PAGE, ProxyFault, carry};

/// The maximum length of a request head, bytes.
const HEAD: usize = 64 << 10;

pub(super) async fn serve(mut client: impl Client, inner: &Inner, mood: ProxyFault) -> io::Result<()> {
    let head = head(&mut client).await?;
    let mut line = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
    if mood == ProxyFault::Refuses || !admitted(&head, inner) {
        let refusal =
            "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
        return end(client, refusal.as_bytes()).await;
    }
    if mood == ProxyFault::Lost {
        return end(client, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    }
    if method == "CONNECT" {
        return tunnel(client, (inner, mood), target).await;
    }
    forward(client, (inner, mood), &head).await
}

async fn tunnel(mut client: impl Client, (inner, mood): (&Inner, ProxyFault), target: &str) -> io::Result<()> {
    if mood == ProxyFault::Page {
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n").await?;
        return end(client, PAGE).await;
    }
    let Ok(server) = inner.dial(target).await else {
        return end(client, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    };
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    carry(client, server, mood).await
}

/// Forwards the head without the proxy's own headers, then all other bytes unchanged. The client has only one server.
async fn forward(client: impl Client, (inner, mood): (&Inner, ProxyFault), head: &str) -> io::Result<()> {
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, "\r\n"));
    let mut parts = line.splitn(3, ' ');
    let (method, address) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Some((host, path)) =
        address.strip_prefix("http://").map(|rest| rest.split_at(rest.find('/').unwrap_or(rest.len())))
    else {
        return end(client, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    };
    let target = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let Ok(mut server) = inner.dial(&target).await else {
        return end(client, b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    };
    let ours = |line: &&str| !line.to_ascii_lowercase().starts_with("proxy-");
    let kept: Vec<&str> = headers.split("\r\n").filter(ours).collect();
    // One request per connection, so that the proxy need not parse a second request.
    let head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n{}", kept.join("\r\n"));
    server.write_all(head.as_bytes()).await?;
    carry(client, server, mood).await
}

fn admitted(head: &str, inner: &Inner) -> bool {
    let Some((user, password)) = &inner.options.credentials else { return true };
    let wanted = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .any(|(name, value)| name.eq_ignore_ascii_case("proxy-authorization") && value == wanted)
}

/// Reads the head of a request with its empty line.
async fn head(client: &mut impl Client) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(client.read_u8().await?);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

/// Writes a last answer and closes the connection.
async fn end(mut client: impl Client, words: &[u8]) -> io::Result<()> {
    client.write_all(words).await?;
    client.shutdown().await?;
    // Unread bytes would turn the close into a reset, which may overtake the answer.
    tokio::io::copy(&mut client, &mut tokio::io::sink()).await.map(|_| ())
}
