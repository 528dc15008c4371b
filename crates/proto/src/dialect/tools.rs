//! Checks of tools, the same for every protocol.

use crate::json::node::{Node, ReadResult};
use crate::text::Text;

/// Most tools in one request.
pub(super) const MOST: usize = 1024;

/// Longest name, in characters.
const NAME: usize = 128;

/// A tool's name; any characters except control characters, as namespaced and MCP names have dots and slashes.
pub(super) fn name(node: Node<'_>) -> ReadResult<Text> {
    let text = node.filled()?;
    let plain = text.plain();
    if plain.chars().count() > NAME {
        return Err(node.bad(&format!("a name has at most {NAME} characters.")));
    }
    if plain.chars().any(char::is_control) {
        return Err(node.bad("a name has no control characters."));
    }
    drop(plain);
    Ok(text)
}
