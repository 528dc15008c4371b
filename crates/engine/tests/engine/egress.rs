//! Egress (rows F18, F19 and F21): which calls take which route, and that none ever takes another one. The backend's record tells the
//! address that each request came from, and each proxy what it carried.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use engine::{Clock, Engine, ImportOutcome, Parts, ProxyChange, ProxySpec, Settings};
use offline::{
    Endpoint, FakeAccount, NewAccount, Offline, Options, Proxy, ProxyFault, ProxyOptions, ProxyProtocol, Rule,
};
use pool::Secret;
use pool::egress::{Address, Egress};
use pool::transport::TransportMode;
use proto::{Dialect, Kind};
use rstest::rstest;
use store::Store;
use upstream::{Config, Timeouts, Upstream};

use crate::bench::{Bench, PATIENCE, chat, events, expired, import, now, refused, whole, words};
use crate::tls;

/// The name under which proxies know the backend.
const NAME: &str = "backend.test";

/// How a rig is set up.
#[derive(Default)]
struct Rig<'a> {
    /// Accounts, each with its egress: `direct`, `auto`, `global`, or the number of a proxy.
    accounts: Vec<(NewAccount, &'a str)>,
    proxies: Vec<ProxyOptions>,
    /// Whether the first proxy is the one of the configuration.
    global: bool,
    /// Whether the proxies speak under TLS.
    secure: bool,
    /// Whether the backend is asked for by a name that this machine knows.
    named: bool,
    /// Which leg model calls take.
    transport: TransportMode,
}

struct Site {
    bench: Bench,
    _bundle: tempfile::NamedTempFile,
    proxies: Vec<Proxy>,
}

impl Rig<'_> {
    /// Starts everything; the accounts are assigned before the engine makes its first call.
    async fn start(self) -> Site {
        let (tls, bundle) = tls::certificate(&["127.0.0.1", "localhost", NAME]);
        let backend = Offline::start(Options { tls: Some(tls.clone()), ..Options::default() }).await.unwrap();
        let mut proxies = Vec::new();
        for options in self.proxies {
            // This machine's name may mean its newer address first, where the backend does not listen.
            let hosts = [NAME, "[::1]"].map(|name| (name.to_owned(), backend.addr())).into();
            let tls = self.secure.then(|| tls.clone());
            proxies.push(Proxy::start(ProxyOptions { hosts, tls, ..options }).await.unwrap());
        }
        let home = tempfile::tempdir().unwrap();
        let options = store::Options { home: home.path().to_owned(), ..store::Options::default() };
        let store = Store::open(options).await.unwrap();
        let origin = match (self.global, self.named) {
            (true, _) => format!("https://{NAME}"),
            (false, true) => format!("https://localhost:{}", backend.addr().port()),
            (false, false) => backend.auth_url(),
        };
        let second = Duration::from_secs(1);
        let config = Config {
            base_url: format!("{origin}/backend-api").parse().unwrap(),
            auth_url: origin.parse().unwrap(),
            proxy: self.global.then(|| proxies[0].url().parse().unwrap()),
            ca_bundle: Some(bundle.path().to_owned()),
            timeouts: Timeouts { connect: second, handshake: second, ..Timeouts::default() },
            ..Config::default()
        };
        let mut settings = Settings { transport: self.transport, ..Settings::default() };
        settings.proxies.echo = format!("{origin}/echo").parse().unwrap();
        let clock = Clock::manual(now());
        let upstream = Upstream::new(config).unwrap();
        let parts = || Parts {
            store: store.clone(),
            upstream: upstream.clone(),
            settings: settings.clone(),
            clock: clock.clone(),
        };
        let command = Engine::for_command(parts()).await.unwrap();
        for (at, proxy) in proxies.iter().enumerate() {
            command.proxies().add(spec(&at.to_string(), &proxy.url())).await.unwrap();
        }
        let (mut logins, mut ids) = (Vec::new(), Vec::new());
        for (new, egress) in self.accounts {
            let login = backend.add_account(new);
            let id = import(&store, &login).await;
            command.proxies().assign(&[(&id.0, egress)]).await.unwrap();
            logins.push(login);
            ids.push(id);
        }
        let engine = Engine::start(parts()).await.unwrap();
        Site { bench: Bench { backend, engine, store, upstream, logins, ids, clock, home }, _bundle: bundle, proxies }
    }
}

impl Site {
    /// Every request came through one of the proxies.
    fn nothing_direct(&self) {
        let record = self.bench.backend.record();
        for request in &record.requests {
            assert!(
                self.proxies.iter().any(|proxy| proxy.saw(request)),
                "past every proxy: {} {}",
                request.method,
                request.path
            );
        }
        self.bench.innocent();
    }

    fn posts_through(&self, proxy: usize) -> usize {
        self.bench.backend.record().model_requests().filter(|request| self.proxies[proxy].saw(request)).count()
    }

    fn state(&self, proxy: usize) -> &'static str {
        self.bench.engine.proxies().list()[proxy].status
    }

    /// A request of a conversation of its own, which is served.
    async fn ask(&self, number: usize) {
        self.bench.ask(whole(&format!("hello {number}"))).await.unwrap();
    }

    /// Ends the connections through the first proxy, which would be good for more.
    async fn afresh(&self) {
        for enabled in [false, true] {
            let change = ProxyChange { enabled: Some(enabled), ..ProxyChange::default() };
            self.bench.engine.proxies().change("0", change).await.unwrap();
        }
    }

    /// So many seconds later.
    fn later(&self, seconds: u64) {
        self.bench.clock.advance(Duration::from_secs(seconds));
    }
}

fn spec(name: &str, url: &str) -> ProxySpec {
    let address = Address::read(url).unwrap();
    ProxySpec { name: Some(name.to_owned()), address, allow_private: true, enabled: true }
}

fn http() -> ProxyOptions {
    ProxyOptions::default()
}

fn speaking(speech: ProxyProtocol) -> ProxyOptions {
    let credentials = Some(("canary-user".to_owned(), "canary-password".to_owned()));
    ProxyOptions { protocol: speech, credentials, ..ProxyOptions::default() }
}

fn account() -> NewAccount {
    NewAccount::default()
}

/// Every kind of proxy carries sockets and POSTs alike, with its credentials, and nothing goes past it.
#[rstest]
#[tokio::test]
async fn every_kind_of_proxy_carries_every_leg(
    #[values((ProxyProtocol::Http, false), (ProxyProtocol::Http, true), (ProxyProtocol::Socks5, false), (ProxyProtocol::Socks5Local, false))]
    kind: (ProxyProtocol, bool),
    #[values(TransportMode::WebSocket, TransportMode::Http)] transport: TransportMode,
    #[values(false, true)] global: bool,
) {
    let (speech, secure) = kind;
    if (speech, global) == (ProxyProtocol::Socks5Local, true) {
        // The name of the backend means nothing on this machine, and no proxy of the configuration is asked for loopback.
        return;
    }
    let accounts = vec![(account(), if global { "global" } else { "0" })];
    let rig = Rig { accounts, proxies: vec![speaking(speech)], global, secure, named: !global, transport };
    let site = rig.start().await;
    site.ask(1).await;
    let record = site.bench.backend.record();
    let sockets = usize::from(transport == TransportMode::WebSocket);
    let method = if sockets == 1 { "WS" } else { "POST" };
    assert_eq!((record.sockets().count(), record.model_requests().next().unwrap().method.as_str()), (sockets, method));
    site.nothing_direct();
    // Who looks the name up: the proxy, or with `socks5` this machine.
    let hosts =
        site.proxies[0].carried().into_iter().map(|carried| carried.target.rsplit_once(':').unwrap().0.to_owned());
    let theirs = if global { NAME } else { "localhost" };
    let wanted: &[&str] = if speech == ProxyProtocol::Socks5Local { &["127.0.0.1", "[::1]"] } else { &[theirs] };
    let hosts: Vec<String> = hosts.collect();
    assert!(hosts.iter().all(|host| wanted.contains(&host.as_str())), "{hosts:?} are not {wanted:?}");
}

/// A proxy that fails is its own fault over a socket too, and no POST takes another route.
#[rstest]
#[tokio::test]
async fn a_proxy_that_fails_under_a_socket(
    #[values((ProxyProtocol::Http, false), (ProxyProtocol::Http, true), (ProxyProtocol::Socks5, false), (ProxyProtocol::Socks5Local, false))]
    kind: (ProxyProtocol, bool),
    #[values(ProxyFault::Closes, ProxyFault::Hangs, ProxyFault::Refuses, ProxyFault::Page, ProxyFault::Lost)]
    mood: ProxyFault,
) {
    let (speech, secure) = kind;
    let rig = Rig {
        accounts: vec![(account(), "0")],
        proxies: vec![speaking(speech)],
        secure,
        transport: TransportMode::WebSocket,
        ..Rig::default()
    };
    let site = rig.start().await;
    site.proxies[0].set_fault(mood);
    let refusal = refused(site.bench.ask(whole("hello")).await);
    assert_eq!(refusal.failure.kind, Kind::Upstream, "{refusal}");
    let words = &refusal.failure.message;
    assert!(words.contains("proxy 0 (") && !words.contains("canary"), "{words}");
    assert_eq!(site.bench.posts(), 0);
    site.nothing_direct();
}

/// A token that comes with an egress is used by it, and so is its account from its first call on; the next import goes there too.
#[tokio::test]
async fn a_token_takes_its_egress_along() {
    let site = Rig { proxies: vec![http()], ..Rig::default() }.start().await;
    let login = site.bench.backend.add_account(account());
    let egress = site.bench.engine.proxies().egress("0").unwrap();
    let refresh = Some(Secret::from(login.refresh.as_str()));
    let done = site.bench.engine.logins().add_token(None, refresh, Some(egress)).await;
    assert_eq!((done.added, done.errors), (1, vec![]));
    assert_eq!(site.bench.engine.accounts().list()[0].egress, "0");
    site.bench.ask(chat("hello")).await.unwrap();
    let same = NewAccount {
        account_id: Some(login.account_id.clone()),
        user: Some(login.user.clone()),
        ..NewAccount::default()
    };
    let again = site.bench.backend.add_account(same);
    let entry = serde_json::json!([{"refreshToken": again.refresh, "accountId": again.account_id}]);
    let done = site.bench.engine.logins().import(entry.to_string().into_bytes(), None).await.unwrap();
    assert_eq!((done.updated, done.errors), (1, vec![]));
    assert_eq!(site.bench.backend.record().token_posts().count(), 2);
    site.nothing_direct();
    assert_eq!(site.bench.engine.accounts().list()[0].egress, "0");
}

/// Members of one workspace share its id: an entry takes the egress of the member that its token names, and none of theirs when
/// nobody says whose it is. A closed egress spends nothing.
#[tokio::test]
async fn an_entry_takes_the_egress_of_its_own_member() {
    let member = |user: &str| NewAccount {
        account_id: Some("00000000-0000-4000-8000-00000000000a".to_owned()),
        user: Some(user.to_owned()),
        ..NewAccount::default()
    };
    let accounts = vec![(member("user-a"), "0"), (member("user-b"), "1")];
    let site = Rig { accounts, proxies: vec![http(), http()], ..Rig::default() }.start().await;
    let backend = &site.bench.backend;
    let entry = |login: &FakeAccount| serde_json::json!([{ "idToken": login.id, "refreshToken": login.refresh, "accountId": login.account_id }]);
    let import = async |entry: serde_json::Value| {
        site.bench.engine.logins().import(entry.to_string().into_bytes(), None).await.unwrap().entries.remove(0)
    };
    let through =
        |proxy: usize| backend.record().token_posts().filter(|request| site.proxies[proxy].saw(request)).count();

    let b = backend.add_account(member("user-b"));
    assert_eq!(import(entry(&b)).await.result, ImportOutcome::Updated);
    assert_eq!((through(0), through(1)), (0, 1));

    let unsaid = backend.add_account(member("user-b"));
    let mut nameless = entry(&unsaid);
    nameless[0].as_object_mut().unwrap().remove("idToken");
    assert_eq!(import(nameless).await.result, ImportOutcome::Updated);
    assert_eq!((through(0), through(1), backend.record().token_posts().count()), (0, 1, 2));

    let off = ProxyChange { enabled: Some(false), ..ProxyChange::default() };
    site.bench.engine.proxies().change("1", off).await.unwrap();
    let closed = backend.add_account(member("user-b"));
    let done = import(entry(&closed)).await;
    assert_eq!(done.result, ImportOutcome::NoEgress);
    assert!(done.error.unwrap().contains("its proxy 1 is switched off"));
    assert_eq!(backend.record().token_posts().count(), 2);
    assert!(backend.current_refresh(&closed.account_id).contains(&closed.refresh));
}

/// A provider's list: one gateway, many users, one of them said twice.
#[tokio::test]
async fn a_gateway_with_many_users_is_many_proxies() {
    let site = Rig::default().start().await;
    let text = "http://a:1@gate.example:8000\nhttp://b:2@gate.example:8000\nhttp://a:1@gate.example:8000\n";
    assert_eq!(site.bench.engine.proxies().import(text).await.unwrap(), 2);
    assert_eq!(site.bench.engine.proxies().import(text).await.unwrap(), 0);
    let names: Vec<String> = site.bench.engine.proxies().list().into_iter().map(|proxy| proxy.name).collect();
    assert_eq!(names, ["gate.example:8000", "gate.example:8000-2"]);
}

#[rstest]
#[case::http(ProxyProtocol::Http)]
#[case::socks(ProxyProtocol::Socks5)]
#[tokio::test]
async fn everything_of_an_account_takes_its_proxy(#[case] speech: ProxyProtocol) {
    let proxies = vec![speaking(speech), http()];
    let site = Rig { accounts: vec![(expired(), "0")], proxies, ..Rig::default() }.start().await;
    let answer = site.bench.ask(chat("count to 3")).await.unwrap();
    assert!(words(Dialect::Chat, answer.text()).contains('3'));
    let all = |endpoint| move |record: &offline::Record| record.requests_to(endpoint).next().is_some();
    for endpoint in [Endpoint::Responses, Endpoint::Token, Endpoint::Models] {
        site.bench.backend.wait_until(PATIENCE, all(endpoint)).await.unwrap();
    }
    site.nothing_direct();
    assert_eq!((site.posts_through(0), site.proxies[1].accepted()), (1, 0));
    assert_eq!(site.state(0), "active");
}

#[tokio::test]
async fn accounts_take_their_own_routes() {
    let accounts = vec![(account(), "0"), (account(), "1"), (account(), "direct")];
    let site = Rig { accounts, proxies: vec![http(), http()], ..Rig::default() }.start().await;
    for number in 0..6 {
        site.ask(number).await;
        site.later(1);
    }
    let record = site.bench.backend.record();
    for (at, login) in site.bench.logins.iter().enumerate() {
        let theirs: Vec<_> =
            record.model_requests().filter(|request| request.account.as_ref() == Some(&login.account_id)).collect();
        assert_eq!(theirs.len(), 2);
        for (number, proxy) in site.proxies.iter().enumerate() {
            assert!(theirs.iter().all(|request| proxy.saw(request) == (number == at)), "account {at}, proxy {number}");
        }
    }
}

#[tokio::test]
async fn the_global_proxy_is_for_everybody_who_chose_no_other_way() {
    let accounts = vec![(account(), "global"), (account(), "1")];
    let site = Rig { accounts, proxies: vec![http(), http()], global: true, ..Rig::default() }.start().await;
    for number in 0..4 {
        site.ask(number).await;
        site.later(1);
    }
    assert_eq!((site.posts_through(0), site.posts_through(1)), (2, 2));
    site.nothing_direct();
}

#[tokio::test]
async fn a_global_proxy_that_is_down_is_not_gone_around() {
    let mut site = Rig { accounts: vec![(account(), "global")], proxies: vec![http()], global: true, ..Rig::default() }
        .start()
        .await;
    site.proxies.remove(0).stop().await;
    let first = refused(site.bench.ask(whole("hello")).await);
    assert!(first.failure.message.contains("the proxy of the configuration (127.0.0.1:"), "{first}");
    refused(site.bench.ask(whole("hello")).await);
    let resting = refused(site.bench.ask(whole("hello")).await);
    assert!(resting.failure.message.contains("the proxy of the configuration does not answer"), "{resting}");
    assert_eq!(
        (site.bench.engine.proxies().global().unwrap().status, site.bench.engine.ready().ok),
        ("unreachable", false)
    );
    assert_eq!(site.bench.posts(), 0);
    site.nothing_direct();
}

/// Row F21: the request fails in its own words, three failures mark the proxy, the account rests and says why, nothing goes direct, and
/// a good use heals it.
#[rstest]
#[case::closes(ProxyProtocol::Http, ProxyFault::Closes)]
#[case::hangs(ProxyProtocol::Http, ProxyFault::Hangs)]
#[case::refuses(ProxyProtocol::Http, ProxyFault::Refuses)]
#[case::page(ProxyProtocol::Http, ProxyFault::Page)]
#[case::lost(ProxyProtocol::Http, ProxyFault::Lost)]
#[case::socks_closes(ProxyProtocol::Socks5, ProxyFault::Closes)]
#[case::socks_hangs(ProxyProtocol::Socks5, ProxyFault::Hangs)]
#[case::socks_refuses(ProxyProtocol::Socks5, ProxyFault::Refuses)]
#[case::socks_page(ProxyProtocol::Socks5, ProxyFault::Page)]
#[case::socks_lost(ProxyProtocol::Socks5, ProxyFault::Lost)]
#[tokio::test]
async fn a_broken_proxy_is_never_gone_around(#[case] speech: ProxyProtocol, #[case] mood: ProxyFault) {
    let site =
        Rig { accounts: vec![(account(), "0")], proxies: vec![speaking(speech)], ..Rig::default() }.start().await;
    site.bench.ask(whole("hello")).await.unwrap();
    site.bench
        .backend
        .wait_until(PATIENCE, |record| record.requests_to(Endpoint::Models).next().is_some())
        .await
        .unwrap();
    site.afresh().await;
    site.bench.backend.reset();
    site.proxies[0].set_fault(mood);

    let first = refused(site.bench.ask(whole("hello")).await);
    assert_eq!(first.failure.kind, Kind::Upstream, "{first}");
    let words = &first.failure.message;
    assert!(words.contains("proxy 0 (") && !words.contains("canary"), "{words}");
    // Both tries of a request that sent nothing count, so the third failure is the next request's first.
    refused(site.bench.ask(whole("hello")).await);
    assert_eq!(site.state(0), "unreachable");
    let accepted = site.proxies[0].accepted();
    let resting = refused(site.bench.ask(whole("hello")).await);
    assert_eq!(resting.failure.kind, Kind::NoAccount);
    assert!(resting.failure.message.contains("its proxy 0 does not answer"), "{resting}");
    assert!(resting.failure.retry_after.is_some_and(|seconds| seconds <= 60), "{resting}");
    assert_eq!(site.proxies[0].accepted(), accepted, "a marked proxy is left alone");
    assert_eq!(site.bench.backend.record().total, 0, "nothing reached the backend");

    site.proxies[0].set_fault(ProxyFault::Good);
    site.later(60);
    site.bench.ask(whole("hello")).await.unwrap();
    assert_eq!(site.state(0), "active");
    site.nothing_direct();
}

/// The kill switch: model call, refresh, catalogue.
#[tokio::test]
async fn behind_a_dead_proxy_nothing_leaves() {
    let mut site = Rig { accounts: vec![(expired(), "0")], proxies: vec![http()], ..Rig::default() }.start().await;
    site.proxies.remove(0).stop().await;
    for _ in 0..6 {
        refused(site.bench.ask(whole("hello")).await);
        site.later(61);
    }
    site.nothing_direct();
    assert_eq!(site.bench.backend.record().token_posts().count(), 0);
    assert_eq!(site.bench.posts(), 0);
}

/// The kill switch for a login that is no account yet.
#[rstest]
#[case::fixed("0", "its proxy 0 is switched off")]
#[case::auto("auto", "none is switched on")]
#[tokio::test]
async fn a_login_takes_the_egress_that_it_is_told(#[case] egress: &str, #[case] word: &str) {
    let site = Rig { proxies: vec![http()], ..Rig::default() }.start().await;
    let egress = site.bench.engine.proxies().egress(egress).unwrap();
    let begin = async || {
        let step = |upstream: Upstream| async move { upstream.device_start().await };
        site.bench.engine.logins().step_by(Some(&egress), step).await
    };
    let device = begin().await.unwrap();
    assert!(site.bench.backend.approve_device(&device.user_code));
    let poll = |upstream: Upstream| {
        let device = device.clone();
        async move { upstream.device_poll(&device).await }
    };
    let polled = site.bench.engine.logins().step_by(Some(&egress), poll).await.unwrap();
    assert!(matches!(polled, upstream::oauth::PollOutcome::Done(_)));
    site.nothing_direct();

    let total = site.bench.backend.record().total;
    site.afresh().await;
    site.proxies[0].set_fault(ProxyFault::Closes);
    let error = begin().await.unwrap_err().to_string();
    assert!(error.contains("proxy 0 ("), "{error}");
    let change = ProxyChange { enabled: Some(false), ..ProxyChange::default() };
    site.bench.engine.proxies().change("0", change).await.unwrap();
    let none = begin().await.unwrap_err().to_string();
    assert!(none.contains(word), "{none}");
    assert_eq!(site.bench.backend.record().total, total);
}

/// A login with the egress `auto` goes on by the next proxy while nothing was sent.
#[tokio::test]
async fn a_login_tries_one_proxy_after_the_other() {
    let site = Rig { proxies: vec![http(), http()], ..Rig::default() }.start().await;
    site.proxies[0].set_fault(ProxyFault::Closes);
    for _ in 0..3 {
        let step = |upstream: Upstream| async move { upstream.device_start().await };
        site.bench.engine.logins().step_by(Some(&Egress::Auto), step).await.unwrap();
    }
    let login = site.bench.backend.add_account(account());
    let refresh = Some(Secret::from(login.refresh.as_str()));
    let done = site.bench.engine.logins().add_token(None, refresh, Some(Egress::Auto)).await;
    assert_eq!((done.added, done.errors), (1, vec![]));
    assert_eq!(site.bench.backend.record().token_posts().count(), 1);
    site.nothing_direct();
}

#[tokio::test]
async fn another_account_serves_while_ones_proxy_is_broken() {
    let accounts = vec![(account(), "0"), (account(), "direct")];
    let site = Rig { accounts, proxies: vec![http()], ..Rig::default() }.start().await;
    site.proxies[0].set_fault(ProxyFault::Closes);
    for number in 0..6 {
        site.ask(number).await;
        site.later(1);
    }
    let record = site.bench.backend.record();
    let direct = &site.bench.logins[1].account_id;
    assert!(
        record.model_requests().count() == 6
            && record.model_requests().all(|request| request.account.as_ref() == Some(direct))
    );
    assert_eq!(site.state(0), "unreachable");
    assert!(site.bench.engine.ready().ok);
}

#[tokio::test]
async fn of_several_proxies_those_that_answer_serve_in_turn() {
    let proxies = vec![http(), speaking(ProxyProtocol::Socks5), http(), http()];
    let site = Rig { accounts: vec![(account(), "auto")], proxies, ..Rig::default() }.start().await;
    site.proxies[0].set_fault(ProxyFault::Closes);
    site.proxies[2].set_fault(ProxyFault::Refuses);
    for number in 0..8 {
        site.ask(number).await;
    }
    assert_eq!(
        (site.state(0), site.state(1), site.state(2), site.state(3)),
        ("unreachable", "active", "unreachable", "active")
    );
    let (one, three) = (site.posts_through(1), site.posts_through(3));
    assert!(one >= 3 && three >= 3 && one + three == 8, "{one} and {three}");
    site.nothing_direct();
}

#[tokio::test]
async fn a_refresh_spends_its_token_once_over_several_proxies() {
    let proxies = vec![http(), http(), http()];
    let site = Rig { accounts: vec![(expired(), "auto")], proxies, ..Rig::default() }.start().await;
    site.proxies[0].set_fault(ProxyFault::Closes);
    site.proxies[1].set_fault(ProxyFault::Page);
    site.bench.ask(whole("hello")).await.unwrap();
    let record = site.bench.backend.record();
    assert_eq!(record.refreshes.len(), 1);
    site.nothing_direct();
}

#[tokio::test]
async fn a_proxy_that_cuts_mid_stream_ends_the_reply_and_nothing_is_sent_twice() {
    let accounts = vec![(account(), "0"), (account(), "direct")];
    let site = Rig { accounts, proxies: vec![http()], ..Rig::default() }.start().await;
    let id = site.bench.ids[1].clone();
    site.bench.store.set_owner_status(&[id], &pool::Status::Disabled).await.unwrap();
    site.bench.until("one account left", |bench| bench.status(1) == "disabled").await;
    site.afresh().await;
    site.proxies[0].set_fault(ProxyFault::Cuts(100_000));
    let answer = site.bench.ask(chat("count to 5000")).await.unwrap();
    let last = events(answer.text());
    assert!(last.iter().any(|event| event["error"].is_object()), "{}", answer.text());
    assert_eq!(site.bench.posts(), 1);
    assert_eq!(site.posts_through(0), 1);
}

#[tokio::test]
async fn checks_tell_the_exit_and_find_what_is_down() {
    let proxies = vec![http(), speaking(ProxyProtocol::Socks5), http()];
    let site = Rig { accounts: vec![(account(), "2")], proxies, ..Rig::default() }.start().await;
    site.proxies[2].set_fault(ProxyFault::Closes);
    let checked = site.bench.engine.proxies().check_all().await.unwrap();
    for view in &checked[..2] {
        let health = view.health.as_ref().unwrap();
        assert_eq!(health.exit_ip, Some("127.0.0.1".parse().unwrap()));
        assert!(health.ok && health.latency_ms.is_some() && health.error.is_none() && view.status == "active");
    }
    let health = checked[2].health.as_ref().unwrap();
    assert!(!health.ok && checked[2].status == "unreachable", "{health:?}");
    assert!(health.error.as_ref().unwrap().contains("proxy 2 ("), "{health:?}");
    let stored = site.bench.store.proxies().await.unwrap();
    assert_eq!(
        stored.iter().map(|proxy| proxy.health.clone()).collect::<Vec<_>>(),
        checked.iter().map(|view| view.health.clone()).collect::<Vec<_>>()
    );
    refused(site.bench.ask(whole("hello")).await);

    site.proxies[2].set_fault(ProxyFault::Good);
    assert_eq!(site.bench.engine.proxies().check("2").await.unwrap().status, "active");
    site.bench.ask(whole("hello")).await.unwrap();
    // An echo service that is down says nothing about the proxy.
    site.bench.backend.add_rule(Rule::at(Endpoint::Echo, offline::Plan::auto().status(503)).always());
    let view = site.bench.engine.proxies().check("0").await.unwrap();
    let health = view.health.unwrap();
    assert!(health.ok && health.exit_ip.is_none() && health.error.is_some() && view.status == "active", "{health:?}");
}
