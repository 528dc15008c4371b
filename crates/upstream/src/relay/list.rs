//! The models that a relay lists.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use pool::Secret;
use pool::catalog::{ListError, Model};
use pool::relay::models::{self, Page};
use pool::relay::{self, Relay, Wire};
use url::Url;

use super::{Relays, Target, unreadable};
use crate::Fault;

/// Most bytes of a whole list; OpenRouter's is some 600 kB.
const BYTES: usize = 8 << 20;
/// Most pages of a list.
const PAGES: usize = 32;

/// What asking for a list came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The models, at most [`models::MOST`], in the relay's order.
    Models(Vec<Model>),
    /// Any status but 2xx; 401 and 403 say that the key is refused.
    Refused(u16),
    /// An answer that is no list.
    Unreadable(ListError),
}

/// Whose list.
pub(super) struct Source<'a> {
    pub(super) base_url: &'a str,
    pub(super) wire: Wire,
    pub(super) key: &'a Secret,
    pub(super) private: bool,
}

/// One page, or why there is none.
pub(super) enum Asked {
    Page(Page),
    Not(Listed),
}

impl Relays {
    /// The relay's live list: all its pages, at most 8 MiB, within the limit for small calls. An Ollama that has no OpenAI list is
    /// asked in its own way.
    ///
    /// # Errors
    /// The [`Fault`] of the way.
    pub async fn models(&self, relay: &Relay, key: &Secret) -> Result<Listed, Fault> {
        let source = Source { base_url: &relay.base_url, wire: relay.wire, key, private: relay.allow_private };
        let limit = self.config.timeouts.small;
        let list = async {
            let listed = self.list(&source).await?;
            let silent = matches!(listed, Listed::Refused(404 | 405 | 501)) && relay.wire == Wire::Chat;
            if !silent {
                return Ok(listed);
            }
            let url = relay::tags_url(source.base_url).map_err(|error| unreadable(&error))?;
            Ok(match self.page(&source, url, BYTES).await?.0 {
                Asked::Page(page) => Listed::Models(page.models),
                Asked::Not(_) => listed,
            })
        };
        tokio::time::timeout(limit, list).await.unwrap_or_else(|_| Err(Fault::late(limit)))
    }

    async fn list(&self, source: &Source<'_>) -> Result<Listed, Fault> {
        let (mut all, mut next, mut room) = (Vec::<Model>::new(), None, BYTES);
        for _ in 0..PAGES {
            let url = relay::models_url(source.base_url, source.wire, next.as_ref());
            let (asked, size) = self.page(source, url.map_err(|error| unreadable(&error))?, room).await?;
            let page = match asked {
                Asked::Page(page) => page,
                Asked::Not(listed) => return Ok(listed),
            };
            room -= size;
            all.extend(page.models);
            if all.len() >= models::MOST || page.next.is_none() || page.next == next {
                break;
            }
            next = page.next;
        }
        let mut seen = std::collections::HashSet::new();
        all.retain(|model| seen.insert(model.slug.clone()));
        all.truncate(models::MOST);
        Ok(Listed::Models(all))
    }

    /// One page of at most `room` bytes, and its size.
    pub(super) async fn page(&self, source: &Source<'_>, url: Url, room: usize) -> Result<(Asked, usize), Fault> {
        let target = Target { url, wire: source.wire, key: source.key, private: source.private };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let request = self.request(Method::GET, &target, headers)?;
        let answer = self.send(&target, request, Fault::after(self.config.timeouts.headers)).await?;
        if !(200..300).contains(&answer.status) {
            return Ok((Asked::Not(Listed::Refused(answer.status)), 0));
        }
        let body: Bytes = answer.body.collect(room).await?;
        let asked = match models::read(&body) {
            Ok(page) => Asked::Page(page),
            Err(error) => Asked::Not(Listed::Unreadable(error)),
        };
        Ok((asked, body.len()))
    }
}
