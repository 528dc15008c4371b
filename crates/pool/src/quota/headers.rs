//! Quota in response headers: `x-codex-{primary,secondary}-...` for the account, `x-<limit>-{primary,secondary}-...` for
//! limits of their own, credits, plan and the reason of a refusal.

use super::{Credits, NAMED, Named, Parts, Quota, TEXT, Window};
use crate::Millis;
use crate::lenient::Number;
use crate::sanitize::short;

/// The account's own limit.
const BASE: &str = "codex";

/// A family of headers on its way to a [`Named`].
#[derive(Default)]
struct Family {
    limit: String,
    name: Option<String>,
    primary: Parts,
    secondary: Parts,
}

pub(super) fn read<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>, now: Millis) -> Option<Quota> {
    let mut families: Vec<Family> = Vec::new();
    let mut quota = Quota { updated: now, ..Quota::default() };
    let mut credits = Credits::default();
    let (mut any_quota, mut credited) = (false, false);
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        let Some(name) = name.strip_prefix("x-") else { continue };
        let value = value.trim();
        if value.is_empty() {
            continue;
        }
        match name {
            "codex-plan-type" => quota.plan = Some(short(value, TEXT)),
            "codex-rate-limit-reached-type" => quota.reached = Some(short(value, TEXT)),
            "codex-credits-has-credits" => (credits.has, credited) = (truth(value), true),
            "codex-credits-unlimited" => (credits.unlimited, credited) = (truth(value), true),
            "codex-credits-balance" => (credits.balance, credited) = (Some(short(value, TEXT)), true),
            _ => {
                window(&mut families, name, value);
                continue;
            }
        }
        any_quota = true;
    }
    quota.credits = credited.then_some(credits);
    for family in families {
        any_quota |= add_family(&mut quota, family, now);
    }
    any_quota.then_some(quota)
}

/// Adds one header of a window to its family; ignores other headers.
fn window(families: &mut Vec<Family>, name: &str, value: &str) {
    let split = |word: &str| name.split_once(word);
    if let Some((limit, field)) = split("-primary-") {
        let Some(set) = setter(field) else { return };
        if let (Some(family), Some(number)) = (family(families, limit), Number::read(value)) {
            set(&mut family.primary, number);
        }
    } else if let Some((limit, field)) = split("-secondary-") {
        let Some(set) = setter(field) else { return };
        if let (Some(family), Some(number)) = (family(families, limit), Number::read(value)) {
            set(&mut family.secondary, number);
        }
    } else if let Some(limit) = name.strip_suffix("-limit-name").filter(|limit| limit.starts_with(BASE))
        && let Some(family) = family(families, limit)
    {
        family.name = Some(short(value, TEXT));
    }
}

fn setter(field: &str) -> Option<fn(&mut Parts, Number)> {
    Some(match field {
        "used-percent" => |parts, number| parts.used = Some(number.0),
        "window-minutes" => |parts, number| parts.minutes = Some(number.whole()),
        "reset-at" => |parts, number| parts.at = Some(number.whole()),
        "reset-after-seconds" => |parts, number| parts.after = Some(number.whole()),
        _ => return None,
    })
}

/// The family of `limit`, created when there is room. The account's own limit always has room.
fn family<'f>(families: &'f mut Vec<Family>, limit: &str) -> Option<&'f mut Family> {
    let at = families.iter().position(|family| family.limit == limit);
    let room = limit == BASE || !limit.is_empty() && limit.len() <= TEXT && families.len() < NAMED;
    if at.is_none() && !room {
        return None;
    }
    let at = at.unwrap_or_else(|| {
        families.push(Family { limit: limit.to_owned(), ..Family::default() });
        families.len() - 1
    });
    families.get_mut(at)
}

/// Puts a family into the quota; `false` when it held no whole window.
fn add_family(quota: &mut Quota, family: Family, now: Millis) -> bool {
    let (primary, secondary) = (family.primary.window(now), family.secondary.window(now));
    let some = primary.is_some() || secondary.is_some();
    if family.limit == BASE {
        (quota.primary, quota.secondary) = (primary, secondary);
    } else if some && quota.named.len() < NAMED {
        quota.named.push(Named { id: family.limit.replace('-', "_"), name: family.name, primary, secondary });
    }
    some
}

/// `True`, `true`, `1`.
fn truth(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value == "1"
}

pub(super) fn write(quota: &Quota, now: Millis) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut put = |name: String, value: String| {
        if value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            out.push((name, value));
        }
    };
    let base = Named { id: BASE.into(), primary: quota.primary, secondary: quota.secondary, name: None };
    for limit in std::iter::once(&base).chain(&quota.named).filter(|limit| nameable(&limit.id)) {
        let id = limit.id.replace('_', "-");
        for (kind, window) in [("primary", limit.primary), ("secondary", limit.secondary)] {
            for (field, value) in window.map(|window| fields(window, now)).into_iter().flatten() {
                put(format!("x-{id}-{kind}-{field}"), value);
            }
        }
        if let Some(name) = &limit.name {
            put(format!("x-{id}-limit-name"), name.clone());
        }
    }
    if let Some(plan) = &quota.plan {
        put("x-codex-plan-type".into(), plan.clone());
    }
    if let Some(reached) = &quota.reached {
        put("x-codex-rate-limit-reached-type".into(), reached.clone());
    }
    if let Some(credits) = &quota.credits {
        let word = |truth: bool| if truth { "True" } else { "False" };
        put("x-codex-credits-has-credits".into(), word(credits.has).into());
        put("x-codex-credits-unlimited".into(), word(credits.unlimited).into());
        if let Some(balance) = &credits.balance {
            put("x-codex-credits-balance".into(), balance.clone());
        }
    }
    out
}

fn fields(window: Window, now: Millis) -> Vec<(&'static str, String)> {
    let mut fields = vec![("used-percent", window.used(now).to_string())];
    fields.extend(window.minutes.map(|minutes| ("window-minutes", minutes.to_string())));
    if let Some(at) = window.resets_at {
        fields.push(("reset-at", at.seconds().to_string()));
        fields.push(("reset-after-seconds", now.until(at).div_ceil(1000).to_string()));
    }
    fields
}

/// Whether an id can stand in a header name; ids from events are names for people and cannot.
fn nameable(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}
