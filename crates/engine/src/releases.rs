//! Which versions of the official clients are the published ones. They are asked for beside everything else; the last good ones are
//! stored, so that a feed that is gone takes nothing back.

use std::sync::Arc;
use std::time::Duration;

use pool::release::{Feed, Release};
use upstream::Profile;
use url::Url;

use crate::core::Core;

/// The stored settings of the versions known last.
const CODEX: &str = "release.codex";
const APP: &str = "release.app";
/// The share of a pause by which it is shorter or longer: not everybody asks in the same minute.
const SPREAD: f64 = 0.1;

/// Where versions are published, and how often to look.
#[derive(Clone, Debug, Default)]
pub struct Feeds {
    /// Of the command line: GitHub's newest release, or an npm registry's document.
    pub codex: Option<Url>,
    /// Of the desktop app, an appcast.
    pub app: Option<Url>,
    /// Between two looks; zero is never.
    pub every: Duration,
    /// Before the first one.
    pub first: Duration,
}

/// Whose version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Codex,
    App,
}

impl Whose {
    fn setting(self) -> &'static str {
        match self {
            Self::Codex => CODEX,
            Self::App => APP,
        }
    }

    fn feed(self) -> Feed {
        match self {
            Self::Codex => Feed::Codex,
            Self::App => Feed::Appcast,
        }
    }

    /// The version that is named now; `None` where the identity names none.
    fn known(self, profile: &Profile) -> Option<Release> {
        match self {
            Self::Codex => Release::read(&profile.version),
            Self::App => Release::read(profile.app.as_deref()?),
        }
    }

    fn renewed(self, profile: &Profile, release: Release) -> Profile {
        let release = release.to_string();
        match self {
            Self::Codex => profile.renewed(Some(&release), None),
            Self::App => profile.renewed(None, Some(&release)),
        }
    }
}

/// Takes over the stored versions, where they are newer than those that are built in.
pub(crate) async fn restore(core: &Core) {
    for (whose, feed) in core.settings.feeds.both() {
        if feed.is_none() {
            continue;
        }
        match core.store.setting(whose.setting()).await {
            Ok(Some(text)) => drop(core.adopt(whose, &text)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the stored version of the official client is not readable"),
        }
    }
}

/// Looks at the feeds until the engine stops.
pub(crate) async fn keep_current(core: Arc<Core>) {
    let Feeds { every, first, .. } = core.settings.feeds;
    if every.is_zero() || core.settings.feeds.both().iter().all(|(_, feed)| feed.is_none()) {
        return;
    }
    let mut pause = jittered(first);
    loop {
        tokio::select! {
            () = core.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        for (whose, feed) in core.settings.feeds.both() {
            if let Some(url) = feed
                && whose.known(&core.upstream.profile()).is_some()
            {
                core.look_at(whose, url).await;
            }
        }
        pause = jittered(every);
    }
}

impl Feeds {
    fn both(&self) -> [(Whose, Option<&Url>); 2] {
        [(Whose::Codex, self.codex.as_ref()), (Whose::App, self.app.as_ref())]
    }
}

impl Core {
    async fn look_at(self: &Arc<Self>, whose: Whose, url: &Url) {
        // The look ends with the engine; what it has learned is stored in any case.
        let text = tokio::select! {
            () = self.stop.cancelled() => None,
            text = self.published(whose, url) => text,
        };
        let Some(text) = text else { return };
        match self.adopt(whose, &text) {
            Ok(false) => {}
            Ok(true) => {
                if let Err(error) = self.store.set_setting(whose.setting(), &text).await {
                    tracing::warn!(%error, "the version of the official client is not stored");
                }
            }
            Err(refused) => {
                let said: String = text.chars().filter(char::is_ascii_graphic).take(32).collect();
                tracing::warn!(feed = ?whose, said, %refused, "a published version is not taken over");
            }
        }
    }

    /// What a feed names, by the global way out.
    async fn published(self: &Arc<Self>, whose: Whose, url: &Url) -> Option<String> {
        let way = match self.outing_by(None).next() {
            Ok(way) => way,
            Err(why) => {
                tracing::debug!(feed = ?whose, %why, "version feed not asked");
                return None;
            }
        };
        match way.feed(url).await {
            Ok(answer) if answer.status == 200 => {
                let text = whose.feed().read(&answer.body);
                if text.is_none() {
                    tracing::warn!(feed = ?whose, "the version feed names no version");
                }
                text
            }
            Ok(answer) => {
                tracing::warn!(feed = ?whose, status = answer.status, "the version feed refuses");
                None
            }
            Err(fault) => {
                tracing::warn!(feed = ?whose, %fault, "the version feed does not answer");
                None
            }
        }
    }

    /// Takes a version over; whether it is another one than before. New calls name it, and lists are asked for anew: they
    /// depend on it.
    fn adopt(&self, whose: Whose, text: &str) -> Result<bool, pool::release::Refused> {
        let profile = self.upstream.profile();
        let Some(known) = whose.known(&profile) else { return Ok(false) };
        let built = whose.known(&self.upstream.config().profile).unwrap_or(known);
        let next = known.next(built, text)?;
        if next == known {
            return Ok(false);
        }
        if let Err(error) = self.upstream.rename(whose.renewed(&profile, next)) {
            tracing::warn!(%error, "a published version cannot be named");
            return Ok(false);
        }
        tracing::info!(of = ?whose, from = %known, to = %next, "the official client has another version");
        if whose == Whose::Codex {
            let list = self.accounts.list();
            for entry in list.iter().filter(|entry| entry.relay.is_none()) {
                self.wanted.want(&entry.account.id);
            }
        }
        Ok(true)
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * rand::random::<f64>())
}
