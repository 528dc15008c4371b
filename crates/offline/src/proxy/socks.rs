//! The SOCKS 5 proxy (RFC 1928), with user name and password (RFC 1929).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Client, Inner, PAGE, ProxyFault, carry};

const VERSION: u8 = 5;
const NO_CREDENTIALS: u8 = 0;
const PASSWORD: u8 = 2;
const NOTHING_FITS: u8 = 0xff;

pub(super) async fn serve(mut client: impl Client, inner: &Inner, mood: ProxyFault) -> io::Result<()> {
    if !greet(&mut client, inner, mood).await? {
        return client.shutdown().await;
    }
    let target = target(&mut client).await?;
    if mood == ProxyFault::Page {
        answer(&mut client, 0).await?;
        client.write_all(PAGE).await?;
        return client.shutdown().await;
    }
    let server = match inner.dial(&target).await {
        Ok(server) if mood != ProxyFault::Lost => server,
        // Host unreachable.
        _ => return answer(&mut client, 4).await,
    };
    answer(&mut client, 0).await?;
    carry(client, server, mood).await
}

/// Negotiates and checks the client's credentials; `false` when the client is refused.
async fn greet(client: &mut impl Client, inner: &Inner, mood: ProxyFault) -> io::Result<bool> {
    if client.read_u8().await? != VERSION {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut methods = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut methods).await?;
    let wanted =
        if inner.options.credentials.is_some() || mood == ProxyFault::Refuses { PASSWORD } else { NO_CREDENTIALS };
    if !methods.contains(&wanted) {
        client.write_all(&[VERSION, NOTHING_FITS]).await?;
        return Ok(false);
    }
    client.write_all(&[VERSION, wanted]).await?;
    if wanted == NO_CREDENTIALS {
        return Ok(true);
    }
    client.read_u8().await?;
    let given = (text(client).await?, text(client).await?);
    let good = mood != ProxyFault::Refuses && inner.options.credentials.as_ref() == Some(&given);
    client.write_all(&[1, u8::from(!good)]).await?;
    Ok(good)
}

/// The requested target: `host:port`.
async fn target(client: &mut impl Client) -> io::Result<String> {
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head[3] {
        1 => Ipv4Addr::from(client.read_u32().await?).to_string(),
        3 => text(client).await?,
        4 => format!("[{}]", Ipv6Addr::from(client.read_u128().await?)),
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    Ok(format!("{host}:{}", client.read_u16().await?))
}

async fn text(client: &mut impl Client) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(client.read_u8().await?)];
    client.read_exact(&mut bytes).await?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

async fn answer(client: &mut impl Client, code: u8) -> io::Result<()> {
    client.write_all(&[VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]).await
}
