//! Logins at the paths of the system that people migrate from: browser, device code, token, and Codex's own file.

mod wire;

use engine::{DevicePoll, DeviceStart, Engine, ImportOutcome, Imports, LinkError, LoginProblem, LoginStart};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use pool::Secret;
use pool::egress::Egress;
use proto::{Failure, Kind};

pub(crate) use self::wire::Added;
use self::wire::{
    AccountCounts, CallbackRequest, CodexImportRequest, EgressChoice, LogoutRequest, PollReply, Status, Token, User,
};
use super::accounts::batch::MOST;
use super::input::{AdminRequest, SecretText, admin_id, check_list_length, read_json};
use super::output::{DONE, Done, Removed};
use crate::failure::log_store_rejection;
use crate::operation::{Operation, Param, Tag};
use crate::query;
use crate::response::{HandlerResult, Rejection, json as answer, no_content};
use crate::route::RequestContext;

/// Longest pasted address, bytes.
const ADDRESS: usize = 8 << 10;

/// The egress with this name; `None` without a name.
pub(super) fn parse_egress(engine: &Engine, wanted: Option<&str>) -> Result<Option<Egress>, Rejection> {
    wanted.map(|wanted| engine.proxies().egress(wanted)).transpose().map_err(|error| super::proxies::rejection(&error))
}

pub(crate) const STATUS: Operation =
    Operation::new(Tag::Logins, "Show whether an account is signed in").gives::<Status<'_>>(200);

/// `GET /auth/status`
pub(crate) async fn status(ctx: RequestContext) -> HandlerResult {
    let engine = &ctx.app.engine;
    let accounts = engine.accounts().list();
    let count = |word: &str| accounts.iter().filter(|view| view.status == word).count();
    let user = accounts.iter().find(|view| view.status == "active").map(|view| User {
        email: &view.email,
        account_id: &view.account_id,
        plan_type: &view.plan,
    });
    let login = engine.logins().stage(admin_id(&ctx.caller)).await;
    let pool = AccountCounts {
        total: accounts.len(),
        active: count("active"),
        expired: count("needs_login"),
        quota_exhausted: count("exhausted"),
        rate_limited: count("cooling"),
        refreshing: 0,
        disabled: count("disabled"),
        banned: count("blocked"),
    };
    Ok(answer(StatusCode::OK, &Status { authenticated: user.is_some(), user, pool, login }))
}

pub(crate) const START: Operation = Operation::new(Tag::Logins, "Begin a login in a browser")
    .more("One waits for each admin token; a new one ends the old one.")
    .may_take::<EgressChoice>()
    .gives::<LoginStart>(200);

/// `POST /auth/login-start`, with an optional `{"egress": "..."}`
pub(crate) async fn start(ctx: RequestContext) -> HandlerResult {
    let admin = admin_id(&ctx.caller).to_owned();
    let AdminRequest { engine, body, .. } = read_json::<EgressChoice>(ctx).await?;
    let started = engine.logins().start(&admin, parse_egress(&engine, body.egress.as_deref())?).await;
    Ok(answer(StatusCode::OK, &started))
}

pub(crate) const REDIRECT: Operation = Operation::new(Tag::Logins, "Begin a login and go to the provider's page")
    .options(&[Param::query(
        "egress",
        "The egress of the login and then of its account: `direct`, `auto`, `global`, or a proxy's id or name.",
        &[],
    )])
    .bare(302);

/// `GET /auth/login` and `GET /auth/accounts/login`, with an optional `?egress=`: redirects to the provider's page.
pub(crate) async fn redirect(ctx: RequestContext) -> HandlerResult {
    let egress = parse_egress(&ctx.app.engine, query::single(&ctx.parts, "egress").as_deref())?;
    let begun = ctx.app.engine.logins().start(admin_id(&ctx.caller), egress).await;
    let mut response = no_content(StatusCode::FOUND);
    response.headers_mut().extend(HeaderValue::from_str(&begun.auth_url).ok().map(|url| (LOCATION, url)));
    Ok(response)
}

pub(crate) const CALLBACK: Operation = Operation::new(Tag::Logins, "Finish a login with the browser's final address")
    .takes::<CallbackRequest>()
    .gives::<Done>(200)
    .fails(&[502]);

/// `POST /auth/code-relay` with `{"callbackUrl": "..."}`: the final address of a browser on another machine.
pub(crate) async fn callback(ctx: RequestContext) -> HandlerResult {
    let admin = admin_id(&ctx.caller).to_owned();
    let AdminRequest { engine, body, .. } = read_json::<CallbackRequest>(ctx).await?;
    if body.callback_url.len() > ADDRESS {
        return Err(Failure::new(Kind::Invalid, "The address is too long").at("callbackUrl").into());
    }
    engine.logins().paste(&admin, &body.callback_url).await.map_err(|problem| rejection(&problem))?;
    Ok(answer(StatusCode::OK, &DONE))
}

pub(crate) const DEVICE: Operation = Operation::new(Tag::Logins, "Begin a login by a code that is entered elsewhere")
    .may_take::<EgressChoice>()
    .gives::<DeviceStart>(200)
    .fails(&[502]);

/// `POST /auth/device-login`, with an optional `{"egress": "..."}`
pub(crate) async fn device(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<EgressChoice>(ctx).await?;
    let egress = parse_egress(&engine, body.egress.as_deref())?;
    let started = engine.logins().device_start(egress).await.map_err(|problem| rejection(&problem))?;
    Ok(answer(StatusCode::OK, &started))
}

pub(crate) const POLL: Operation = Operation::new(Tag::Logins, "Poll a device code")
    .param("The `deviceCode` of the beginning.")
    .gives::<PollReply>(200)
    .fails(&[502]);

/// `GET /auth/device-poll/{id}`
pub(crate) async fn poll(ctx: RequestContext) -> HandlerResult {
    let polled = ctx.app.engine.logins().device_poll(&ctx.param).await.map_err(|problem| rejection(&problem))?;
    let body = match polled {
        DevicePoll::Pending => PollReply::Pending { pending: true, code: "authorization_pending" },
        DevicePoll::SlowDown => PollReply::Pending { pending: true, code: "slow_down" },
        DevicePoll::Done { id } => PollReply::Done { success: true, account: id },
    };
    Ok(answer(StatusCode::OK, &body))
}

pub(crate) const IMPORT_CLI: Operation =
    Operation::new(Tag::Logins, "Import or link the login of Codex on this machine")
        .may_take::<CodexImportRequest>()
        .gives::<Added>(200)
        .fails(&[409, 502]);

/// `POST /auth/import-cli`: imports or links the login in the auth.json that Codex uses on the gateway's machine.
pub(crate) async fn import_cli(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<CodexImportRequest>(ctx).await?;
    let none = || Failure::new(Kind::Invalid, "The gateway knows no home directory; set accounts.codex_home");
    let file = engine.logins().codex_file().ok_or_else(none)?;
    if body.link {
        let view = engine.logins().link(&file, body.may_refresh).await.map_err(|error| link_rejection(&error))?;
        return Ok(answer(StatusCode::OK, &Added { success: true, result: None, account: view.into() }));
    }
    let text =
        engine.logins().read_codex(&file).await.map_err(|error| Failure::new(Kind::Invalid, error.to_string()))?;
    let done = engine.logins().import(text, None).await;
    let done = done.map_err(|problem| Failure::new(Kind::Invalid, problem.to_string()).code("invalid_file"))?;
    import_reply(&engine, &done)
}

pub(crate) const TOKEN: Operation =
    Operation::new(Tag::Logins, "Add an account by its token").takes::<Token>().gives::<Added>(200);

/// `POST /auth/token` with `{"token": "..."}`
pub(crate) async fn token(ctx: RequestContext) -> HandlerResult {
    let AdminRequest { engine, body, .. } = read_json::<Token>(ctx).await?;
    let egress = parse_egress(&engine, body.egress.as_deref())?;
    let done = engine.logins().add_token(Some(strip_scheme(body.token)), None, egress).await;
    import_reply(&engine, &done)
}

/// Removes the scheme from a token that was pasted with it.
pub(super) fn strip_scheme(SecretText(given): SecretText) -> Secret {
    let text = given.expose().trim();
    let bare = text.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    Secret::new(bare.map_or(text, |(_, token)| token.trim()))
}

pub(crate) const LOGOUT: Operation =
    Operation::new(Tag::Logins, "Forget accounts, by id or all").takes::<LogoutRequest>().gives::<Removed>(200);

/// `POST /auth/logout` with `{"all": true}` or `{"ids": [...]}`: forgets accounts.
pub(crate) async fn logout(ctx: RequestContext) -> HandlerResult {
    let admin = admin_id(&ctx.caller).to_owned();
    let AdminRequest { engine, body, .. } = read_json::<LogoutRequest>(ctx).await?;
    if body.all != body.ids.is_empty() {
        let words = "Name the accounts to sign out: {\"ids\": [...]}, or {\"all\": true} for every account";
        return Err(Failure::new(Kind::Invalid, words).into());
    }
    check_list_length(body.ids.len(), MOST, "ids")?;
    let everyone = || engine.accounts().list().into_iter().map(|view| view.id).collect();
    let ids: Vec<String> = if body.all { everyone() } else { body.ids };
    let batch = engine.accounts().remove(&ids).await.map_err(|error| super::accounts::rejection(&error))?;
    tracing::info!(%admin, removed = batch.done(), "accounts signed out");
    Ok(answer(StatusCode::OK, &Removed::from(batch)))
}

/// The reply to the import of one login.
pub(crate) fn import_reply(engine: &Engine, done: &Imports) -> HandlerResult {
    let Some(entry) = done.entries.first() else {
        let taken = done.relays > 0;
        let why = if taken { "It holds an API key only, which is a relay now" } else { "It holds no login" };
        return Err(Failure::new(Kind::Invalid, why).into());
    };
    let view = entry.id.as_deref().and_then(|id| engine.accounts().get(id));
    if let (Some(view), None) = (view, &entry.error) {
        let added = Added { success: true, result: Some(entry.result), account: view.into() };
        return Ok(answer(StatusCode::OK, &added));
    }
    let why = entry.error.clone().unwrap_or_else(|| "it is not stored".to_owned());
    Err(match entry.result {
        ImportOutcome::Refused => {
            let failure = Failure::new(Kind::Upstream, format!("The provider did not take it: {why}"));
            Rejection::with(StatusCode::BAD_GATEWAY, failure.code("refresh_failed"))
        }
        ImportOutcome::NoEgress => {
            Rejection::with(StatusCode::BAD_GATEWAY, Failure::new(Kind::Upstream, why).code("no_way_out"))
        }
        ImportOutcome::Failed => Failure::new(Kind::Internal, why).into(),
        _ => Failure::new(Kind::Invalid, why).code("invalid_token").into(),
    })
}

fn link_rejection(error: &LinkError) -> Rejection {
    match error {
        LinkError::File(_) | LinkError::Ended(_) => Failure::new(Kind::Invalid, error.to_string()).into(),
        LinkError::Own => {
            Rejection::with(StatusCode::CONFLICT, Failure::new(Kind::Invalid, error.to_string()).code("own_login"))
        }
        LinkError::Removed => Rejection::with(StatusCode::CONFLICT, Failure::new(Kind::Invalid, error.to_string())),
        LinkError::Store(_) => log_store_rejection("admin accounts", error),
    }
}

fn rejection(problem: &LoginProblem) -> Rejection {
    match problem {
        LoginProblem::NotPending => Failure::new(Kind::NotFound, problem.to_string()).code("not_pending").into(),
        LoginProblem::Address(_) => Failure::new(Kind::Invalid, problem.to_string()).code("invalid_callback").into(),
        LoginProblem::Provider(_) | LoginProblem::NoAccount => Rejection::with(
            StatusCode::BAD_GATEWAY,
            Failure::new(Kind::Upstream, problem.to_string()).code("login_failed"),
        ),
        LoginProblem::Egress(error) => super::proxies::rejection(error),
        LoginProblem::Store(_) => log_store_rejection("admin accounts", problem),
    }
}
