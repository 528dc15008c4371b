//! Assignments as a file. Accounts are named by e-mail, so that the file fits another install, and the effect can be previewed.

use pool::egress::{Egress, EgressTable};
use pool::{Account, AccountId};

use super::ProxyError;
use super::manage::parse_egress;

/// The egress of an account, as a file has it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AssignmentTicket)]
pub struct EgressAssignment {
    /// Our id of the account; another install has another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// Its e-mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `global`, `direct`, `auto`, or a proxy's id or name.
    pub proxy_id: String,
    /// The proxy's name, for an install with other ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_name: Option<String>,
}

/// A change that a file would make.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AssignmentMove)]
pub struct EgressChange {
    /// The account.
    pub account_id: String,
    /// Its e-mail.
    pub email: String,
    /// Its egress now.
    pub from: String,
    /// Its egress after the change.
    pub to: String,
}

/// The effect of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = AssignmentMoves)]
pub struct AssignmentPreview {
    /// Accounts that would get another egress.
    pub changes: Vec<EgressChange>,
    /// How many accounts have the file's egress already.
    pub unchanged: usize,
}

/// The assignments of every account with an egress of its own.
pub(super) fn export(table: &EgressTable, accounts: &[Account]) -> Vec<EgressAssignment> {
    let assignment = |account: &Account| {
        let egress = table.assigned.get(&account.id)?;
        let name = match egress {
            Egress::Fixed(id) => table.proxy(id).map(|proxy| proxy.name.clone()),
            _ => None,
        };
        Some(EgressAssignment {
            account_id: Some(account.id.0.clone()),
            email: Some(account.email.clone()).filter(|email| !email.is_empty()),
            proxy_id: egress.to_string(),
            proxy_name: name,
        })
    };
    accounts.iter().filter_map(assignment).collect()
}

/// Previews assignments. Accounts are found by id, else by e-mail, which several accounts of a person share.
pub(super) fn preview(
    table: &EgressTable,
    accounts: &[Account],
    assignments: &[EgressAssignment],
) -> Result<AssignmentPreview, ProxyError> {
    let mut moves = AssignmentPreview::default();
    for assignment in assignments {
        let egress = parse_egress(&table.proxies, &assignment.proxy_id);
        let egress =
            egress.or_else(|_| parse_egress(&table.proxies, assignment.proxy_name.as_deref().unwrap_or_default()))?;
        for account in matching_accounts(accounts, assignment)? {
            let from = table.egress(&account.id);
            if *from == egress {
                moves.unchanged += 1;
                continue;
            }
            let id = account.id.0.clone();
            let (from, to) = (from.to_string(), egress.to_string());
            moves.changes.push(EgressChange { account_id: id, email: account.email.clone(), from, to });
        }
    }
    Ok(moves)
}

fn matching_accounts<'a>(
    accounts: &'a [Account],
    assignment: &EgressAssignment,
) -> Result<Vec<&'a Account>, ProxyError> {
    let id = assignment.account_id.clone().map(AccountId);
    if let Some(account) = accounts.iter().find(|account| Some(&account.id) == id.as_ref()) {
        return Ok(vec![account]);
    }
    let email = assignment.email.as_deref().filter(|email| !email.is_empty());
    let matches: Vec<_> = accounts.iter().filter(|account| Some(account.email.as_str()) == email).collect();
    if matches.is_empty() {
        let named = assignment.email.clone().or_else(|| assignment.account_id.clone());
        return Err(ProxyError::Account(named.unwrap_or_else(|| "without a name".to_owned())));
    }
    Ok(matches)
}
