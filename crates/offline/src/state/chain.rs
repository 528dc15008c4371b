//! The state that a socket's turns continue: the last response and the conversation up to it.

use std::collections::HashMap;

use serde_json::Value;

/// The conversation that the backend keeps between two turns of a socket.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    /// The id of the last response.
    pub(crate) id: String,
    /// The response's input and output.
    pub(crate) items: Vec<Value>,
    pub(crate) bytes: usize,
}

/// The maximum of stored responses; above it all are dropped.
const MOST: usize = 100_000;

/// The account of each response of a socket.
#[derive(Default)]
pub(crate) struct ResponseOwners(HashMap<String, String>);

impl ResponseOwners {
    pub(crate) fn add(&mut self, response: &str, account: &str) {
        if self.0.len() >= MOST {
            self.0.clear();
        }
        self.0.insert(response.to_owned(), account.to_owned());
    }

    /// Whether a response belongs to another account.
    pub(crate) fn foreign(&self, response: &str, account: &str) -> bool {
        self.0.get(response).is_some_and(|owner| owner != account)
    }
}
