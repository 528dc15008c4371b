//! The models that a relay lists.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use pool::Secret;
use pool::catalog::{ListError, Model};
use pool::relay::models::{self, Page};
use pool::relay::{self, Relay, Wire};
use url::Url;

use super::{RelayClient, Target, unreadable};
use crate::Fault;

/// Most bytes of a whole list; OpenRouter's is some 600 kB.
const BYTES: usize = 8 << 20;
/// Most pages of a list.
const PAGES: usize = 32;

/// The result of asking for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOutcome {
    /// The models, at most [`models::MOST`], in the relay's order.
    Models(Vec<Model>),
    /// Any status but 2xx; 401 and 403 mean that the key is refused.
    Refused(u16),
    /// An answer that is no list.
    Unreadable(ListError),
}

/// The relay whose list is requested.
pub(super) struct ListSource<'a> {
    pub(super) base_url: &'a str,
    pub(super) wire: Wire,
    pub(super) key: &'a Secret,
    pub(super) private: bool,
}

/// One page, or the reason for no page.
pub(super) enum PageOutcome {
    Page(Page),
    Failed(ListOutcome),
}

impl RelayClient {
    /// The relay's live list: all its pages, at most 8 MiB, within the limit for small calls. If an Ollama does not have OpenAI's list,
    /// its own list is requested. Errors: the [`Fault`] of the call.
    pub async fn models(&self, relay: &Relay, key: &Secret) -> Result<ListOutcome, Fault> {
        let source = ListSource { base_url: &relay.base_url, wire: relay.wire, key, private: relay.allow_private };
        let limit = self.config.timeouts.small;
        let list = async {
            let listed = self.list(&source).await?;
            let silent = matches!(listed, ListOutcome::Refused(404 | 405 | 501)) && relay.wire == Wire::Chat;
            if !silent {
                return Ok(listed);
            }
            let url = relay::tags_url(source.base_url).map_err(|error| unreadable(&error))?;
            Ok(match self.page(&source, url, BYTES).await?.0 {
                PageOutcome::Page(page) => ListOutcome::Models(page.models),
                PageOutcome::Failed(_) => listed,
            })
        };
        Fault::within(limit, list).await
    }

    async fn list(&self, source: &ListSource<'_>) -> Result<ListOutcome, Fault> {
        let (mut all, mut next, mut room) = (Vec::<Model>::new(), None, BYTES);
        for _ in 0..PAGES {
            let url = relay::models_url(source.base_url, source.wire, next.as_ref());
            let (outcome, size) = self.page(source, url.map_err(|error| unreadable(&error))?, room).await?;
            let page = match outcome {
                PageOutcome::Page(page) => page,
                PageOutcome::Failed(listed) => return Ok(listed),
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
        Ok(ListOutcome::Models(all))
    }

    /// One page of at most `room` bytes, and its size.
    pub(super) async fn page(
        &self,
        source: &ListSource<'_>,
        url: Url,
        room: usize,
    ) -> Result<(PageOutcome, usize), Fault> {
        let target = Target { url, wire: source.wire, key: source.key, private: source.private };
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let request = self.request(Method::GET, &target, headers)?;
        let answer = self.send(&target, request, Fault::timeout_after(self.config.timeouts.headers)).await?;
        if !(200..300).contains(&answer.status) {
            return Ok((PageOutcome::Failed(ListOutcome::Refused(answer.status)), 0));
        }
        let body: Bytes = answer.body.collect(room).await?;
        let outcome = match models::read(&body) {
            Ok(page) => PageOutcome::Page(page),
            Err(error) => PageOutcome::Failed(ListOutcome::Unreadable(error)),
        };
        Ok((outcome, body.len()))
    }
}
