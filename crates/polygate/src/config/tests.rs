use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use pool::catalog::{Catalog, ServedBy};
use rstest::rstest;
use tracing_subscriber::filter::LevelFilter;

use super::*;

fn layers(file: &str, env: &[(&str, &str)]) -> Layers {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    Layers::read(&path, env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
}

fn config(layers: &Layers) -> Result<Config, ConfigError> {
    Config::from_layers(layers, Paths::inside(std::path::Path::new("/nowhere")))
}

#[test]
fn every_default_is_valid() {
    let config = config(&layers("", &[])).unwrap();
    assert_eq!(config.server.hosts.len(), 2);
    assert!(config.server.hosts.iter().all(IpAddr::is_loopback));
    assert_eq!(config.server.port, 8080);
    assert_eq!(config.upstream.base_url.as_str(), "https://chatgpt.com/backend-api");
    assert_eq!(config.upstream.idle_timeout, Duration::from_mins(5));
    assert_eq!(config.accounts.max_concurrent, 0);
    assert!(!config.ollama.enabled && config.ollama.hosts.iter().all(IpAddr::is_loopback));
    assert_eq!(config.ollama.port, 11434);
}

#[test]
fn keys_and_environment_names_are_unique() {
    let mut keys = HashSet::new();
    let mut names = HashSet::new();
    for field in FIELDS {
        assert!(keys.insert(field.key), "{} twice", field.key);
        assert!(field.also.iter().all(|key| keys.insert(key)), "{:?} twice", field.also);
        assert!(names.insert(field.own_env()));
        assert!(field.env.iter().all(|name| names.insert((*name).to_owned())), "{:?} twice", field.env);
    }
}

/// Environment, flag, the value that wins, and its origin.
type Row<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, &'a str, &'a str);

#[test]
fn the_strongest_layer_wins() {
    let file =
        "[server]\nport = 1\nproxy_api_key = \"from-file\"\n[api]\nbase_url = \"http://127.0.0.1:9/backend-api\"\n";
    let rows: &[Row] = &[
        (&[], None, "1", "file server.port"),
        (&[("PORT", "2")], None, "2", "env PORT"),
        (&[("PORT", "2"), ("POLYGATE_SERVER__PORT", "3")], None, "3", "env POLYGATE_SERVER__PORT"),
        (&[("POLYGATE_SERVER__PORT", "3")], Some("4"), "4", "flag"),
        (&[("PORT", "")], None, "1", "file server.port"),
    ];
    for (env, flag, value, origin) in rows {
        let mut layers = layers(file, env);
        if let Some(flag) = flag {
            layers.flag("server.port", *flag);
        }
        let setting = layers.get("server.port");
        assert_eq!((setting.value.as_str(), setting.origin.to_string().as_str()), (*value, *origin));
    }
    let layers = layers(file, &[]);
    assert_eq!(layers.get("server.api_key").origin, Origin::File("server.proxy_api_key".to_owned()));
    assert_eq!(layers.get("upstream.base_url").value, "http://127.0.0.1:9/backend-api");
}

#[test]
fn drain_delay_and_trusted_proxies_are_parsed() {
    let server = |file: &str| config(&layers(file, &[])).map(|config| config.server);
    let usual = server("").unwrap();
    assert_eq!((usual.drain_delay, usual.trusted_proxies.as_slice()), (None, &[][..]));
    let file = "[server]\ndrain_delay = \"7s\"\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n";
    let set = server(file).unwrap();
    assert_eq!(set.drain_delay, Some(Duration::from_secs(7)));
    assert!(set.trusted_proxies[0].contains("10.9.8.7".parse().unwrap()) && set.trusted_proxies.len() == 2);
    assert_eq!(server("[server]\ndrain_delay = \"0s\"\n").unwrap().drain_delay, Some(Duration::ZERO));
    for file in ["[server]\ntrusted_proxies = \"box.lan\"\n", "[server]\ndrain_delay = \"soon\"\n"] {
        assert!(server(file).is_err_and(|error| error.to_string().starts_with("server.")), "{file}");
    }
}

#[test]
fn values_are_typed() {
    let file = "[server]\nhost = \"localhost\"\nallowed_hosts = [\"box.lan\", \"box\"]\n[upstream]\nidle_timeout = \"20m\"\n\
                [accounts]\nrate_limit_backoff = 90\n[auth]\nrotation_strategy = \"quota_aware\"\ntier_priority = [\"pro\", \"plus\"]\n[model.aliases]\nfast = \"gpt-6-luna\"\n";
    let config = config(&layers(file, &[("CODEX_PROXY_LOG_LEVEL", "warning")])).unwrap();
    assert_eq!(config.server.hosts.len(), 2);
    assert_eq!(config.server.allowed_hosts, ["box.lan", "box"]);
    assert_eq!(config.upstream.idle_timeout, Duration::from_mins(20));
    assert_eq!(config.accounts.rate_limit_backoff, Duration::from_secs(90));
    assert_eq!(config.accounts.strategy, Strategy::QuotaAware);
    assert_eq!(config.accounts.tiers, ["pro", "plus"]);
    assert_eq!(config.model.aliases, [("fast".to_owned(), "gpt-6-luna".to_owned())]);
    assert_eq!(config.log.level, Targets::new().with_default(LevelFilter::WARN));
    let file = "[ollama]\nenabled = true\nhost = \"::1\"\nport = 0\nallow_remote = \"no\"\nversion = \"1.22.333\"\n";
    let ollama = super::tests::config(&layers(file, &[("OLLAMA_BRIDGE_DISABLE_VISION", "1")])).unwrap().ollama;
    assert!(ollama.enabled && ollama.disable_vision && !ollama.allow_remote);
    assert_eq!((ollama.hosts[0].to_string(), ollama.port, ollama.version.as_str()), ("::1".to_owned(), 0, "1.22.333"));
    let public = super::tests::config(&layers("[server]\nhost = \"0.0.0.0\"\n", &[])).unwrap();
    assert_eq!(public.server.hosts, [IpAddr::from([0, 0, 0, 0])]);
}

#[test]
fn log_levels_are_general_or_by_target() {
    let level =
        |text: &str| config(&layers(&format!("[log]\nlevel = \"{text}\"\n"), &[])).map(|config| config.log.level);
    let part = Targets::new().with_target("engine", LevelFilter::DEBUG);
    assert_eq!(level("engine=debug").unwrap(), part.clone().with_default(LevelFilter::INFO));
    assert_eq!(level("engine=debug, warn").unwrap(), part.with_default(LevelFilter::WARN));
    assert_eq!(level("off").unwrap(), Targets::new().with_default(LevelFilter::OFF));
    for wrong in ["inof", "engine=loud", "engine"] {
        assert!(level(wrong).unwrap_err().to_string().contains("log.level"), "{wrong}");
    }
}

#[test]
fn a_wrong_value_names_its_setting_and_never_shows_a_secret() {
    let rows = [
        ("server.port", "[server]\nport = 99999\n", "99999"),
        ("server.host", "[server]\nhost = \"nowhere\"\n", "nowhere"),
        ("server.require_key", "[server]\nrequire_key = \"perhaps\"\n", "perhaps"),
        ("upstream.idle_timeout", "[upstream]\nidle_timeout = \"soon\"\n", "soon"),
        ("upstream.transport", "[upstream]\ntransport = \"carrier pigeon\"\n", "carrier pigeon"),
        ("upstream.base_url", "[upstream]\nbase_url = \"\"\n", ""),
        ("ollama.enabled", "[ollama]\nenabled = \"maybe\"\n", "maybe"),
        ("ollama.host", "[ollama]\nhost = \"nowhere\"\n", "nowhere"),
        ("ollama.port", "[ollama]\nport = -1\n", "-1"),
        ("ollama.version", "[ollama]\nversion = \"latest\"\n", "latest"),
        ("accounts.stagger", "[accounts]\nstagger = \"31s\"\n", "31s"),
        ("accounts.strategy", "[accounts]\nstrategy = \"fastest\"\n", "fastest"),
        ("log.format", "[log]\nformat = \"xml\"\n", "xml"),
    ];
    for (key, file, shown) in rows {
        let error = config(&layers(file, &[])).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains(shown), "{error}");
    }
    let error = config(&layers("", &[("HTTPS_PROXY", "user:hunter2")])).unwrap_err().to_string();
    assert!(error.contains("upstream.proxy") && !error.contains("hunter2"), "{error}");
}

#[test]
fn usage_is_kept_as_long_and_as_large_as_its_owner_says() {
    let usage = |file: &str| config(&layers(file, &[])).map(|config| config.usage);
    assert_eq!(usage("").unwrap(), store::Retention { age: None, bytes: 1 << 30 });
    let age = |file: &str| usage(file).unwrap().age;
    assert_eq!(age("[usage]\nretention = \"90d\"\n"), Some(Duration::from_hours(90 * 24)));
    assert_eq!(age("[usage]\nretention = 0\n"), None);
    assert_eq!(age("[usage_stats]\nhistory_retention_days = 7\n"), Some(Duration::from_hours(7 * 24)));
    assert_eq!(usage("[usage]\nmax_size = \"64 MiB\"\n").unwrap().bytes, 64 << 20);
    for bad in
        ["retention = \"soon\"", "retention = \"9h\"", "max_size = \"1MiB\"", "max_size = 5", "max_size = \"9999GiB\""]
    {
        let error = usage(&format!("[usage]\n{bad}\n")).unwrap_err().to_string();
        assert!(error.starts_with("usage."), "{bad}: {error}");
    }
}

#[test]
fn the_older_stagger_is_in_milliseconds() {
    let stagger = |file: &str| config(&layers(file, &[])).unwrap().accounts.stagger;
    assert_eq!(stagger(""), Duration::ZERO);
    assert_eq!(stagger("[accounts]\nstagger = \"50ms\"\n"), Duration::from_millis(50));
    assert_eq!(stagger("[accounts]\nstagger = 2\n"), Duration::from_secs(2));
    assert_eq!(stagger("[auth]\nrequest_interval_ms = 50\n"), Duration::from_millis(50));
}

#[test]
fn fallback_chains_are_one_name_or_a_list() {
    let chains =
        |lines: &str| config(&layers(&format!("[model.fallbacks]\n{lines}\n"), &[])).map(|c| c.model.fallbacks);
    let read = chains("\"gpt-5.5\" = \"far:llama\"\n\"gpt-*\" = [\"gpt-5.5\", \" far:llama \"]").unwrap();
    assert_eq!(read.of(Some("gpt-5.5"), None), ["far:llama"]);
    assert_eq!(read.of(Some("gpt-6"), None), ["gpt-5.5", "far:llama"]);
    for wrong in
        ["a = []", "a = 1", "a = [\"\"]", "a = [\"a\"]", "a = [\"b\", 2]", "a = \"b*\"", "[model.fallbacks.a]\nb = 1"]
    {
        let error = chains(wrong).unwrap_err().to_string();
        assert!(error.contains("model.fallbacks.a"), "{wrong}: {error}");
    }
    assert!(config(&layers("[model]\nfallbacks = 3\n", &[])).is_err());
    let many = format!("a = [{}]", ["\"b\""; 9].join(","));
    assert!(chains(&many).is_err());
}

/// The first matching pattern counts: a table keeps the file's order, whatever the order of its names.
#[rstest]
#[case("old-*", "old-mini*")]
#[case("old-mini*", "old-*")]
#[case("z*", "*")]
#[case("*", "z*")]
fn patterns_count_in_the_order_of_the_file(#[case] first: &str, #[case] second: &str) {
    let asked = if first.contains('z') || second.contains('z') { "zeta-1" } else { "old-mini-1" };
    let file = format!(
        "[model.aliases]\n\"{first}\" = \"gpt-6-luna\"\n\"{second}\" = \"gpt-6-sol\"\n\
         [model.fallbacks]\n\"{first}\" = \"gpt-5.5\"\n\"{second}\" = [\"gpt-6-sol\", \"gpt-5.5\"]\n"
    );
    let settings = crate::start::engine_settings(&config(&layers(&file, &[])).unwrap());
    let meant = Catalog::bundled().resolve(Some(asked), &settings.names).unwrap();
    assert_eq!(meant.model.slug, "gpt-6-luna");
    assert_eq!(settings.chains.of(Some(asked), Some(&meant.model.slug)), ["gpt-5.5"]);
}

/// The same for routes, which select the provider and not the model.
#[rstest]
#[case("gpt-6-*", "gpt-*")]
#[case("gpt-*", "gpt-6-*")]
#[case("*", "gpt-6-sol*")]
fn routes_count_in_the_order_of_the_file(#[case] first: &str, #[case] second: &str) {
    let meant = |providers: [&str; 2]| {
        let file =
            format!("[model.routing]\n\"{first}\" = \"{}\"\n\"{second}\" = \"{}\"\n", providers[0], providers[1]);
        let names = crate::start::engine_settings(&config(&layers(&file, &[])).unwrap()).names;
        Catalog::bundled().routed(&names).resolve(Some("gpt-6-sol"), &names)
    };
    assert_eq!(meant(["codex", "far"]).unwrap().to, ServedBy::Accounts);
    let refused = meant(["far", "codex"]).unwrap_err();
    assert!(refused.message.contains("routed to the relay `far`"), "{}", refused.message);
}

#[test]
fn unknown_keys_are_named() {
    let unknown = layers(
        "[server]\nprot = 1\n[model.aliases]\na = \"b\"\n[model.fallbacks]\n\"a.b\" = [\"c\"]\n[odd]\nx.y = 2\n",
        &[],
    )
    .unknown();
    assert_eq!(unknown, ["odd.x.y", "server.prot"]);
}

#[test]
fn a_broken_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, "server = [").unwrap();
    assert!(matches!(Layers::read(&path, []), Err(ConfigError::Toml { .. })));
    assert!(Layers::read(&dir.path().join("missing.toml"), []).is_ok());
}

#[test]
fn quota_settings_are_typed() {
    let file = "[quota]\nrefresh_interval_minutes = 7\nskip_exhausted = false\n[quota.warning_thresholds]\nprimary = [90, 50]\nsecondary = []\n\
                [alerts]\nwebhook_url = \"https://hooks.example.com/T0/secret-path\"\nwebhook_secret = \"hush\"\n";
    let layers = layers(file, &[]);
    assert_eq!(layers.unknown(), Vec::<String>::new());
    let quota = config(&layers).unwrap().quota;
    assert_eq!((quota.refresh_interval, quota.skip_exhausted), (Duration::from_mins(7), false));
    assert_eq!((quota.thresholds.primary, quota.thresholds.secondary), (vec![50, 90], Vec::new()));
    let shown = format!("{:?}", config(&layers).unwrap().alerts);
    assert!(!shown.contains("secret-path") && !shown.contains("hush"), "{shown}");
    let defaults = config(&self::layers("", &[])).unwrap();
    assert_eq!(defaults.quota.refresh_interval, Duration::from_mins(5));
    assert_eq!(defaults.quota.thresholds, Thresholds::default());
    assert!(defaults.quota.skip_exhausted && defaults.alerts.webhook.is_none() && defaults.alerts.ntfy.is_none());
    let rows = [
        ("[quota]\nrefresh_interval = \"0\"\n", true),
        ("[quota]\nrefresh_interval = \"10s\"\n", true),
        ("[quota]\nrefresh_interval = \"9s\"\n", false),
        ("[quota]\nrefresh_interval_minutes = 100000\n", false),
        ("[quota]\nwarn_primary = \"80%, 100%\"\n", true),
        ("[quota]\nwarn_primary = \"0\"\n", false),
        ("[quota]\nwarn_secondary = [101]\n", false),
        ("[alerts]\nntfy_url = \"topic\"\n", false),
    ];
    for (file, good) in rows {
        assert_eq!(config(&self::layers(file, &[])).is_ok(), good, "{file}");
    }
}

#[rstest]
#[case::any_origin("[server]\ncors = \"*\"\n", "cors.allowed_origins")]
#[case::any_origin_of_a_list("[cors]\nallowed_origins = [\"https://a.test\", \"*\"]\n", "cors.allowed_origins")]
#[case::null_origin("[cors]\nallowed_origins = [\"null\"]\n", "cors.allowed_origins")]
#[case::origin_without_scheme("[server]\ncors = [\"a.test\"]\n", "cors.allowed_origins")]
#[case::any_host("[server]\nallowed_hosts = \"*\"\n", "server.allowed_hosts")]
#[case::any_host_below_a_name("[server]\nallowed_hosts = [\"*.a.test\"]\n", "server.allowed_hosts")]
#[case::address_as_host("[server]\nallowed_hosts = [\"https://a.test\"]\n", "server.allowed_hosts")]
fn useless_hosts_and_origins_are_refused(#[case] file: &str, #[case] key: &str) {
    let error = config(&layers(file, &[])).unwrap_err().to_string();
    assert!(error.contains(key) && error.contains("because"), "{error}");
}

#[test]
fn hosts_and_origins_are_lists() {
    let file = "[server]\nallowed_hosts = [\"a.test\", \"b.test:8443\"]\n[cors]\nallowed_origins = [\"https://a.test\", \"http://localhost:5173\"]\n";
    let config = config(&layers(file, &[])).unwrap();
    assert_eq!(config.server.allowed_hosts, ["a.test", "b.test:8443"]);
    assert_eq!(config.server.allowed_origins, ["https://a.test", "http://localhost:5173"]);
}
