//! Routes requests. Each request is recorded, checked for protocol violations, matched with a plan, handled and answered.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::account::Login;
use crate::answer::{Answer, AnswerBody, AnswerContext};
use crate::call::{Call, bearer, header};
use crate::control;
use crate::errors::{self, Reject};
use crate::plan::api::Api;
use crate::plan::wire::ConnectionControl;
use crate::plan::{Body, Endpoint, Interim, Plan, Stop, StopPosition};
use crate::record::{RecordedRequest, Violation};
use crate::script::RequestFacts;
use crate::state::Shared;
use crate::{alerts, feed, models, noise, oauth, relay, responses, socket, usage};

/// The endpoints with a fixed path.
const ROUTES: &[(&str, &str, Endpoint)] = &[
    ("POST", "/backend-api/codex/responses", Endpoint::Responses),
    ("GET", "/backend-api/codex/responses", Endpoint::Socket),
    ("GET", "/backend-api/codex/models", Endpoint::Models),
    ("POST", "/backend-api/codex/images/generations", Endpoint::Images),
    ("POST", "/backend-api/codex/images/edits", Endpoint::Images),
    ("POST", "/backend-api/codex/responses/compact", Endpoint::Compact),
    ("POST", "/backend-api/codex/alpha/search", Endpoint::Search),
    ("GET", "/backend-api/wham/accounts/check", Endpoint::AccountsCheck),
    ("GET", "/backend-api/wham/usage", Endpoint::Usage),
    ("GET", "/backend-api/wham/rate-limit-reset-credits", Endpoint::Credits),
    ("POST", "/backend-api/wham/rate-limit-reset-credits/consume", Endpoint::Credits),
    ("GET", "/backend-api/wham/profiles/me", Endpoint::Profile),
    ("GET", "/feed/repos/openai/codex/releases/latest", Endpoint::Feed),
    ("GET", "/feed/appcast.xml", Endpoint::Feed),
    ("GET", "/echo", Endpoint::Echo),
    ("GET", "/oauth/authorize", Endpoint::Authorize),
    ("POST", "/oauth/token", Endpoint::Token),
    ("POST", "/oauth/revoke", Endpoint::Revoke),
    ("POST", "/api/accounts/deviceauth/usercode", Endpoint::DeviceCode),
    ("POST", "/api/accounts/deviceauth/token", Endpoint::DeviceToken),
    ("GET", "/codex/device", Endpoint::DevicePage),
    ("POST", "/codex/device", Endpoint::DevicePage),
];

fn place(method: &Method, path: &str) -> Endpoint {
    let (api, rest) = Api::of(path);
    if api != Api::Backend {
        return relay::place(api, method, rest);
    }
    if let Some(place) = alerts::place(method, path) {
        return place;
    }
    let found = ROUTES.iter().find(|(verb, route, _)| *verb == method.as_str() && *route == path);
    match found {
        Some((_, _, place)) => *place,
        None if noise::is_noise(path) => Endpoint::Noise,
        None => Endpoint::Other,
    }
}

/// Answers one request. An error closes the connection: the client disconnected during its request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    line: Arc<ConnectionControl>,
    request: Request<Incoming>,
) -> io::Result<Response<AnswerBody>> {
    let mut request = request;
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, incoming) = request.into_parts();
    let control = parts.uri.path().starts_with("/offline/");
    let place = place(&parts.method, parts.uri.path());
    let api = Api::of(parts.uri.path()).0;
    let visit = (!control).then(|| shared.recorder.open(|id, at| seen(&parts, place, &line, (id, at))));
    let wire = incoming.collect().await.map_err(io::Error::other)?.to_bytes();
    let Some(visit) = visit else {
        return Ok(control::answer(&shared, &parts, &wire));
    };
    let mut call = Call {
        id: visit.id,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body: wire.clone(),
        json: None,
        peer: line.peer,
    };
    let decoded = decode(api, &call.headers, &wire);
    if let Ok(body) = &decoded {
        call.body = body.clone();
    }
    shared.recorder.body(call.id, call.body.clone(), wire.len());
    if matches!(place, Endpoint::Responses | Endpoint::Compact) || api != Api::Backend {
        call.json = serde_json::from_slice(&call.body).ok();
    }
    let plan = plan(&shared, place, &call);
    let answer = match decoded {
        Err(reject) => {
            let encoding = header(&call.headers, "content-encoding").unwrap_or_default().to_owned();
            shared.recorder.record_offence(Violation::WrongEncoding { request: call.id, encoding });
            reject.into()
        }
        Ok(_) if !plan.act && !matches!(plan.body, Body::Auto) => Answer::empty(200),
        Ok(_) if api != Api::Backend => relay::answer(&shared, (api, place), &call),
        Ok(_) => act(&shared, place, &mut call),
    };
    let answer = answer.apply_plan(&plan, &shared);
    let send = AnswerContext { api, shared, connection: line, guard: visit };
    prepare(&plan, &send).await;
    if place == Endpoint::Socket && answer.status == 101 {
        return Ok(socket::accept(answer, &call, upgrade, send));
    }
    Ok(answer.respond(&plan, send))
}

/// Gives the plan's orders to the connection and waits for the plan's pauses.
async fn prepare(plan: &Plan, send: &AnswerContext) {
    send.connection.fresh();
    if let Some(idle) = plan.idle {
        send.connection.idle(idle);
    }
    if let Some(Stop { at: StopPosition::Wire(bytes), how }) = &plan.shape.stop {
        send.connection.budget(*bytes, how.clone());
    }
    for wait in &plan.before_headers {
        send.shared.gates.pass(wait).await;
    }
    if let Body::Wire(steps) = &plan.body {
        let step = |(time, blob): &(u64, crate::plan::Blob)| (std::time::Duration::from_millis(*time), blob.0.clone());
        send.connection.raw(steps.iter().map(step).collect());
    }
    send.connection.preface(interim(plan));
}

/// The heads of the informational responses; hyper sends none itself.
fn interim(plan: &Plan) -> Bytes {
    let head = |interim: &Interim| {
        let first = format!("HTTP/1.1 {} Informational", interim.status);
        let headers = interim.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let lines: Vec<String> = std::iter::once(first).chain(headers).collect();
        lines.join("\r\n") + "\r\n\r\n"
    };
    Bytes::from(plan.interim.iter().map(head).collect::<Vec<_>>().concat())
}

fn seen(
    parts: &http::request::Parts,
    place: Endpoint,
    line: &ConnectionControl,
    (id, at): (u64, std::time::Duration),
) -> RecordedRequest {
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    RecordedRequest {
        id,
        connection: line.id,
        peer: line.peer,
        at,
        place,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers.iter().map(text).collect(),
        ..RecordedRequest::default()
    }
}

/// The body without its content encoding. Of the APIs, only the ChatGPT backend is known to accept one, zstd.
fn decode(api: Api, headers: &HeaderMap, wire: &Bytes) -> Result<Bytes, Reject> {
    match headers.get(CONTENT_ENCODING).map(http::HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(wire.clone()),
        Some(_) if api != Api::Backend => Err(api.refusal(415, "Unsupported content encoding")),
        Some(b"zstd") => zstd::decode_all(&wire[..])
            .map(Bytes::from)
            .map_err(|_| Reject::detail(400, "Failed to decompress request body")),
        Some(_) => Err(Reject::detail(415, "Unsupported content encoding")),
    }
}

/// Records the account, checks for protocol violations, and takes the request's plan.
fn plan(shared: &Shared, place: Endpoint, call: &Call) -> Plan {
    let (api, path) = Api::of(call.uri.path());
    let account = match api {
        Api::Backend => account_of_token(shared, place, call),
        _ => relay::key(api, call).map(str::to_owned),
    };
    let prompt = call.json.as_ref().filter(|_| place.is_turn()).map(|json| relay::prompt(api, json));
    let model = call.json.as_ref().and_then(|json| json["model"].as_str()).or_else(|| relay::model_in_path(api, path));
    shared.recorder.edit(call.id, |seen| {
        seen.account.clone_from(&account);
        seen.prompt.clone_from(&prompt);
    });
    if let (Endpoint::Usage, Some(account)) = (place, &account) {
        usage::check_rate(shared, call.id, account);
    }
    let facts = RequestFacts {
        place,
        account: account.as_deref(),
        prompt: prompt.as_deref(),
        model,
        prewarm: false,
        headers: &call.headers,
    };
    if let Some(note) = shared.script.forbidden(facts) {
        shared.recorder.record_offence(Violation::Forbidden { request: call.id, note });
    }
    shared.script.take(facts).unwrap_or_default()
}

/// The account of the bearer token or, at the token endpoint, of the refresh token.
fn account_of_token(shared: &Shared, place: Endpoint, call: &Call) -> Option<String> {
    let accounts = shared.accounts.lock();
    let who = match place {
        Endpoint::Token => accounts.refresh.get(&oauth::presented(&call.body)?)?.who,
        _ => accounts.access.get(bearer(&call.headers)?)?.who,
    };
    Some(accounts.logins[who].account_id.clone())
}

fn act(shared: &Shared, place: Endpoint, call: &mut Call) -> Answer {
    let open = |answer: Result<Answer, Reject>| answer.unwrap_or_else(Answer::from);
    match place {
        Endpoint::Echo => echo(call),
        Endpoint::Authorize => oauth::authorize(shared, call),
        Endpoint::Token => oauth::token(shared, call),
        Endpoint::Revoke => oauth::revoke(shared, call),
        Endpoint::DeviceCode => oauth::device_code(shared, call),
        Endpoint::DeviceToken => oauth::device_token(shared, call),
        Endpoint::DevicePage => oauth::device_page(shared, call),
        Endpoint::Responses => open(authenticate(shared, call).map(|person| responses::answer(shared, call, &person))),
        Endpoint::Socket => open(authenticate(shared, call).and_then(|person| socket::upgrade(shared, call, &person))),
        Endpoint::Models => open(authenticate(shared, call).and_then(|person| models::answer(call, &person))),
        Endpoint::Images => open(authenticate(shared, call).and_then(|person| responses::image::answer(call, &person))),
        Endpoint::Compact => {
            open(authenticate(shared, call).and_then(|who| responses::compact::answer(shared, call, &who)))
        }
        Endpoint::Search => open(authenticate(shared, call).and_then(|_| responses::search::answer(call))),
        Endpoint::Noise => noise::answer(call),
        Endpoint::Feed => feed::answer(shared, call.uri.path()),
        Endpoint::AccountsCheck => open(authenticate(shared, call).map(|person| usage::accounts(&person))),
        Endpoint::Usage => open(authenticate(shared, call).map(|person| usage::usage(&person))),
        Endpoint::Credits => open(authenticate(shared, call).and_then(|person| usage::credits(shared, call, &person))),
        Endpoint::Hook => open(alerts::hook(call)),
        Endpoint::Ntfy => open(alerts::ntfy(call)),
        Endpoint::Profile => open(authenticate(shared, call).map(|_| usage::profile())),
        // The caller handles relays.
        _ => Answer::json(404, &serde_json::json!({ "detail": "Not Found" })),
    }
}

/// Answers with the client's address, as the public echo services do.
fn echo(call: &Call) -> Answer {
    Answer::json(200, &serde_json::json!({ "ip": call.peer.map(|peer| peer.ip().to_string()) }))
}

/// Checks the bearer token and the account id header.
fn authenticate(shared: &Shared, call: &Call) -> Result<Login, Reject> {
    let judged = {
        let accounts = shared.accounts.lock();
        let judged = bearer(&call.headers).map_or(Err(None), |token| accounts.verify_access_token(token));
        judged.map(|who| accounts.logins[who].clone())
    };
    let person = judged.map_err(|why| {
        if why.is_none() {
            shared.recorder.record_offence(Violation::UnknownToken { request: call.id });
        }
        Reject { status: 401, body: errors::unauthorized(why) }
    })?;
    let claimed = header(&call.headers, "chatgpt-account-id");
    if claimed != Some(person.account_id.as_str()) {
        let (request, claimed) = (call.id, claimed.map(str::to_owned));
        shared.recorder.record_offence(Violation::WrongAccount { request, claimed, actual: person.account_id });
        return Err(Reject::detail(403, "Forbidden"));
    }
    Ok(person)
}
