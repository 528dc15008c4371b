//! Adding, changing and testing relays, for the command line, the configuration file and the admin API.

use pool::catalog::Model;
use pool::guard::{self, Denied};
use pool::relay::{AddressError, Capabilities, Invalid, PastedAddress, Relay, Wire};
use pool::status::Signal;
use pool::{AccountId, Millis, Secret, Status};
use store::{NewRelay, RelayModels, Store};
use upstream::Fault;
use upstream::relay::{ListOutcome, ProbeError, RelayClient};
use uuid::Uuid;

/// The UUID namespace of the relays in the configuration file.
const SPACE: Uuid = Uuid::from_u128(0x3c0d_6a1f_58b2_4e9a_9d17_c2f0_7ae4_61b8);

/// A relay to add.
#[derive(Clone, Debug)]
pub struct RelaySpec {
    /// Its name.
    pub name: String,
    /// Its address, as pasted.
    pub base_url: String,
    /// Its key; empty for none.
    pub key: Secret,
    /// The protocol; `None` derives it from the address, else asks the relay.
    pub wire: Option<Wire>,
    /// Its models; empty for its live list.
    pub models: Vec<String>,
    /// What stands before its model names.
    pub prefix: String,
    /// Its capabilities; `None` derives them from address and protocol.
    pub capabilities: Option<Capabilities>,
    /// Whether it may be at a private address.
    pub private: PrivateAccess,
    /// Its share among relays that could serve the same request.
    pub weight: u32,
    /// Whether it is switched on.
    pub enabled: bool,
}

/// Whether a relay may be reached over plain http or at a private address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrivateAccess {
    /// No.
    Refused,
    /// Yes.
    Allowed,
    /// Yes where the address is such a one, or is a name that resolves to such a one when it is added. Only for the owner at the
    /// machine.
    Auto,
}

/// Why a relay was not added, changed or tested, in words that say what to do.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// An invalid value.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The protocol could not be found out.
    #[error("which protocol it speaks is not known: {0}; hint: name its format (chat, responses, messages or gemini)")]
    Probe(#[from] ProbeError),
    /// The relay could not be asked.
    #[error("{0}")]
    Unreachable(#[from] Fault),
    /// It answered with a status other than 200.
    #[error("the relay answered {0}{hint}", hint = refused(*.0))]
    Status(u16),
    /// Its answer is no model list.
    #[error("the relay's answer is no model list: {0}")]
    List(#[from] pool::catalog::ListError),
    /// There is no such relay.
    #[error("there is no such relay; hint: `polygate relays list` lists all relays")]
    Unknown,
    /// Another relay has the name.
    #[error("a relay named {0} exists; hint: choose another name, or remove that relay first")]
    NameTaken(String),
    /// The stored key was given for another address.
    #[error("the relay's address is another one now; hint: its key must be given with it")]
    KeyNeeded,
    /// Only its owner at the machine can change it.
    #[error("this relay is set in the configuration file; hint: change it there")]
    File,
    /// The store failed.
    #[error(transparent)]
    Store(store::Error),
}

fn refused(status: u16) -> &'static str {
    match status {
        401 | 403 => ": its key is refused",
        404 | 405 => ": it has no model list at this address",
        _ => "",
    }
}

impl From<store::Error> for RelayError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::NoSuchRelay => Self::Unknown,
            store::Error::RelayNameTaken(name) => Self::NameTaken(name),
            store::Error::RelayKeyRequired => Self::KeyNeeded,
            other => Self::Store(other),
        }
    }
}

impl From<AddressError> for RelayError {
    fn from(error: AddressError) -> Self {
        Self::Invalid(error.into())
    }
}

impl From<Denied> for RelayError {
    fn from(denied: Denied) -> Self {
        Self::Invalid(denied.into())
    }
}

impl RelaySpec {
    /// The relay, without any call. Where neither format nor address tells the protocol it is Chat, which most relays speak.
    pub fn plan(&self, id: AccountId, now: Millis) -> Result<Relay, RelayError> {
        let pasted = PastedAddress::read(&self.base_url)?;
        let wire = self.wire.or_else(|| pasted.detect()).unwrap_or(Wire::Chat);
        let private = self.allows(guard::check_url(pasted.url(), false))?;
        self.relay(&pasted, (wire, private), (id, now))
    }

    /// The relay. Its host is resolved, and it is asked for its protocol where neither format nor address tells it.
    pub async fn detect(&self, relays: &RelayClient, id: AccountId, now: Millis) -> Result<Relay, RelayError> {
        let pasted = PastedAddress::read(&self.base_url)?;
        let asks = self.private == PrivateAccess::Auto;
        let private = self.allows(if asks { relays.check_public(pasted.url()).await } else { Ok(()) })?;
        let known_wire = self.wire.or_else(|| pasted.detect());
        let wire = if let Some(wire) = known_wire { wire } else { self.probe(relays, &pasted, private).await? };
        self.relay(&pasted, (wire, private), (id, now))
    }

    /// Asks the relay for its protocol.
    async fn probe(&self, relays: &RelayClient, pasted: &PastedAddress, private: bool) -> Result<Wire, RelayError> {
        guard::check_url(pasted.url(), private)?;
        Ok(relays.probe(pasted, &self.key, private).await?.wire)
    }

    fn relay(
        &self,
        pasted: &PastedAddress,
        (wire, private): (Wire, bool),
        (id, now): (AccountId, Millis),
    ) -> Result<Relay, RelayError> {
        let base_url = pasted.base(wire);
        let capabilities = self.capabilities.unwrap_or_else(|| Capabilities::likely(wire, &base_url));
        let relay = Relay {
            id,
            name: self.name.clone(),
            base_url,
            wire,
            models: self.models.clone(),
            prefix: self.prefix.clone(),
            capabilities,
            allow_private: private,
            enabled: self.enabled,
            weight: self.weight,
            status: Status::Active,
            created: now,
            version: 0,
        };
        relay.check()?;
        Ok(relay)
    }

    /// Whether private addresses are allowed for it; `strict` is the verdict without permission.
    fn allows(&self, strict: Result<(), Denied>) -> Result<bool, Denied> {
        match (self.private, strict) {
            (PrivateAccess::Allowed, _) => Ok(true),
            (PrivateAccess::Refused, _) | (PrivateAccess::Auto, Ok(())) => Ok(false),
            (PrivateAccess::Auto, Err(denied)) if denied.liftable() => Ok(true),
            (PrivateAccess::Auto, Err(denied)) => Err(denied),
        }
    }
}

/// The id of a relay in the configuration file.
pub(crate) fn file_relay_id(name: &str) -> AccountId {
    AccountId(Uuid::new_v5(&SPACE, name.as_bytes()).to_string())
}

/// Stores a new relay.
pub(crate) async fn add_relay(
    store: &Store,
    relays: &RelayClient,
    spec: &RelaySpec,
    now: Millis,
) -> Result<Relay, RelayError> {
    let relay = spec.detect(relays, AccountId(String::new()), now).await?;
    let id = store.put_relay(&new_relay(&relay, None, Some(spec.key.clone())), now).await?;
    Ok(Relay { id, ..relay })
}

/// Asks a stored relay for its models and stores the list. That also tests the key: a good answer ends a refusal of it.
pub(super) async fn test_relay(
    store: &Store,
    relays: &RelayClient,
    relay: &Relay,
    now: Millis,
) -> Result<usize, RelayError> {
    let key = store.relay_key(&relay.id).await?.ok_or(RelayError::Unknown)?;
    let models = relay_models(relays, relay, &key).await?;
    clear_refusal(store, relay.clone(), now).await?;
    if relay.models.is_empty() {
        let stored_models = RelayModels { body: pool::relay::models::write(&models), fetched: now };
        store.set_relay_models(&relay.id, &stored_models).await?;
    }
    Ok(models.len())
}

/// Ends a refusal of the key, also while others write the relay.
async fn clear_refusal(store: &Store, mut relay: Relay, now: Millis) -> Result<(), RelayError> {
    loop {
        let status = relay.status.apply(&Signal::SignedIn, now);
        if status == relay.status || store.set_relay_status(&relay.id, &status, relay.version).await? {
            return Ok(());
        }
        let all = store.relays().await?;
        relay = all.into_iter().find(|known| known.id == relay.id).ok_or(RelayError::Unknown)?;
    }
}

/// Fetches a relay's model list.
pub(super) async fn relay_models(relays: &RelayClient, relay: &Relay, key: &Secret) -> Result<Vec<Model>, RelayError> {
    match relays.models(relay, key).await? {
        ListOutcome::Models(models) => Ok(models),
        ListOutcome::Refused(status) => Err(RelayError::Status(status)),
        ListOutcome::Unreadable(error) => Err(error.into()),
    }
}

/// The relay in the store's form.
pub(crate) fn new_relay(relay: &Relay, id: Option<AccountId>, key: Option<Secret>) -> NewRelay {
    NewRelay {
        id,
        name: relay.name.clone(),
        base_url: relay.base_url.clone(),
        wire: relay.wire,
        models: relay.models.clone(),
        prefix: relay.prefix.clone(),
        capabilities: relay.capabilities,
        allow_private: relay.allow_private,
        enabled: relay.enabled,
        weight: relay.weight,
        key,
    }
}
