//! Converts the text of the winning layers to typed values; one function per section.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use pool::Secret;
use pool::guard::is_plain_loopback;
use pool::hosted::Hosted;
use pool::limits::QUEUE_WAIT;
use pool::pick::Strategy;
use pool::transport::TransportMode;
use pool::warning::Thresholds;
use tracing_subscriber::filter::{LevelFilter, Targets};
use url::Url;

use super::{
    Accounts, Alerts, ConfigError, Layers, Log, Model, Origin, Proxies, Proxy, Quota, Server, Setting, Upstream,
};
use super::{fallbacks, models};

/// Shortest and longest refresh interval.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_hours(24);
/// A hundred years, in days.
const MOST_DAYS: u64 = 36_525;
/// Smallest and largest size, bytes.
const SMALLEST: u64 = 16 << 20;
const LARGEST: u64 = 1024 << 30;

pub(super) fn server(layers: &Layers) -> Result<Server, ConfigError> {
    Ok(Server {
        hosts: hosts(layers, "server.host")?,
        port: number(layers, "server.port", "a port (0 to 65535)")?,
        api_key: layers.text("server.api_key").map(Secret::new),
        require_key: parse_bool(layers, "server.require_key")?,
        allowed_hosts: allowed_hosts(layers)?,
        allowed_origins: allowed_origins(layers)?,
        allow_plain_http: parse_bool(layers, "server.allow_plain_http")?,
        trusted_proxies: networks(layers, "server.trusted_proxies")?,
        drain_delay: delay(layers, "server.drain_delay")?,
        drain: duration(layers, "server.drain_timeout")?,
    })
}

fn networks(layers: &Layers, key: &'static str) -> Result<Vec<server::Network>, ConfigError> {
    let networks: Result<_, _> = list(layers, key).iter().map(|text| text.parse()).collect();
    networks.map_err(|_| wrong(&layers.get(key), "a list of addresses or networks such as 10.0.0.0/8"))
}

/// A length of time; `None` when the setting is empty.
fn delay(layers: &Layers, key: &'static str) -> Result<Option<Duration>, ConfigError> {
    let setting = layers.get(key);
    if setting.value.is_empty() {
        return Ok(None);
    }
    seconds(&setting.value).map(Some).ok_or_else(|| wrong(&setting, "a length of time such as 5s, or 0s"))
}

pub(super) fn upstream(layers: &Layers) -> Result<Upstream, ConfigError> {
    let sync = parse_bool(layers, "upstream.version_sync")?;
    let (version_feed, app_feed) = (feed(layers, "upstream.version_feed")?, feed(layers, "upstream.app_feed")?);
    Ok(Upstream {
        base_url: url(layers, "upstream.base_url")?.ok_or_else(|| missing(layers, "upstream.base_url"))?,
        auth_url: url(layers, "upstream.auth_url")?.ok_or_else(|| missing(layers, "upstream.auth_url"))?,
        token_url: url(layers, "upstream.token_url")?,
        transport: transport(layers)?,
        client_id: layers.text("upstream.client_id"),
        profile: one_of(
            layers,
            "upstream.profile",
            &["polygate", "codex-cli", "codex-desktop"],
            "polygate, codex-cli or codex-desktop",
        )?,
        platform: layers.text("upstream.platform"),
        arch: layers.text("upstream.arch"),
        app_version: release(layers, "upstream.app_version")?,
        version_feed: version_feed.filter(|_| sync),
        app_feed: app_feed.filter(|_| sync),
        proxy: proxy(layers)?,
        ca_bundle: layers.text("upstream.ca_bundle").map(Into::into),
        force_http11: parse_bool(layers, "upstream.force_http11")?,
        idle_timeout: duration(layers, "upstream.idle_timeout")?,
    })
}

/// Host names. A name that could never match is an error.
fn allowed_hosts(layers: &Layers) -> Result<Vec<String>, ConfigError> {
    let hosts = list(layers, "server.allowed_hosts");
    let plain = |host: &String| !host.contains(['*', '/', '@', ' ']);
    if hosts.iter().all(plain) {
        return Ok(hosts);
    }
    let wanted = "a list of host names such as gateway.example.com; `*` is not possible, because any web page could then reach \
                  the gateway under a name of its own (DNS rebinding)";
    Err(wrong(&layers.get("server.allowed_hosts"), wanted))
}

/// Origins, in the form that browsers send.
fn allowed_origins(layers: &Layers) -> Result<Vec<String>, ConfigError> {
    let origins = list(layers, "cors.allowed_origins");
    let whole = |origin: &String| {
        !origin.contains('*')
            && Url::parse(origin).is_ok_and(|url| url.has_host() && url.path() == "/" && url.query().is_none())
    };
    if origins.iter().all(whole) {
        return Ok(origins);
    }
    let wanted = "a list of origins such as https://app.example.com; `*` and `null` are not possible, because any web page could \
                  then use the gateway";
    Err(wrong(&layers.get("cors.allowed_origins"), wanted))
}

/// The address of a feed: https, or plain http on this machine.
fn feed(layers: &Layers, key: &'static str) -> Result<Option<Url>, ConfigError> {
    match url(layers, key)? {
        Some(url)
            if !url.username().is_empty()
                || url.password().is_some()
                || url.scheme() != "https" && !is_plain_loopback(&url) =>
        {
            Err(wrong(&layers.get(key), "an https URL without a password"))
        }
        url => Ok(url),
    }
}

fn release(layers: &Layers, key: &'static str) -> Result<Option<String>, ConfigError> {
    let text = layers.text(key);
    match &text {
        Some(text) if pool::release::Release::read(text).is_none() => {
            Err(wrong(&layers.get(key), "a version such as 26.908.40834"))
        }
        _ => Ok(text),
    }
}

pub(super) fn accounts(layers: &Layers) -> Result<Accounts, ConfigError> {
    Ok(Accounts {
        max_concurrent: number(layers, "accounts.max_concurrent", "a whole number")?,
        stagger: stagger(layers)?,
        rate_limit_backoff: duration(layers, "accounts.rate_limit_backoff")?,
        strategy: strategy(layers)?,
        tiers: list(layers, "accounts.tiers"),
        token: layers.text("accounts.token").map(Secret::new),
        codex_home: layers.text("accounts.codex_home").map(PathBuf::from),
    })
}

fn transport(layers: &Layers) -> Result<TransportMode, ConfigError> {
    let setting = layers.get("upstream.transport");
    TransportMode::parse(&setting.value).ok_or_else(|| wrong(&setting, "auto, websocket or http"))
}

/// The proxy and the layer that set it, which `doctor` and `proxies list` show.
fn proxy(layers: &Layers) -> Result<Option<Proxy>, ConfigError> {
    let origin = layers.get("upstream.proxy").origin.to_string();
    Ok(url(layers, "upstream.proxy")?.map(|url| Proxy { url, origin }))
}

pub(super) fn proxies(layers: &Layers) -> Result<Proxies, ConfigError> {
    let interval = layers.get("proxies.check_interval");
    let wanted = "a length of time such as 5m, or 0 for never";
    let length = seconds(&interval.value).ok_or_else(|| wrong(&interval, wanted))?;
    let echo = layers.get("proxies.echo_url");
    let bare = |url: &Url| url.username().is_empty() && url.password().is_none();
    let url =
        Url::parse(&echo.value).ok().filter(|url| bare(url) && (url.scheme() == "https" || is_plain_loopback(url)));
    Ok(Proxies { interval: length, echo: url.ok_or_else(|| wrong(&echo, "an https URL"))? })
}

/// The minimum gap between requests. The older key `auth.request_interval_ms` is in milliseconds.
fn stagger(layers: &Layers) -> Result<Duration, ConfigError> {
    let setting = layers.get("accounts.stagger");
    let millis = matches!(&setting.origin, Origin::File(key) if key == "auth.request_interval_ms");
    let parsed = if millis { setting.value.parse().ok().map(Duration::from_millis) } else { seconds(&setting.value) };
    parsed.filter(|gap| *gap <= QUEUE_WAIT).ok_or_else(|| wrong(&setting, "a length of time from 0 to 30s"))
}

fn strategy(layers: &Layers) -> Result<Strategy, ConfigError> {
    let setting = layers.get("accounts.strategy");
    Strategy::named(&setting.value).ok_or_else(|| wrong(&setting, "least_used, round_robin, sticky or quota_aware"))
}

pub(super) fn quota(layers: &Layers) -> Result<Quota, ConfigError> {
    Ok(Quota {
        refresh_interval: interval(layers, "quota.refresh_interval")?,
        skip_exhausted: parse_bool(layers, "quota.skip_exhausted")?,
        thresholds: Thresholds {
            primary: shares(layers, "quota.warn_primary")?,
            secondary: shares(layers, "quota.warn_secondary")?,
        },
    })
}

pub(super) fn alerts(layers: &Layers) -> Result<Alerts, ConfigError> {
    let receiver = |url_key, secret| {
        let secret = layers.text(secret).map(Secret::new);
        Ok(url(layers, url_key)?.map(|url| engine::Receiver { url: engine::SecretUrl(url), secret }))
    };
    Ok(Alerts {
        webhook: receiver("alerts.webhook_url", "alerts.webhook_secret")?,
        ntfy: receiver("alerts.ntfy_url", "alerts.ntfy_token")?,
        allow_private: parse_bool(layers, "alerts.allow_private")?,
    })
}

pub(super) fn usage(layers: &Layers) -> Result<store::Retention, ConfigError> {
    Ok(store::Retention { age: days(layers, "usage.retention")?, bytes: size(layers, "usage.max_size")? })
}

/// Whole days; an empty value, `null` or 0 means no limit.
fn days(layers: &Layers, key: &'static str) -> Result<Option<Duration>, ConfigError> {
    let setting = layers.get(key);
    let text = setting.value.trim();
    if text.is_empty() || text == "null" {
        return Ok(None);
    }
    let days: Option<u64> = text.strip_suffix('d').unwrap_or(text).trim_end().parse().ok();
    let days = days.filter(|days| *days <= MOST_DAYS).ok_or_else(|| wrong(&setting, "a number of days such as 90d"))?;
    Ok((days > 0).then(|| Duration::from_hours(24 * days)))
}

/// A size in bytes.
fn size(layers: &Layers, key: &'static str) -> Result<u64, ConfigError> {
    let setting = layers.get(key);
    let text = setting.value.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match text[digits..].trim() {
        "MiB" | "M" => 1_u64 << 20,
        "GiB" | "G" => 1 << 30,
        _ => 0,
    };
    let bytes = text[..digits].parse().ok().and_then(|count: u64| count.checked_mul(unit));
    let sound = |bytes: &u64| (SMALLEST..=LARGEST).contains(bytes);
    bytes.filter(sound).ok_or_else(|| wrong(&setting, "a size from 16MiB to 1024GiB"))
}

/// A length of time, or 0 for never. A key of another program that ends in `_minutes` is in minutes.
fn interval(layers: &Layers, key: &'static str) -> Result<Duration, ConfigError> {
    let setting = layers.get(key);
    let minutes = matches!(&setting.origin, Origin::File(key) if key.ends_with("_minutes"));
    let length = seconds(&setting.value).map(|length| if minutes { length.saturating_mul(60) } else { length });
    let fits = |length: &Duration| length.is_zero() || (SHORTEST..=LONGEST).contains(length);
    length.filter(fits).ok_or_else(|| wrong(&setting, "0, or a length of time from 10s to 24h"))
}

/// Shares in percent, sorted.
fn shares(layers: &Layers, key: &'static str) -> Result<Vec<u8>, ConfigError> {
    let read = |item: String| item.trim_end_matches('%').trim().parse().ok().filter(|share| (1..=100).contains(share));
    let shares: Option<Vec<u8>> = list(layers, key).into_iter().map(read).collect();
    let mut shares = shares.ok_or_else(|| wrong(&layers.get(key), "a list of whole numbers from 1 to 100"))?;
    shares.sort_unstable();
    Ok(shares)
}

pub(super) fn model(layers: &Layers) -> Result<Model, ConfigError> {
    let efforts = ["none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra"];
    let default_effort = match layers.text("model.default_effort") {
        None => None,
        Some(_) => Some(one_of(layers, "model.default_effort", &efforts, "an effort from none to ultra")?),
    };
    Ok(Model {
        default: layers.text("model.default"),
        default_effort,
        aliases: layers.table("model.aliases")?,
        routing: models::routes(layers)?,
        custom: models::custom(layers)?,
        fast: fast(layers)?,
        default_tools: hosted(layers)?,
        fallbacks: fallbacks::read(layers)?,
        cache_ttl: interval(layers, "model.cache_ttl")?,
    })
}

/// Whether the default tier is the fast one. Accounts have no other tier.
fn fast(layers: &Layers) -> Result<bool, ConfigError> {
    let setting = layers.get("model.default_tier");
    match setting.value.as_str() {
        "fast" | "priority" => Ok(true),
        "" | "default" | "auto" => Ok(false),
        _ => Err(wrong(&setting, "fast or default")),
    }
}

fn hosted(layers: &Layers) -> Result<Vec<Hosted>, ConfigError> {
    let setting = layers.get("model.default_tools");
    pool::hosted::list(&setting.value).map_err(|_| wrong(&setting, "a list of web_search and image_generation"))
}

pub(super) fn ollama(layers: &Layers) -> Result<server::Ollama, ConfigError> {
    Ok(server::Ollama {
        enabled: parse_bool(layers, "ollama.enabled")?,
        hosts: hosts(layers, "ollama.host")?,
        port: number(layers, "ollama.port", "a port (0 to 65535)")?,
        allow_remote: parse_bool(layers, "ollama.allow_remote")?,
        version: version(layers, "ollama.version")?,
        disable_vision: parse_bool(layers, "ollama.disable_vision")?,
    })
}

pub(super) fn log(layers: &Layers) -> Result<Log, ConfigError> {
    let format = one_of(layers, "log.format", &["text", "json"], "text or json")?;
    let setting = layers.get("log.level");
    let level =
        filter(&setting.value).ok_or_else(|| wrong(&setting, "a level from error to trace, or target=level,..."))?;
    Ok(Log { level, json: format == "json" })
}

/// A level, or a list of `target=level` with an optional level for all other targets.
fn filter(text: &str) -> Option<Targets> {
    let text = text.replace("warning", "warn");
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    // The library reads an unknown word as a target; this function treats it as a misspelt level.
    let sound = parts.iter().all(|part| part.contains('=') || part.parse::<LevelFilter>().is_ok());
    let filter = parts.join(",").parse::<Targets>().ok().filter(|_| sound)?;
    let general = parts.iter().any(|part| !part.contains('='));
    Some(if general { filter } else { filter.with_default(LevelFilter::INFO) })
}

/// `90s`, `20m`, `2h`, `500ms`; a bare number is seconds.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: u64 = text[..digits].parse().ok()?;
    let millis = match text[digits..].trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    count.checked_mul(millis).map(Duration::from_millis)
}

fn hosts(layers: &Layers, key: &'static str) -> Result<Vec<IpAddr>, ConfigError> {
    let setting = layers.get(key);
    server::hosts(&setting.value).map_err(|_| wrong(&setting, "an IP address or localhost"))
}

/// A version of three numbers, which clients can compare.
fn version(layers: &Layers, key: &'static str) -> Result<String, ConfigError> {
    let setting = layers.get(key);
    let numbers: Vec<&str> = setting.value.split('.').collect();
    let number = |text: &&str| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() == 3 && numbers.iter().all(number) {
        return Ok(setting.value);
    }
    Err(wrong(&setting, "a version such as 0.18.3"))
}

fn parse_bool(layers: &Layers, key: &'static str) -> Result<bool, ConfigError> {
    let setting = layers.get(key);
    match setting.value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(wrong(&setting, "true or false")),
    }
}

fn number<T: std::str::FromStr>(layers: &Layers, key: &'static str, wanted: &'static str) -> Result<T, ConfigError> {
    let setting = layers.get(key);
    setting.value.parse().map_err(|_| wrong(&setting, wanted))
}

fn duration(layers: &Layers, key: &'static str) -> Result<Duration, ConfigError> {
    let setting = layers.get(key);
    seconds(&setting.value)
        .filter(|length| !length.is_zero())
        .ok_or_else(|| wrong(&setting, "a length of time such as 90s, 20m or 2h"))
}

fn url(layers: &Layers, key: &'static str) -> Result<Option<Url>, ConfigError> {
    let setting = layers.get(key);
    if setting.value.is_empty() {
        return Ok(None);
    }
    match Url::parse(&setting.value) {
        Ok(url) if url.has_host() => Ok(Some(url)),
        _ => Err(wrong(&setting, "a URL")),
    }
}

fn list(layers: &Layers, key: &'static str) -> Vec<String> {
    let value = layers.get(key).value;
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn one_of(layers: &Layers, key: &'static str, allowed: &[&str], wanted: &'static str) -> Result<String, ConfigError> {
    let setting = layers.get(key);
    if allowed.contains(&setting.value.as_str()) { Ok(setting.value) } else { Err(wrong(&setting, wanted)) }
}

fn missing(layers: &Layers, key: &'static str) -> ConfigError {
    wrong(&layers.get(key), "a URL")
}

fn wrong(setting: &Setting, wanted: &'static str) -> ConfigError {
    let value = if setting.field.secret { "***".to_owned() } else { setting.value.clone() };
    ConfigError::Value { key: setting.field.key, value, origin: setting.origin.to_string(), wanted }
}
