//! Which versions of the official clients are the published ones. They are asked for beside everything else; the last good ones are
//! stored, so that a feed that is gone takes nothing back.

use std::sync::Arc;
use std::time::Duration;

use pool::release::{Feed, Release};
use upstream::Profile;
use url::Url;

use crate::request::services::Services;
use crate::settings::Feeds;

/// The stored settings of the versions known last.
const CODEX: &str = "release.codex";
const APP: &str = "release.app";
/// The share of a pause by which it is shorter or longer: not everybody asks in the same minute.
const SPREAD: f64 = 0.1;

/// Whose version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Codex,
    App,
}

impl Product {
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
pub(crate) async fn restore(services: &Services) {
    for (whose, feed) in both(&services.runtime.settings.feeds) {
        if feed.is_none() {
            continue;
        }
        match services.runtime.store.setting(whose.setting()).await {
            Ok(Some(text)) => drop(adopt(services, whose, &text)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the stored version of the official client is not readable"),
        }
    }
}

/// Looks at the feeds until the engine stops.
pub(crate) async fn keep_current(services: Arc<Services>) {
    let Feeds { every, first, .. } = services.runtime.settings.feeds;
    if every.is_zero() || both(&services.runtime.settings.feeds).iter().all(|(_, feed)| feed.is_none()) {
        return;
    }
    let mut pause = jittered(first);
    loop {
        tokio::select! {
            () = services.runtime.stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        for (whose, feed) in both(&services.runtime.settings.feeds) {
            if let Some(url) = feed
                && whose.known(&services.runtime.upstream.profile()).is_some()
            {
                look_at(&services, whose, url).await;
            }
        }
        pause = jittered(every);
    }
}

fn both(feeds: &Feeds) -> [(Product, Option<&Url>); 2] {
    [(Product::Codex, feeds.codex.as_ref()), (Product::App, feeds.app.as_ref())]
}

async fn look_at(services: &Arc<Services>, whose: Product, url: &Url) {
    // The look ends with the engine; what it has learned is stored in any case.
    let text = tokio::select! {
        () = services.runtime.stop.cancelled() => None,
        text = published(services, whose, url) => text,
    };
    let Some(text) = text else { return };
    match adopt(services, whose, &text) {
        Ok(false) => {}
        Ok(true) => {
            if let Err(error) = services.runtime.store.set_setting(whose.setting(), &text).await {
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
async fn published(services: &Arc<Services>, whose: Product, url: &Url) -> Option<String> {
    let way = match services.dispatch.egress_attempts_by(None).next() {
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
fn adopt(services: &Services, whose: Product, text: &str) -> Result<bool, pool::release::Refused> {
    let profile = services.runtime.upstream.profile();
    let Some(known) = whose.known(&profile) else { return Ok(false) };
    let built = whose.known(&services.runtime.upstream.config().profile).unwrap_or(known);
    let next = known.next(built, text)?;
    if next == known {
        return Ok(false);
    }
    if let Err(error) = services.runtime.upstream.set_profile(whose.renewed(&profile, next)) {
        tracing::warn!(%error, "a published version cannot be named");
        return Ok(false);
    }
    tracing::info!(of = ?whose, from = %known, to = %next, "the official client has another version");
    if whose == Product::Codex {
        let list = services.registry.accounts.list();
        for entry in list.iter().filter(|entry| entry.relay.is_none()) {
            services.dispatch.model_queue.request(&entry.account.id);
        }
    }
    Ok(true)
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * rand::random::<f64>())
}
