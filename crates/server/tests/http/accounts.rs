//! Accounts and logins over the admin API.

use offline::NewAccount;
use serde_json::{Value, json};

use crate::gateway::{Gateway, request};
use crate::streams;
use crate::wire::{Answer, Wire};

struct Bench {
    gateway: Gateway,
    backend: offline::Running,
}

impl Bench {
    async fn new() -> Self {
        let (gateway, backend) = streams::gateway(|_| {}).await;
        Self { gateway, backend }
    }

    async fn call(&self, token: &str, line: &str, (headers, body): (&[&str], &str)) -> Answer {
        let key = format!("authorization: Bearer {token}");
        let mut all = vec!["host: localhost", key.as_str()];
        if !headers.iter().any(|header| header.starts_with("content-type")) {
            all.push("content-type: application/json");
        }
        all.extend(headers);
        self.gateway.ask(line, &all, body.as_bytes()).await
    }

    /// A call with a token that may write; returns the status and the JSON response.
    async fn write(&self, line: &str, body: Value) -> (u16, Value) {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.call(&self.gateway.keys.admin, line, (&[], &text)).await;
        (answer.status, serde_json::from_str(&answer.text()).unwrap_or(Value::Null))
    }

    async fn accounts(&self) -> Vec<Value> {
        let (status, body) = self.write("GET /auth/accounts", Value::Null).await;
        assert_eq!((status, &body["persistence_health"]["ok"]), (200, &json!(true)));
        body["accounts"].as_array().cloned().unwrap()
    }

    async fn export(&self, query: &str, headers: &[&str]) -> Answer {
        let exporter = self.gateway.keys.exporter.clone();
        self.call(&exporter, &format!("GET /auth/accounts/export{query}"), (headers, "")).await
    }

    /// Acts as the user's browser at the provider, and returns the address of the redirect.
    async fn browse(&self, url: &str) -> String {
        let port = self.backend.addr().port();
        let mut wire = Wire::open(port).await;
        let path = url.split_once("127.0.0.1").unwrap().1;
        let path = &path[path.find('/').unwrap()..];
        wire.send(request(&format!("GET {path}"), &["host: localhost"], b"")).await;
        let answer = wire.answer().await.unwrap();
        answer.header("location").unwrap_or_else(|| panic!("{} {}", answer.status, answer.text())).to_owned()
    }
}

#[tokio::test]
async fn accounts_are_added_named_switched_and_removed() {
    let bench = Bench::new().await;
    let known = bench.accounts().await.len();
    let login = bench.backend.account("pro");
    let (status, added) = bench.write("POST /auth/accounts", json!({ "refreshToken": login.refresh })).await;
    assert_eq!((status, &added["result"]), (200, &json!("added")), "{added}");
    let account = &added["account"];
    let id = account["id"].as_str().unwrap();
    assert_eq!(
        (&account["email"], &account["accountId"], &account["planType"], &account["status"]),
        (&json!(login.email), &json!(login.account_id), &json!("pro"), &json!("active"))
    );
    assert!(!added.to_string().contains("rt_") && !added.to_string().contains("eyJ"), "{added}");
    assert_eq!(bench.accounts().await.len(), known + 1);

    let (status, named) = bench.write(&format!("PATCH /auth/accounts/{id}/label"), json!({"label": "Work"})).await;
    assert_eq!((status, &named["account"]["label"]), (200, &json!("Work")));
    let (_, named) = bench.write(&format!("PATCH /auth/accounts/{id}/label"), json!({"label": null})).await;
    assert_eq!(named["account"]["label"], json!(login.email));
    let tags = json!({"tags": ["a", " b ", "a"]});
    let (_, tagged) = bench.write(&format!("PATCH /auth/accounts/{id}/tags"), tags).await;
    assert_eq!(tagged["account"]["tags"], json!(["a", "b"]));
    let long = json!({"label": "x".repeat(65)});
    assert_eq!(bench.write(&format!("PATCH /auth/accounts/{id}/label"), long).await.0, 400);

    let ids = json!([id, "nobody"]);
    for (word, state) in [("disabled", "disabled"), ("active", "active")] {
        let (status, done) = bench.write("POST /auth/accounts/batch-status", json!({"ids": ids, "status": word})).await;
        let results = json!([{"id": id, "result": "done"}, {"id": "nobody", "result": "not_found"}]);
        let wanted = json!({"success": true, "updated": 1, "notFound": ["nobody"], "results": results});
        assert_eq!((status, done), (200, wanted));
        let found = bench.accounts().await.into_iter().find(|account| account["id"] == id).unwrap();
        assert_eq!(found["status"], state);
    }
    let (status, fresh) = bench.write(&format!("POST /auth/accounts/{id}/refresh"), json!({})).await;
    assert_eq!((status, &fresh["success"]), (200, &json!(true)), "{fresh}");
    assert_eq!(bench.backend.record().refreshes.len(), 2);

    let (_, gone) = bench.write("POST /auth/accounts/batch-delete", json!({ "ids": ids })).await;
    assert_eq!((&gone["success"], &gone["deleted"], &gone["notFound"]), (&json!(true), &json!(1), &json!(["nobody"])));
    for line in ["DELETE /auth/accounts/nobody", "POST /auth/accounts/nobody/refresh"] {
        assert_eq!(bench.write(line, json!({})).await.0, 404, "{line}");
    }
    assert_eq!(bench.accounts().await.len(), known);
    assert_eq!(bench.backend.record().offences, []);
}

/// Batch changes: each id has its result, and invalid changes are refused before anything is done.
#[tokio::test]
async fn many_accounts_are_changed_at_once() {
    let bench = Bench::new().await;
    let logins = ["plus", "pro", "plus"].map(|plan| bench.backend.account(plan));
    let mut ids = Vec::new();
    for login in &logins {
        let (_, added) = bench.write("POST /auth/accounts", json!({"token": login.access})).await;
        ids.push(added["account"]["id"].as_str().unwrap().to_owned());
    }
    let all = json!([ids[0], "nobody", ids[1], ids[0]]);
    let batch = async |path: &str, mut body: Value| {
        body["ids"] = all.clone();
        bench.write(&format!("POST /auth/accounts/batch-{path}"), body).await
    };
    let seen = async |field: &str| -> Vec<Value> {
        let accounts = bench.accounts().await;
        let of = |id: &String| accounts.iter().find(|account| account["id"] == **id).unwrap()[field].clone();
        ids.iter().map(of).collect()
    };
    let results = json!([
        {"id": ids[0], "result": "done"},
        {"id": "nobody", "result": "not_found"},
        {"id": ids[1], "result": "done"},
    ]);
    let good = json!({"success": true, "updated": 2, "notFound": ["nobody"], "results": results});
    assert_eq!(batch("label", json!({"label": " Team "})).await, (200, good.clone()));
    assert_eq!(seen("label").await, [json!("Team"), json!("Team"), json!(logins[2].email)]);
    assert_eq!(batch("tags", json!({"tags": ["a", "b"]})).await, (200, good.clone()));
    assert_eq!(batch("tags", json!({"add": ["c"], "remove": ["a"]})).await, (200, good.clone()));
    assert_eq!(seen("tags").await, [json!(["b", "c"]), json!(["b", "c"]), json!([])]);
    for body in [
        json!({"tags": [], "add": ["x"]}),
        json!({}),
        json!({"add": [""]}),
        json!({"add": "x"}),
        json!({"tags": ["x".repeat(33)]}),
    ] {
        assert_eq!(batch("tags", body.clone()).await.0, 400, "{body}");
    }
    for body in [json!({"label": "two\nlines"}), json!({}), json!({"label": 7})] {
        assert_eq!(batch("label", body.clone()).await.0, 400, "{body}");
    }
    assert_eq!(bench.write(&format!("PATCH /auth/accounts/{}/label", ids[0]), json!({})).await.0, 400);
    assert_eq!(seen("label").await[0], json!("Team"), "nothing of that was done");
    let original = json!([logins[0].email, logins[1].email]);
    assert_eq!(batch("label", json!({"label": null})).await, (200, good.clone()));
    assert_eq!(json!(seen("label").await[..2]), original);
    assert_eq!(seen("tags").await[0], json!(["b", "c"]), "nothing of that was done");
    // One account has no room for another tag.
    let full: Vec<String> = (0..16).map(|n| format!("t{n}")).collect();
    bench.write(&format!("PATCH /auth/accounts/{}/tags", ids[1]), json!({"tags": full})).await;
    let (status, said) = batch("tags", json!({"add": ["more"]})).await;
    assert_eq!((status, &said["success"], &said["updated"]), (200, &json!(false), &json!(1)), "{said}");
    assert_eq!(said["results"][2]["result"], "failed", "{said}");
    assert!(said["results"][2]["error"].as_str().unwrap().contains("16 tags"), "{said}");
    assert_eq!(seen("tags").await[..2], [json!(["b", "c", "more"]), json!(full)]);
}

/// Some logins are lost: the other accounts are refreshed and switched, and the lost ones report that they need a new login.
#[tokio::test]
async fn a_lost_login_holds_up_no_other() {
    let bench = Bench::new().await;
    let mut ids = Vec::new();
    for login in ["plus", "pro"].map(|plan| bench.backend.account(plan)) {
        let (_, added) = bench.write("POST /auth/accounts", json!({"refreshToken": login.refresh})).await;
        ids.push(added["account"]["id"].as_str().unwrap().to_owned());
        if ids.len() == 1 {
            bench.backend.invalidate_refresh(&login.account_id);
        }
    }
    // An account without a refresh token keeps its access token.
    let (_, added) = bench.write("POST /auth/accounts", json!({"token": bench.backend.account("plus").access})).await;
    ids.push(added["account"]["id"].as_str().unwrap().to_owned());
    let (status, said) = bench.write("POST /auth/accounts/batch-refresh", json!({ "ids": ids })).await;
    let results: Vec<&Value> = said["results"].as_array().unwrap().iter().map(|result| &result["result"]).collect();
    assert_eq!((status, &said["success"], &said["refreshed"]), (200, &json!(false), &json!(1)), "{said}");
    assert_eq!(results, ["needs_login", "done", "failed"], "{said}");
    assert!(said["results"][2]["error"].as_str().unwrap().contains("no refresh token"), "{said}");
    let on = json!({"ids": ids, "status": "active"});
    let (_, said) = bench.write("POST /auth/accounts/batch-status", on).await;
    // The account with the lost login serves until its access token ends.
    assert_eq!((&said["success"], &said["updated"]), (&json!(true), &json!(3)), "{said}");
    assert_eq!(said["results"][0]["result"], "done", "{said}");
    let checks = json!({"ids": [ids[1], "nobody"], "stagger_ms": 0});
    let (_, said) = bench.write("POST /auth/accounts/health-check", checks).await;
    assert_eq!((&said["summary"]["alive"], &said["notFound"]), (&json!(1), &json!(["nobody"])), "{said}");
}

#[tokio::test]
async fn junk_is_refused_before_anything_is_sent() {
    let bench = Bench::new().await;
    let known = bench.accounts().await.len();
    let ended = bench.backend.add_account(NewAccount { expires_in: -60, ..NewAccount::default() });
    let rows = [
        (json!({"token": "canary-canary"}), 400),
        (json!({"token": ended.access}), 400),
        (json!({"refreshToken": "canary with blanks"}), 400),
        (json!({}), 400),
        (json!({"token": {"a": "canary"}}), 400),
        (json!({"refreshToken": "rt_canary-0123456789"}), 502),
    ];
    for (body, wanted) in rows {
        let answer = bench.call(&bench.gateway.keys.admin, "POST /auth/accounts", (&[], &body.to_string())).await;
        assert_eq!(answer.status, wanted, "{body} {}", answer.text());
        assert!(!answer.text().contains("canary") && !answer.text().contains("eyJ"), "{}", answer.text());
    }
    assert_eq!((bench.accounts().await.len(), bench.backend.record().token_posts().count()), (known, 1));
}

#[tokio::test]
async fn files_go_in_and_out() {
    let bench = Bench::new().await;
    let logins = [bench.backend.account("plus"), bench.backend.account("pro")];
    let text = format!("# mine\n{}\n{}\n", logins[0].refresh, logins[1].access);
    let admin = bench.gateway.keys.admin.clone();
    let plain = bench.call(&admin, "POST /auth/accounts/import", (&["content-type: text/plain"], &text)).await;
    let done: Value = serde_json::from_str(&plain.text()).unwrap();
    assert_eq!((plain.status, &done["success"], &done["added"]), (200, &json!(true), &json!(2)), "{done}");
    let broken = bench.call(&admin, "POST /auth/accounts/import", (&[], "{\"accounts\": [\n{]}")).await;
    assert!(broken.status == 400 && broken.text().contains("line 2, column"), "{}", broken.text());

    // Clear text is exported only on an explicit request.
    for query in ["?format=full", "?format=minimal", "?format=full&plaintext=1", ""] {
        let refused = bench.export(query, &[]).await;
        assert_eq!(refused.status, 400, "{query} {}", refused.text());
    }
    assert_eq!(bench.export("?format=csv&plaintext=true", &[]).await.status, 400);
    assert_eq!(bench.export("?format=full&plaintext=true&ids=nobody", &[]).await.status, 404);
    assert_eq!(bench.call(&admin, "GET /auth/accounts/export", (&[], "")).await.status, 403);
    for format in ["full", "minimal", "cockpit_tools", "sub2api", "cpa"] {
        let out = bench.export(&format!("?format={format}&plaintext=true"), &[]).await;
        assert!(out.status == 200 && out.text().contains("rt_"), "{format}: {}", out.status);
        let back = bench.call(&admin, "POST /auth/accounts/import", (&[], &out.text())).await;
        let done: Value = serde_json::from_str(&back.text()).unwrap();
        assert_eq!((&done["added"], &done["failed"]), (&json!(0), &json!(0)), "{format}: {done}");
    }
    let pass = "x-polygate-passphrase: four words of mine";
    let sealed = bench.export("", &[pass]).await;
    assert!(sealed.status == 200 && !sealed.text().contains("rt_") && !sealed.text().contains("eyJhbGciOi"));
    let id = bench.accounts().await.last().unwrap()["id"].clone();
    bench.write("POST /auth/accounts/batch-delete", json!({"ids": [id]})).await;
    let shut = bench.call(&admin, "POST /auth/accounts/import", (&[], &sealed.text())).await;
    assert_eq!(shut.status, 400, "{}", shut.text());
    let back = bench.call(&admin, "POST /auth/accounts/import", (&[pass], &sealed.text())).await;
    let done: Value = serde_json::from_str(&back.text()).unwrap();
    assert_eq!((&done["added"], &done["failed"]), (&json!(1), &json!(0)), "{done}");
}

#[tokio::test]
async fn a_check_spends_nothing() {
    let bench = Bench::new().await;
    let good = bench.backend.account("plus");
    let dead = bench.backend.account("plus");
    for login in [&good, &dead] {
        let (status, _) = bench.write("POST /auth/token", json!({"token": format!("Bearer {}", login.access)})).await;
        assert_eq!(status, 200);
    }
    bench.backend.expire_access(&dead.account_id);
    let ids: Vec<Value> =
        bench.accounts().await.into_iter().rev().take(2).map(|account| account["id"].clone()).collect();
    let (status, checked) =
        bench.write("POST /auth/accounts/health-check", json!({"ids": ids, "stagger_ms": 0, "concurrency": 2})).await;
    let summary = json!({"total": 2, "alive": 1, "dead": 1, "skipped": 0});
    assert_eq!((status, &checked["summary"]), (200, &summary), "{checked}");
    assert_eq!(bench.backend.record().token_posts().count(), 0);
    assert_eq!(bench.write("POST /auth/accounts/health-check", json!({"concurrency": 99})).await.0, 400);
}

#[tokio::test]
async fn a_browser_login_is_finished_with_the_pasted_address() {
    let bench = Bench::new().await;
    assert_eq!(bench.write("POST /auth/code-relay", json!({"callbackUrl": "http://127.0.0.1:1455/x"})).await.0, 404);
    let (status, begun) = bench.write("POST /auth/login-start", json!({})).await;
    assert_eq!(status, 200, "{begun}");
    let (url, state) = (begun["authUrl"].as_str().unwrap(), begun["state"].as_str().unwrap());
    assert!(state.len() >= 43 && url.contains(state));
    let known = bench.accounts().await.len();
    let back = bench.browse(url).await;
    let foreign = back.replace(state, "another");
    let (status, said) = bench.write("POST /auth/code-relay", json!({ "callbackUrl": foreign })).await;
    assert_eq!(status, 400, "{said}");
    for _ in 0..2 {
        let (status, done) = bench.write("POST /auth/code-relay", json!({ "callbackUrl": back })).await;
        assert_eq!((status, &done["success"]), (200, &json!(true)), "{done}");
    }
    assert_eq!(bench.accounts().await.len(), known + 1);
    let (_, state) = bench.write("GET /auth/status", Value::Null).await;
    assert_eq!((&state["login"]["status"], &state["authenticated"]), (&json!("done"), &json!(true)), "{state}");
    assert_eq!(bench.backend.record().offences, []);
}

#[tokio::test]
async fn a_device_login_is_polled_as_slowly_as_the_provider_wants() {
    let bench = Bench::new().await;
    let (status, begun) = bench.write("POST /auth/device-login", json!({})).await;
    assert_eq!((status, &begun["interval"]), (200, &json!(5)), "{begun}");
    let code = begun["deviceCode"].as_str().unwrap();
    let (status, polled) = bench.write(&format!("GET /auth/device-poll/{code}"), Value::Null).await;
    assert_eq!((status, polled), (200, json!({"pending": true, "code": "slow_down"})));
    assert_eq!(bench.write("GET /auth/device-poll/nobody", Value::Null).await.0, 404);
}

#[tokio::test]
async fn signing_out_says_whom() {
    let bench = Bench::new().await;
    bench.write("POST /auth/token", json!({"token": bench.backend.account("plus").access})).await;
    let count = bench.accounts().await.len();
    let many = json!({"ids": vec!["x"; 10_001]});
    for body in [json!({}), json!({"all": false}), json!({"all": true, "ids": ["x"]}), many] {
        assert_eq!(bench.write("POST /auth/logout", body.clone()).await.0, 400, "{body}");
    }
    assert_eq!(bench.accounts().await.len(), count);
    let (status, done) = bench.write("POST /auth/logout", json!({"all": true})).await;
    assert_eq!((status, &done["deleted"]), (200, &json!(count)));
    assert_eq!(bench.accounts().await.len(), 0);
}

#[tokio::test]
async fn cookies_are_seen_with_the_scope_of_an_export_only() {
    let bench = Bench::new().await;
    bench.write("POST /auth/token", json!({"token": bench.backend.account("plus").access})).await;
    let id = bench.accounts().await.pop().unwrap()["id"].as_str().unwrap().to_owned();
    let path = format!("/auth/accounts/{id}/cookies");
    let (status, put) = bench.write(&format!("POST {path}"), json!({"cookies": "cf_clearance=abc; other=x"})).await;
    assert_eq!((status, &put["kept"]), (200, &json!(1)), "{put}");
    let admin = bench.gateway.keys.admin.clone();
    assert_eq!(bench.call(&admin, &format!("GET {path}"), (&[], "")).await.status, 403);
    let seen = bench.call(&bench.gateway.keys.exporter, &format!("GET {path}"), (&[], "")).await;
    assert!(seen.text().contains("cf_clearance=abc") && !seen.text().contains("other"), "{}", seen.text());
    assert_eq!(bench.write(&format!("POST {path}"), json!({"cookies": {"a": 7}})).await.0, 400);
    assert_eq!(bench.write(&format!("DELETE {path}"), Value::Null).await.0, 200);
    let seen = bench.call(&bench.gateway.keys.exporter, &format!("GET {path}"), (&[], "")).await;
    assert_eq!(seen.text(), "{\"cookies\":null}");
}
