//! OpenAI Chat Completions.

use crate::edge::run::run;
use crate::reply::Answer;
use crate::route::Ask;

/// `POST /v1/chat/completions`
pub(crate) async fn create(ask: Ask) -> Answer {
    run(ask, None).await
}
