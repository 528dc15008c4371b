//! Version feeds of the official clients: GitHub's document of the latest release, and the desktop app's appcast.

use serde_json::json;

use crate::answer::Answer;
use crate::state::{Shared, Versions};

/// `GET /feed/repos/openai/codex/releases/latest` and `GET /feed/appcast.xml`.
pub(crate) fn answer(shared: &Shared, path: &str) -> Answer {
    let Versions { cli, app, build } = shared.versions.lock().clone();
    if path.ends_with("/latest") {
        return Answer::json(
            200,
            &json!({ "tag_name": format!("rust-v{cli}"), "name": cli, "prerelease": false, "assets": [] }),
        );
    }
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <rss version=\"2.0\" xmlns:sparkle=\"http://www.andymatuschak.org/xml-namespaces/sparkle\"><channel>\n\
         <title>Codex</title>\n<item><title>{app}</title><sparkle:version>{build}</sparkle:version>\
         <sparkle:shortVersionString>{app}</sparkle:shortVersionString>\
         <enclosure url=\"{}/feed/app.zip\" length=\"1\" type=\"application/octet-stream\"/></item>\n</channel></rss>\n",
        shared.origin
    );
    Answer::typed(200, "application/xml", text)
}
