//! The part of one reply that will be stored.

use std::sync::Arc;
use std::task::{Context, Waker};

use pool::limits;
use proto::dialect::responses::{self, Stored as Marks};
use proto::json::Path;
use proto::{Dialect, Failure, Item, Json, Kind, Text};
use uuid::Uuid;

use super::history::ConnectionHistory;
use super::responses::{Cancellation, ResponseKey, StoredConversation, StoredReply, StoredTurn, TurnReservation};
use crate::registry::keys::KeyId;
use crate::request::call::Call;
use crate::request::estimate;
use crate::request::services::Services;

/// Longest id of a response that is stored or shown in an error.
const ID: usize = 128;

/// The plan to store a reply, and the fields about it in the response objects.
pub(crate) struct PendingStore {
    services: Arc<Services>,
    key: KeyId,
    marks: Marks,
    /// Whether the response is stored for its key.
    stores: bool,
    trail: Option<Arc<ConnectionHistory>>,
    before: Vec<Arc<StoredTurn>>,
    /// The request's own items; `None` where nothing is stored.
    input: Option<(Json, TurnReservation)>,
    conversation: Uuid,
    /// The reply's key and number among the stored responses while it runs.
    running: Option<(ResponseKey, u64)>,
    cancel: Arc<Cancellation>,
    /// The waker that is registered for a cancellation.
    registered_waker: Option<Waker>,
}

/// Prepends the conversation that a request continues to its input, and returns the plan to store the reply; `None` if nothing is stored.
/// Errors: no such response, no room for its conversation, or too many items.
pub(crate) fn recall(services: &Arc<Services>, call: &mut Call) -> Result<Option<Box<PendingStore>>, Failure> {
    let previous = call.request.previous.take();
    let past =
        previous.as_deref().map(|id| find(services, call, id).ok_or_else(|| unknown_response(id))).transpose()?;
    if let Some(past) = &past
        && !call.memory.take(input_bytes(&past.turns))
    {
        return Err(over_memory());
    }
    let responses = call.dialect == Dialect::Responses;
    let trail = call.client.socket_history.clone().filter(|_| responses);
    // As with OpenAI, the default is to store.
    let mut stores = responses && call.request.store != Some(false);
    let keeps = stores || trail.is_some();
    let before = past.as_ref().map(|past| past.turns.clone()).unwrap_or_default();
    let input = if keeps { pack(services, call, (stores, &before)) } else { None };
    if let Some(past) = past {
        prepend_history(call, &past)?;
    }
    let marked = stores || previous.is_some();
    let most = input.as_ref().map(|(_, weight)| limits::STORED_CONVERSATION - input_bytes(&before) - weight.0.bytes());
    if stores && input.is_none() {
        stores = false;
        call.notes.add("not stored: the conversation is too large, or too much is in use");
    }
    if !responses || !(marked || keeps) {
        return Ok(None);
    }
    let previous = previous.as_deref().map(Text::from);
    let marks = Marks { store: marked.then_some(stores), previous, max_bytes: most };
    let (services, key, cancel) = (Arc::clone(services), call.key.clone(), Arc::default());
    let (conversation, running) = (Uuid::nil(), None);
    Ok(Some(Box::new(PendingStore {
        services,
        key,
        marks,
        stores,
        trail,
        before,
        input,
        conversation,
        running,
        cancel,
        registered_waker: None,
    })))
}

/// The approximate bytes that [`recall`] reads.
pub(crate) fn recalled_bytes(services: &Services, call: &Call) -> usize {
    let past = call.request.previous.as_deref().and_then(|id| find(services, call, id));
    estimate::bytes(&call.request) + past.map_or(0, |past| input_bytes(&past.turns))
}

fn find(services: &Services, call: &Call, id: &str) -> Option<StoredConversation> {
    let last = call.client.socket_history.as_ref().and_then(|trail| trail.find(id));
    last.or_else(|| {
        match services.stored.responses.lock().get(&ResponseKey::of(&call.key, id), services.runtime.now())? {
            StoredReply::Ended(record) if record.can_continue => Some(record.clone()),
            _ => None,
        }
    })
}

fn unknown_response(id: &str) -> Failure {
    let id = &id[..id.floor_char_boundary(ID)];
    let failure = Failure::new(Kind::Invalid, format!("Previous response with id '{id}' not found."));
    failure.at("previous_response_id").code("previous_response_not_found")
}

fn over_memory() -> Failure {
    let failure = Failure::new(Kind::Overloaded, "too many conversations are in flight");
    failure.code("overloaded").retry_after(1)
}

/// Puts the conversation's items before the client's items; the client's instructions stay. Errors: together the items exceed the limit
/// of a request.
fn prepend_history(call: &mut Call, past: &StoredConversation) -> Result<(), Failure> {
    let most = responses::MOST_ITEMS.saturating_sub(call.request.items.len());
    let mut items: Vec<Item> = past.turns.iter().flat_map(|turn| turn.items()).take(most + 1).collect();
    if items.len() > most {
        let why = format!("the conversation goes beyond {} items.", responses::MOST_ITEMS);
        return Err(Path::ROOT.field("input").bad(&why));
    }
    items.append(&mut call.request.items);
    call.request.items = items;
    call.client.chained = Some(past.conversation);
    if call.dialect != Dialect::Responses {
        call.request.raw = None;
    }
    Ok(())
}

fn input_bytes(turns: &[Arc<StoredTurn>]) -> usize {
    turns.iter().map(|turn| turn.bytes()).sum()
}

/// The request's own items; their memory is reserved before they are copied. `None` when they cannot be stored.
fn pack(
    services: &Services,
    call: &Call,
    (stores, before): (bool, &[Arc<StoredTurn>]),
) -> Option<(Json, TurnReservation)> {
    if before.len() >= limits::STORED_TURNS {
        return None;
    }
    let most = limits::STORED_CONVERSATION.saturating_sub(input_bytes(before));
    let weigh = |size| {
        reserve(services, &call.key, (stores, Some(StoredTurn::size(size, before)).filter(|size| *size <= most)?))
    };
    responses::pack(&call.request.items, weigh)
}

fn reserve(services: &Services, key: &KeyId, (stores, bytes): (bool, usize)) -> Option<TurnReservation> {
    let stored = &services.stored;
    if stores {
        stored.responses.lock().reserve(key, bytes)
    } else {
        Some((stored.histories.take_exactly(bytes)?, None))
    }
}

impl PendingStore {
    /// The fields for the response objects.
    pub(crate) fn marks(&self) -> Marks {
        self.marks.clone()
    }

    /// Sets the conversation that the response belongs to.
    pub(crate) fn set_conversation(&mut self, conversation: Uuid) {
        self.conversation = conversation;
    }

    /// Whether the reply's id is still unknown.
    pub(crate) fn is_unnamed(&self) -> bool {
        self.stores && self.running.is_none()
    }

    /// Notes that the reply runs and its client knows its id.
    pub(crate) fn note_running(&mut self, response: &Json) {
        let Some(name) = self.name(response) else { return };
        let Some((input, _)) = &self.input else { return };
        let (turns, input, cancel) = (self.before.clone(), input.clone(), Arc::clone(&self.cancel));
        let held = StoredReply::Running { response: response.clone(), turns, input, cancel };
        let number = self.services.stored.responses.lock().put(name.clone(), held, self.services.runtime.now());
        self.running = Some((name, number));
    }

    /// Whether a client cancelled the reply. The task is registered once, and again only when another task polls.
    pub(crate) fn cancelled(&mut self, cx: &Context<'_>) -> bool {
        if self.running.is_none() {
            return false;
        }
        if !self.registered_waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            self.cancel.register(cx.waker());
            self.registered_waker = Some(cx.waker().clone());
        }
        self.cancel.is_requested()
    }

    /// Stores the ended reply, whatever its result.
    pub(crate) fn finish(mut self, response: Option<&Json>) {
        let named = response.and_then(|response| Some((self.name(response)?, response)));
        let stored = named.and_then(|(name, response)| Some((name, self.stored_conversation(response)?)));
        if let Some(trail) = &self.trail {
            let last = stored.as_ref().filter(|(_, record)| record.can_continue);
            trail.set(last.map(|(name, record)| (name.id().to_owned(), record.clone())));
        }
        let Some((name, record)) = stored.filter(|_| self.stores) else { return };
        let mut responses = self.services.stored.responses.lock();
        match self.running.take() {
            Some((name, number)) => _ = responses.finish(&name, number, record),
            None => _ = responses.put(name, StoredReply::Ended(record), self.services.runtime.now()),
        }
    }

    fn stored_conversation(&mut self, response: &Json) -> Option<StoredConversation> {
        let (input, weight) = self.input.take()?;
        let weights = [weight, reserve(&self.services, &self.key, (self.stores, response.bytes().len()))?];
        let turn = StoredTurn::new((input, response.clone()), weights);
        let status = response.text("status");
        let goes_on = status.is_some_and(|status| status.is("completed") || status.is("incomplete"));
        let turns = self.before.iter().cloned().chain([Arc::new(turn)]).collect();
        Some(StoredConversation { turns, conversation: self.conversation, can_continue: goes_on })
    }

    fn name(&self, response: &Json) -> Option<ResponseKey> {
        let id = response.text("id")?;
        let id = id.plain();
        (1..=ID).contains(&id.len()).then(|| ResponseKey::of(&self.key, &id))
    }
}

impl Drop for PendingStore {
    /// A reply whose client left is not stored.
    fn drop(&mut self) {
        if let Some((name, number)) = self.running.take() {
            self.services.stored.responses.lock().discard(&name, number);
        }
    }
}
