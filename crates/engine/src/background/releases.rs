//! Follows the published versions of the official clients. The last good versions are stored, so that they survive the loss of a
//! feed.

use std::sync::Arc;
use std::time::Duration;

use pool::release::{Feed, Release};
use upstream::Profile;
use url::Url;

use crate::request::services::Services;
use crate::settings::Feeds;

/// The share of a pause by which it is shorter or longer: not everybody asks in the same minute.
const SPREAD: f64 = 0.1;

/// The stored setting of the version that a feed named last.
fn setting(feed: Feed) -> &'static str {
    match feed {
        Feed::Codex => "release.codex",
        Feed::Appcast => "release.app",
    }
}

/// The version in an identity towards the backend; `None` where the identity has none.
fn version(feed: Feed, profile: &Profile) -> Option<Release> {
    match feed {
        Feed::Codex => Release::read(&profile.version),
        Feed::Appcast => Release::read(profile.app.as_deref()?),
    }
}

/// Applies the stored versions that are newer than the built-in ones.
pub(crate) async fn restore(services: &Services) {
    for (feed, url) in both(&services.runtime.settings.feeds) {
        if url.is_none() {
            continue;
        }
        match services.runtime.store.setting(setting(feed)).await {
            Ok(Some(text)) => drop(adopt(services, feed, &text)),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the stored version of the official client is not readable"),
        }
    }
}

/// Checks the feeds until the engine stops.
pub(crate) async fn keep_current(services: Arc<Services>) {
    let Feeds { every, first, .. } = services.runtime.settings.feeds;
    if every.is_zero() || both(&services.runtime.settings.feeds).iter().all(|(_, url)| url.is_none()) {
        return;
    }
    let mut pause = jittered(first);
    while services.runtime.stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
        for (feed, url) in both(&services.runtime.settings.feeds) {
            if let Some(url) = url
                && version(feed, &services.runtime.upstream.profile()).is_some()
            {
                check_feed(&services, feed, url).await;
            }
        }
        pause = jittered(every);
    }
}

fn both(feeds: &Feeds) -> [(Feed, Option<&Url>); 2] {
    [(Feed::Codex, feeds.codex.as_ref()), (Feed::Appcast, feeds.app.as_ref())]
}

async fn check_feed(services: &Arc<Services>, feed: Feed, url: &Url) {
    // The request ends with the engine; a version that was read is stored in any case.
    let text = services.runtime.stop.run_until_cancelled(published(services, feed, url)).await;
    let Some(text) = text.flatten() else { return };
    match adopt(services, feed, &text) {
        Ok(false) => {}
        Ok(true) => {
            if let Err(error) = services.runtime.store.set_setting(setting(feed), &text).await {
                tracing::warn!(%error, "the version of the official client is not stored");
            }
        }
        Err(refused) => {
            let version: String = text.chars().filter(char::is_ascii_graphic).take(32).collect();
            tracing::warn!(?feed, version, %refused, "a published version is not taken over");
        }
    }
}

/// The version that a feed names, asked by the global egress.
async fn published(services: &Arc<Services>, feed: Feed, url: &Url) -> Option<String> {
    let upstream = match services.dispatch.egress_attempts_by(None).next() {
        Ok(upstream) => upstream,
        Err(why) => {
            tracing::debug!(?feed, %why, "version feed not asked");
            return None;
        }
    };
    match upstream.feed(url).await {
        Ok(answer) if answer.status == 200 => {
            let text = feed.read(&answer.body);
            if text.is_none() {
                tracing::warn!(?feed, "the version feed names no version");
            }
            text
        }
        Ok(answer) => {
            tracing::warn!(?feed, status = answer.status, "the version feed refuses");
            None
        }
        Err(fault) => {
            tracing::warn!(?feed, %fault, "the version feed does not answer");
            None
        }
    }
}

/// Applies a version; `true` when it changed. New calls name it, and the model lists, which depend on it, are fetched again.
fn adopt(services: &Services, feed: Feed, text: &str) -> Result<bool, pool::release::Refused> {
    let profile = services.runtime.upstream.profile();
    let Some(known) = version(feed, &profile) else { return Ok(false) };
    let built = version(feed, &services.runtime.upstream.config().profile).unwrap_or(known);
    let next = known.next(built, text)?;
    if next == known {
        return Ok(false);
    }
    let text = next.to_string();
    let renewed = match feed {
        Feed::Codex => profile.with_versions(Some(&text), None),
        Feed::Appcast => profile.with_versions(None, Some(&text)),
    };
    if let Err(error) = services.runtime.upstream.set_profile(renewed) {
        tracing::warn!(%error, "a published version cannot be named");
        return Ok(false);
    }
    tracing::info!(of = ?feed, from = %known, to = %next, "the official client has another version");
    if feed == Feed::Codex {
        for entry in services.registry.accounts.list().accounts() {
            services.dispatch.model_queue.request(&entry.account.id);
        }
    }
    Ok(true)
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - SPREAD + 2.0 * SPREAD * rand::random::<f64>())
}
