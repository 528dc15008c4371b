//! The accounts, without their secrets.

use engine::AccountView;
use http::StatusCode;
use serde::Serialize;

use crate::reply::{Answer, json};
use crate::route::Ask;

#[derive(Serialize)]
struct List {
    accounts: Vec<AccountView>,
}

/// `GET /admin/accounts`
pub(crate) async fn list(ask: Ask) -> Answer {
    Ok(json(StatusCode::OK, &List { accounts: ask.app.engine.accounts() }))
}
