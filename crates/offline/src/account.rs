//! The logins of the backend, their tokens and their quota.

mod claims;

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::token::{self, Revocation};

/// A login for tests: one account, one user, fresh tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FakeAccount {
    /// `chatgpt_account_id`, a UUID.
    pub account_id: String,
    /// `chatgpt_user_id`, `user-...`.
    pub user: String,
    /// `user@example.test`.
    pub email: String,
    /// `plus`, `pro`, `free`, ...
    pub plan: String,
    /// Access token (JWT).
    pub access: String,
    /// Refresh token, `rt_...`.
    pub refresh: String,
    /// Id token (JWT).
    pub id: String,
}

impl FakeAccount {
    /// The Codex `auth.json` of this login.
    pub fn auth_json(&self) -> String {
        let file = json!({
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": null,
            "tokens": {
                "id_token": self.id,
                "access_token": self.access,
                "refresh_token": self.refresh,
                "account_id": self.account_id,
            },
            "last_refresh": token::iso(token::now()),
        });
        serde_json::to_string_pretty(&file).expect("invariant: a value of strings serialises")
    }
}

/// Parameters of a new login.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewAccount {
    /// `plus` by default.
    pub plan: String,
    /// A random UUID when absent; give the same one twice for two users of a workspace.
    pub account_id: Option<String>,
    /// Random when absent.
    pub user: Option<String>,
    /// Derived from the user when absent.
    pub email: Option<String>,
    /// A FedRAMP workspace.
    pub fedramp: bool,
    /// Lifetime of the first access token, seconds; negative is already expired.
    pub expires_in: i64,
}

impl Default for NewAccount {
    fn default() -> Self {
        Self { plan: "plus".into(), account_id: None, user: None, email: None, fedramp: false, expires_in: 864_000 }
    }
}

/// One rate-limit window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// 0 to 100.
    pub used_percent: f64,
    /// The length of the window.
    pub window_minutes: u32,
    /// Unix seconds.
    pub reset_at: i64,
}

/// The used part of an account's limits. A window at 100 % refuses model requests with `usage_limit_reached`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quota {
    /// Usually five hours.
    pub primary: Option<Window>,
    /// Usually a week.
    pub secondary: Option<Window>,
    /// `x-codex-rate-limit-reached-type` sent with a refusal.
    pub reached: Option<String>,
    /// Reset credits left.
    pub reset_credits: u32,
    /// Limits of single features.
    pub metered: Vec<Metered>,
}

/// A limit of a single feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metered {
    /// Display name, `GPT-5.3-Codex-Spark`.
    pub name: String,
    /// Feature id, `codex_bengalfox`.
    pub feature: String,
    /// The feature's window.
    pub primary: Window,
}

impl Default for Quota {
    fn default() -> Self {
        let now = token::now();
        Self {
            primary: Some(Window { used_percent: 12.0, window_minutes: 300, reset_at: now + 9_000 }),
            secondary: Some(Window { used_percent: 34.0, window_minutes: 10_080, reset_at: now + 300_000 }),
            reached: None,
            reset_credits: 1,
            metered: Vec::new(),
        }
    }
}

impl Quota {
    /// A quota whose primary window is used up and resets in `after`.
    pub fn exhausted(after: Duration) -> Self {
        let mut quota = Self::default();
        if let Some(window) = &mut quota.primary {
            window.used_percent = 100.0;
            window.reset_at = token::now() + i64::try_from(after.as_secs()).unwrap_or(i64::MAX / 2);
        }
        quota
    }

    /// The latest reset time of the full windows; `None` if no window is full.
    pub(crate) fn resets_at(&self) -> Option<i64> {
        let full = |window: &&Window| window.used_percent >= 100.0;
        [&self.primary, &self.secondary].into_iter().flatten().filter(full).map(|window| window.reset_at).max()
    }
}

/// The claims, quota and models of one login.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) account_id: String,
    pub(crate) user: String,
    pub(crate) email: String,
    pub(crate) plan: String,
    pub(crate) fedramp: bool,
    pub(crate) quota: Quota,
    /// Slugs of the models that the login may use; the whole catalogue when absent.
    pub(crate) models: Option<Vec<String>>,
    /// Requests that spent a reset credit.
    pub(crate) redeemed: Vec<String>,
}

/// Index of a login in the account table.
pub(crate) type LoginIndex = usize;

pub(crate) struct AccessToken {
    pub(crate) who: LoginIndex,
    pub(crate) expires: i64,
    pub(crate) refused: Option<Revocation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshTokenState {
    Current,
    Used,
    Expired,
    Invalidated,
}

pub(crate) struct RefreshToken {
    pub(crate) who: LoginIndex,
    pub(crate) state: RefreshTokenState,
}

/// Every login, and every token ever issued.
#[derive(Default)]
pub(crate) struct AccountTable {
    pub(crate) logins: Vec<Login>,
    pub(crate) access: HashMap<String, AccessToken>,
    pub(crate) refresh: HashMap<String, RefreshToken>,
    pub(crate) login_as: Option<LoginIndex>,
    pub(crate) deny: bool,
    /// Seconds by which the backend's clock is ahead of this machine's.
    pub(crate) ahead: i64,
}

/// The tokens of one token response.
pub(crate) struct Grant {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) id: String,
}

impl AccountTable {
    pub(crate) fn add(&mut self, new: NewAccount) -> LoginIndex {
        let user = new.user.unwrap_or_else(|| format!("user-{}", token::random(18).replace(['-', '_'], "x")));
        let tail = user.trim_start_matches("user-").to_lowercase();
        let email = new.email.unwrap_or_else(|| format!("{}@example.test", &tail[..tail.len().min(8)]));
        self.logins.push(Login {
            account_id: new.account_id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            user: format!("user-{}", user.trim_start_matches("user-")),
            email,
            plan: new.plan,
            fedramp: new.fedramp,
            quota: Quota::default(),
            models: None,
            redeemed: Vec::new(),
        });
        self.logins.len() - 1
    }

    /// Unix seconds on the backend's clock.
    pub(crate) fn now(&self) -> i64 {
        token::now() + self.ahead
    }

    /// Issues tokens for a login. Earlier tokens stay valid.
    pub(crate) fn grant(&mut self, who: LoginIndex, lifetime: i64, client: &str) -> Grant {
        let person = &self.logins[who];
        let expires = self.now() + lifetime;
        let grant = Grant {
            access: claims::access(person, expires, client),
            refresh: format!("rt_{}", token::random(48)),
            id: claims::id(person, client),
        };
        self.access.insert(grant.access.clone(), AccessToken { who, expires, refused: None });
        self.refresh.insert(grant.refresh.clone(), RefreshToken { who, state: RefreshTokenState::Current });
        grant
    }

    pub(crate) fn fake_account(&self, who: LoginIndex, grant: Grant) -> FakeAccount {
        let person = self.logins[who].clone();
        FakeAccount {
            account_id: person.account_id,
            user: person.user,
            email: person.email,
            plan: person.plan,
            access: grant.access,
            refresh: grant.refresh,
            id: grant.id,
        }
    }

    /// The login of an access token, or the reason for the refusal; the reason is `None` for a token that was never issued.
    pub(crate) fn verify_access_token(&self, token: &str) -> Result<LoginIndex, Option<Revocation>> {
        let access = self.access.get(token).ok_or(None)?;
        match access.refused {
            Some(why) => Err(Some(why)),
            None if access.expires <= self.now() => Err(Some(Revocation::Expired)),
            None => Ok(access.who),
        }
    }

    /// Every login of this account id.
    pub(crate) fn of<'a>(&'a self, account_id: &'a str) -> impl Iterator<Item = LoginIndex> + 'a {
        let same = move |(_, person): &(usize, &Login)| person.account_id == account_id;
        self.logins.iter().enumerate().filter(same).map(|(index, _)| index)
    }

    /// Revokes all access tokens that this account has now.
    pub(crate) fn revoke_access(&mut self, account_id: &str, why: Revocation) {
        let who: Vec<LoginIndex> = self.of(account_id).collect();
        for access in self.access.values_mut().filter(|access| who.contains(&access.who)) {
            access.refused = Some(why);
        }
    }

    /// Ends the validity of this account's working refresh tokens; `fate` is the reason.
    pub(crate) fn invalidate_refresh_tokens(&mut self, account_id: &str, fate: RefreshTokenState) {
        let who: Vec<LoginIndex> = self.of(account_id).collect();
        let current = |token: &&mut RefreshToken| who.contains(&token.who) && token.state == RefreshTokenState::Current;
        for token in self.refresh.values_mut().filter(current) {
            token.state = fate;
        }
    }

    /// The refresh tokens of this account that still work.
    pub(crate) fn current(&self, account_id: &str) -> Vec<String> {
        let who: Vec<LoginIndex> = self.of(account_id).collect();
        let live = |entry: &(&String, &RefreshToken)| {
            entry.1.state == RefreshTokenState::Current && who.contains(&entry.1.who)
        };
        self.refresh.iter().filter(live).map(|(token, _)| token.clone()).collect()
    }
}
