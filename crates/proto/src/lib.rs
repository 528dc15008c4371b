//! Wire protocols in, one canonical model in the middle, wire protocols out.
//!
//! Sans-IO: no async, clock, randomness, environment or files. Bytes and events go in, bytes and events come out;
//! the time and every id are arguments. One request and its reply cross this crate like this:
//!
//! ```text
//! client bytes -> Dialect::read_request -> Request (+ Notes) -> Wire::write_request -> upstream bytes
//! upstream bytes -> Reader::push -> Event -> [Trim] -> Writer::push -> client bytes     (streaming)
//!                                            [Trim] -> Fold -> Dialect::whole           (collected)
//! ```

pub mod canon;
pub mod dialect;
mod envelope;
pub mod failure;
pub mod fold;
pub mod framing;
pub mod images;
pub mod json;
pub mod notes;
pub mod protocol;
pub mod quirks;
pub mod state;
pub mod text;
pub mod tokens;
pub mod trim;
pub mod upstream_error;

pub use canon::{Event, Item, Request, What};
pub use dialect::ToolReplies;
pub use dialect::{Dialect, Reader, Wire, Writer};
pub use failure::{Failure, Kind};
pub use fold::{Fold, Whole};
pub use notes::Notes;
pub use text::{Json, Text};
