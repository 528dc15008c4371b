//! A call that is handed on to an account's backend.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};
use pool::Tokens;
use pool::attempt::Outcome;
use pool::relay::Service;
use tokio::time::timeout;
use upstream::oauth::RefreshReason;
use upstream::{Answer, Errand, Fault};
use uuid::Uuid;

use super::Run;
use crate::accounts::Entry;
use crate::core::Core;
use crate::head;
use crate::refresh::{NotRefreshed, Wish};
use crate::run::post::{Miss, refused};

/// Headers of the backend's answer that a client may see, beside those of every answer.
const PASSED: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_LENGTH];

impl Run {
    /// One call: tokens, body, and the head of an answer that serves.
    pub(super) async fn errand(&mut self, entry: &Entry, refresh: bool) -> Result<Answer, Miss> {
        let id = &entry.account.id;
        let tokens = self.tokens(entry, refresh).await?;
        self.call.0 = self.core.now();
        self.receipt.posted(id);
        self.head.account = Some(id.clone());
        let (core, service, body) = (Arc::clone(&self.core), self.service, self.load.json());
        let mut answer = Trip { core, service, body, passed: self.turn.clone() }.go(entry, &tokens).await?;
        if answer.status != 200 {
            return Err(refused(&self.core, id, answer).await);
        }
        head::served(&self.core, id, &answer.headers);
        self.core.works(id);
        answer.headers = seen(&answer.headers);
        Ok(answer)
    }

    /// Tokens that can be sent; others than the refused ones when those are to be refreshed.
    async fn tokens(&mut self, entry: &Entry, refresh: bool) -> Result<Arc<Tokens>, Miss> {
        let refused = self.core.backend_now();
        let fresh = async {
            match &self.sent {
                Some(sent) if refresh => {
                    let wish = Wish::waiting(sent, RefreshReason::UnauthorizedRecovery);
                    self.core.renew(&entry.account.id, wish).await
                }
                _ => self.core.fresh(entry, Wish::waiting).await,
            }
        };
        // The refresh goes on beside us: that we cannot wait for it says nothing about the account.
        let late = || NotRefreshed::passing("the account's tokens were not refreshed in time");
        let fresh = timeout(self.core.settings.commit, fresh).await.unwrap_or_else(|_| Err(late()));
        let tokens = fresh.map_err(Outcome::from)?;
        if refresh && tokens.refreshed < refused {
            self.history.adopt();
        }
        self.sent = Some(Arc::clone(&tokens));
        Ok(tokens)
    }
}

/// What is sent, whoever's it is.
struct Trip {
    core: Arc<Core>,
    service: Service,
    body: Bytes,
    passed: Vec<(&'static str, String)>,
}

impl Trip {
    async fn go(self, entry: &Entry, tokens: &Tokens) -> Result<Answer, Fault> {
        let (account, access) = (&entry.account, &tokens.access);
        let turn = Uuid::now_v7().to_string();
        let mut outing = self.core.outing(&account.id);
        loop {
            let (service, body) = (self.service, self.body.clone());
            let errand = Errand { account, access, service, body, turn: &turn, passed: &self.passed };
            match outing.next()?.errand(errand).await {
                Err(fault) if outing.another(fault.sent) => tracing::debug!(why = %fault, "another way is tried"),
                sent => return sent,
            }
        }
    }
}

/// The headers that a client may see.
fn seen(headers: &HeaderMap) -> HeaderMap {
    let mut seen = head::passed(headers, false);
    let own = headers.iter().filter(|(name, _)| PASSED.contains(name));
    seen.extend(own.map(|(name, value)| (name.clone(), value.clone())));
    seen
}
