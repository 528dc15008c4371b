//! Detects a relay's format by requesting its model list in each format.
//!
//! Every request goes to the given address and no other host, so the key reaches only its owner. Lists cost nothing and change
//! nothing.

use pool::Secret;
use pool::relay::models::{Page, Shape};
use pool::relay::{self, PastedAddress, Wire};

use super::list::{ListOutcome, ListSource, PageOutcome};
use super::{RelayClient, unreadable};
use crate::Fault;

/// Most bytes of an answer that are read.
const BYTES: usize = 4 << 20;

/// A relay's format, as probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// The relay's protocol.
    pub wire: Wire,
    /// Its base URL for that protocol.
    pub base_url: String,
    /// How many models the first page of its list has.
    pub models: usize,
}

/// Why the protocol is not known. Holds no URL, key or text of the relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No answer at all: the fault of the first request.
    #[error("{0}")]
    Unreachable(Fault),
    /// 401 or 403 to every request that the relay understood.
    #[error("the relay refuses the key (status {0}); hint: check the key, and whether it belongs to this address")]
    Refused(u16),
    /// Nothing that looks like a model list.
    #[error(
        "the relay answers, but with no model list (status {0}); hint: name its format (chat, responses, messages, gemini)"
    )]
    Unknown(u16),
}

/// The answer to one request.
enum ProbeAnswer {
    Detected(Probed),
    NotDetected(u16),
}

impl RelayClient {
    /// Probes a relay's format: the one that its address suggests first, then OpenAI's, Anthropic's, Gemini's and Ollama's. Chat and
    /// Responses have the same list; Chat is assumed, because more services have it. Errors: [`ProbeError`].
    pub async fn probe(&self, pasted: &PastedAddress, key: &Secret, allow_private: bool) -> Result<Probed, ProbeError> {
        let detected = pasted.detect();
        let rest = [Wire::Chat, Wire::Messages, Wire::Gemini].into_iter().filter(|wire| Some(*wire) != detected);
        let (mut refused, mut other, mut fault) = (None, None, None);
        for wire in detected.into_iter().chain(rest) {
            let base = pasted.base(wire);
            let source = ListSource { base_url: &base, wire, key, private: allow_private };
            match self.probe_format(&source).await {
                Ok(ProbeAnswer::Detected(probed)) => return Ok(probed),
                Ok(ProbeAnswer::NotDetected(status @ (401 | 403))) => refused = refused.or(Some(status)),
                Ok(ProbeAnswer::NotDetected(status)) => other = other.or(Some(status)),
                Err(error) => fault = fault.or(Some(error)),
            }
            // If nothing answers, more requests only take more time.
            if let (Some(fault), None, None) = (&fault, refused, other) {
                return Err(ProbeError::Unreachable(fault.clone()));
            }
        }
        if let Ok(ProbeAnswer::Detected(probed)) = self.probe_ollama(pasted, key, allow_private).await {
            return Ok(probed);
        }
        match (refused, other, fault) {
            (Some(status), _, _) => Err(ProbeError::Refused(status)),
            (None, Some(status), _) => Err(ProbeError::Unknown(status)),
            (None, None, Some(fault)) => Err(ProbeError::Unreachable(fault)),
            (None, None, None) => Err(ProbeError::Unknown(0)),
        }
    }

    /// Requests the list in one format.
    async fn probe_format(&self, source: &ListSource<'_>) -> Result<ProbeAnswer, Fault> {
        let url = relay::models_url(source.base_url, source.wire, None).map_err(|error| unreadable(&error))?;
        self.probe_list(source, url).await
    }

    /// Requests Ollama's list; an Ollama serves Chat below `/v1`.
    async fn probe_ollama(
        &self,
        pasted: &PastedAddress,
        key: &Secret,
        allow_private: bool,
    ) -> Result<ProbeAnswer, Fault> {
        let base = pasted.base(Wire::Chat);
        let source = ListSource { base_url: &base, wire: Wire::Chat, key, private: allow_private };
        let url = relay::tags_url(&base).map_err(|error| unreadable(&error))?;
        self.probe_list(&source, url).await
    }

    async fn probe_list(&self, source: &ListSource<'_>, url: url::Url) -> Result<ProbeAnswer, Fault> {
        let page = Fault::within(self.config.timeouts.small, self.page(source, url, BYTES)).await?.0;
        Ok(match page {
            PageOutcome::Page(page) => ProbeAnswer::Detected(probed(source, &page)),
            PageOutcome::Failed(ListOutcome::Refused(status)) => ProbeAnswer::NotDetected(status),
            PageOutcome::Failed(_) => ProbeAnswer::NotDetected(200),
        })
    }
}

/// A list may have the shape of another format than the requested one: the shape counts.
fn probed(source: &ListSource<'_>, page: &Page) -> Probed {
    let wire = match (page.shape, source.wire) {
        (Shape::Anthropic, _) => Wire::Messages,
        (Shape::Gemini, _) => Wire::Gemini,
        (Shape::Ollama, _) => Wire::Chat,
        (Shape::OpenAi, wire) => wire,
    };
    Probed { wire, base_url: source.base_url.to_owned(), models: page.models.len() }
}
