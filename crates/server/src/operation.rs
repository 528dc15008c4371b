//! The description of an admin route, declared beside its handler with the types that the handler reads and writes.

use utoipa::ToSchema;
use utoipa::openapi::{Ref, RefOr, Schema};

/// Schemas by name, in the order in which they were added.
pub(super) type Schemas = Vec<(String, RefOr<Schema>)>;

/// See [`shape`].
pub(super) type SchemaOf = fn(&mut Schemas) -> Ref;

/// The description of a route. Its method, path and scope are in the route table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(super) topic: Tag,
    pub(super) about: &'static str,
    pub(super) more: Option<&'static str>,
    pub(super) param: &'static str,
    pub(super) options: &'static [Param],
    pub(super) takes: BodyShape,
    pub(super) gives: [Option<Success>; 2],
    pub(super) fails: &'static [u16],
}

/// The part of the admin API that a route belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tag {
    Accounts,
    Logins,
    Relays,
    Proxies,
    Keys,
    Gateway,
}

/// A parameter in the query or headers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    pub(crate) location: ParamIn,
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The accepted values; empty for any text.
    pub(crate) values: &'static [&'static str],
}

impl Param {
    /// A query parameter that takes one of `values`, or any text if there are none.
    pub(crate) const fn query(name: &'static str, about: &'static str, values: &'static [&'static str]) -> Self {
        Self { location: ParamIn::Query, name, about, values }
    }

    /// A header that takes any text.
    pub(crate) const fn header(name: &'static str, about: &'static str) -> Self {
        Self { location: ParamIn::Header, name, about, values: &[] }
    }
}

/// The location of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParamIn {
    Query,
    Header,
}

/// The body that a route reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum BodyShape {
    Nothing,
    Json { shape: SchemaOf, required: bool },
    Text { types: &'static [&'static str], about: &'static str },
}

/// A successful response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Success {
    pub(super) status: u16,
    pub(super) body: Content,
}

/// The body of a response.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Nothing,
    Json(SchemaOf),
    /// Server-sent events. OpenAPI 3.1 cannot describe their framing, so their schema is only listed among the others.
    Events {
        shape: SchemaOf,
        about: &'static str,
    },
    /// Not JSON, or JSON in the format of another program.
    Raw {
        media: &'static str,
        about: &'static str,
    },
}

impl Operation {
    /// A route with only a summary.
    pub(crate) const fn new(topic: Tag, about: &'static str) -> Self {
        let param = "The id.";
        Self { topic, about, more: None, param, options: &[], takes: BodyShape::Nothing, gives: [None; 2], fails: &[] }
    }

    /// Adds a longer description.
    pub(crate) const fn more(self, more: &'static str) -> Self {
        Self { more: Some(more), ..self }
    }

    /// Describes the path parameter, if it is not an id.
    pub(crate) const fn param(self, param: &'static str) -> Self {
        Self { param, ..self }
    }

    /// Adds parameters of the query and headers.
    pub(crate) const fn options(self, options: &'static [Param]) -> Self {
        Self { options, ..self }
    }

    /// Adds a required JSON body.
    pub(crate) const fn takes<T: ToSchema>(self) -> Self {
        Self { takes: BodyShape::Json { shape: schema_of::<T>, required: true }, ..self }
    }

    /// Adds an optional JSON body.
    pub(crate) const fn may_take<T: ToSchema>(self) -> Self {
        Self { takes: BodyShape::Json { shape: schema_of::<T>, required: false }, ..self }
    }

    /// Adds a body that is a file.
    pub(crate) const fn reads(self, types: &'static [&'static str], about: &'static str) -> Self {
        Self { takes: BodyShape::Text { types, about }, ..self }
    }

    /// Adds a response with a JSON body.
    pub(crate) const fn gives<T: ToSchema>(self, status: u16) -> Self {
        self.answers(Success { status, body: Content::Json(schema_of::<T>) })
    }

    /// Adds a response without a body.
    pub(crate) const fn bare(self, status: u16) -> Self {
        self.answers(Success { status, body: Content::Nothing })
    }

    /// Adds a response that is a file.
    pub(crate) const fn sends(self, media: &'static str, about: &'static str) -> Self {
        self.answers(Success { status: 200, body: Content::Raw { media, about } })
    }

    /// Adds failures that not every route has.
    pub(crate) const fn fails(self, fails: &'static [u16]) -> Self {
        Self { fails, ..self }
    }

    /// Adds a response that is a stream of events, each with data of this type.
    pub(crate) const fn streams<T: ToSchema>(self, about: &'static str) -> Self {
        self.answers(Success { status: 200, body: Content::Events { shape: schema_of::<T>, about } })
    }

    const fn answers(self, one: Success) -> Self {
        Self { gives: [Some(one), self.gives[0]], ..self }
    }
}

impl Tag {
    pub(super) const ALL: [(Self, &'static str, &'static str); 6] = [
        (Self::Accounts, "accounts", "ChatGPT accounts: their state, their quota, their files"),
        (Self::Logins, "logins", "Ways to sign in"),
        (Self::Relays, "relays", "Other services that serve models; the paths call them API keys"),
        (Self::Proxies, "proxies", "Proxies, and the egress of each account"),
        (Self::Keys, "keys", "Client keys and admin tokens"),
        (Self::Gateway, "gateway", "The gateway itself"),
    ];

    /// The tag's name in the description.
    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(topic, ..)| *topic == self).map_or("", |(_, name, _)| name)
    }
}

/// Adds the schemas of `T`, and returns a reference to the schema of `T` itself.
pub(super) fn schema_of<T: ToSchema>(shapes: &mut Schemas) -> Ref {
    T::schemas(shapes);
    let name = T::name();
    shapes.push((name.to_string(), T::schema()));
    Ref::from_schema_name(name)
}
