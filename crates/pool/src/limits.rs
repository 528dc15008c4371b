//! One table of limits and timers for code, docs and tests. Defaults; settings may change those that have one.

use std::time::Duration;

/// From accept to the end of the request head.
pub const HEADER_READ: Duration = Duration::from_secs(10);
/// Longest header list of a request, bytes.
pub const HEADER_BYTES: usize = 32 << 10;
/// Most headers of a request.
pub const HEADER_COUNT: usize = 100;
/// Longest request body on the wire, bytes.
pub const BODY_WIRE: usize = 32 << 20;
/// Longest request body after decompression, bytes.
pub const BODY_DECODED: usize = 64 << 20;
/// Longest pause in a request body, and what a slow client may take beyond [`BODY_RATE`].
pub const BODY_STALL: Duration = Duration::from_mins(1);
/// Lowest average rate of a request body, bytes a second.
pub const BODY_RATE: u32 = 1 << 10;
/// Longest request body without a key, bytes, and the longest wait for all of it.
pub const PUBLIC_BODY: (usize, Duration) = (16 << 10, Duration::from_secs(5));
/// Buffered bytes over all streams: request bodies, and kept parts of replies. A quarter of the memory where that is less.
pub const BUFFERED: usize = 512 << 20;
/// Most memory of one reply, bytes: the text that is repeated at its end, and what a collected reply is made of. It fits two of
/// the longest events.
pub const REPLY: usize = 128 << 20;
/// Longest SSE event, bytes.
pub const EVENT: usize = 64 << 20;
/// HTTP/2 streams per client connection.
pub const H2_STREAMS: u32 = 100;
/// HTTP/2 window per stream, bytes.
pub const H2_WINDOW: u32 = 1 << 20;
/// Most client connections.
pub const CONNECTIONS: usize = 20_000;
/// Most client connections of one address; loopback is exempt.
pub const CONNECTIONS_PER_IP: usize = 256;
/// Most replies in progress.
pub const STREAMS: usize = 16_384;
/// Most WebSocket connections of clients. What each holds of a message is charged to [`BUFFERED`] as it comes.
pub const SOCKETS: usize = 1024;
/// How long a client's WebSocket may be silent between two replies.
pub const SOCKET_IDLE: Duration = Duration::from_mins(30);
/// Messages of a client's WebSocket that may wait while a reply runs.
pub const SOCKET_WAITING: usize = 16;
/// How long the store may be unreachable until a node counts as not ready.
pub const STORE_GRACE: Duration = Duration::from_hours(1);
/// How long a node still takes requests after SIGTERM where several nodes share a store, so that a load balancer can notice.
pub const DRAIN_DELAY: Duration = Duration::from_secs(5);
/// How long SIGTERM waits for replies in progress.
pub const DRAIN: Duration = Duration::from_mins(2);
/// Longest connect to the upstream: for TCP, and again for TLS.
pub const CONNECT: Duration = Duration::from_secs(10);
/// How long sent data may stay unacknowledged before the upstream's connection is closed.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// From the sent request to the upstream's response head.
pub const RESPONSE_HEAD: Duration = Duration::from_mins(2);
/// From a forwarded request to the head of the relay's answer. A picture is finished before its answer begins.
pub const SERVICE_HEAD: Duration = Duration::from_mins(10);
/// Longest silence of the upstream inside a body.
pub const IDLE: Duration = Duration::from_mins(5);
/// Longest wait for the first real event before a reply is committed (design: commit rule).
pub const COMMIT: Duration = Duration::from_mins(1);
/// Silence after which the client gets a heartbeat.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long one write to a client may block.
pub const WRITE_STALL: Duration = Duration::from_mins(1);
/// Bytes waiting for one client; one translated or terminal event may exceed it up to [`EVENT`].
pub const STREAM_BUFFER: usize = 1 << 20;
/// One call of the token endpoint.
pub const REFRESH_CALL: Duration = Duration::from_secs(30);
/// Token calls at the same time, over all accounts.
pub const REFRESH_PARALLEL: usize = 2;
/// Refresh this long before a token ends; measured of the official client (295 s refreshes, 335 s does not).
pub const REFRESH_AHEAD: Duration = Duration::from_mins(5);
/// Two refreshes of one account are at least this far apart, whatever a clock says.
pub const REFRESH_GAP: Duration = Duration::from_mins(5);
/// The span over which refreshes begin that are overdue at the same moment, for example after a night's sleep.
pub const REFRESH_SPREAD: Duration = Duration::from_secs(15);
/// Refresh a token whose end cannot be read once it is this old.
pub const REFRESH_BLIND: Duration = Duration::from_hours(8 * 24);
/// Pauses before a token endpoint that answered with a 5xx is asked again while a request waits; without one it rests for minutes.
pub const REFRESH_RETRIES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// First and longest pause after a passing failure of the token endpoint; doubles in between.
pub const REFRESH_BACKOFF: (Duration, Duration) = (Duration::from_mins(1), Duration::from_hours(1));
/// A linked auth.json that was written less than this ago is Codex's to refresh.
pub const LINK_SETTLED: Duration = Duration::from_mins(1);
/// SQLite's busy timeout.
pub const SQLITE_BUSY: Duration = Duration::from_secs(5);
/// Usage rows are written at least this often.
pub const USAGE_BATCH: Duration = Duration::from_millis(250);
/// The furthest plausible reset.
pub const RESET_MAX: Duration = Duration::from_hours(31 * 24);
/// An instant further ahead than this comes from a clock that has been set back, and counts as never.
pub const CLOCK_SLACK: Duration = Duration::from_mins(5);
/// Model POSTs per request. A POST that is refused with a 401 for the login does not count; its replay with new tokens does.
pub const MODEL_POSTS: u32 = 2;
/// Tries per request that never reached the upstream.
pub const UNSENT_TRIES: u32 = 2;
/// Accounts with a dead login that one request may skip. So an outage that answers every call with 401 does not let one request
/// sign out every account.
pub const LOGIN_WALK: usize = 8;
/// Requests that wait for one busy account.
pub const QUEUE: u32 = 64;
/// Longest wait in that queue; then 429.
pub const QUEUE_WAIT: Duration = Duration::from_secs(30);
/// Rest after a 429 without a time, a used-up window included (`rate_limit_backoff_seconds`).
pub const RATE_BACKOFF: Duration = Duration::from_mins(1);
/// Rest when the plan, credits or a window is used up and no reset time is known.
pub const QUOTA_BACKOFF: Duration = Duration::from_hours(1);
/// Rest after a Cloudflare challenge or path block.
pub const CHALLENGE_BACKOFF: Duration = Duration::from_secs(30);
/// Rest after a 403 that neither blocks the account nor is a challenge (forbidden, country).
pub const FORBIDDEN_BACKOFF: Duration = Duration::from_mins(5);
/// How long a listed model is left out after the backend refused it, unless a new list comes first.
pub const MODEL_REST: Duration = Duration::from_mins(5);
/// How old a model list may grow before it is requested again.
pub const MODELS_TTL: Duration = Duration::from_hours(1);
/// Least time between two rounds of model lists: on an admin's request, and on a client's. Each round calls every account.
pub const MODELS_REFRESH_INTERVALS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(1));
/// How long a limit holds that a refusal has named. Providers may raise limits.
pub const LEARNED: Duration = Duration::from_hours(24);
/// Models of which such limits are kept.
pub const LEARNED_MODELS: usize = 256;
/// Versions of other Codex clients whose model lists are kept, and how long a version must be unused before another replaces it. Each
/// version costs a call for every list.
pub const CLIENT_VERSIONS: (usize, Duration) = (4, Duration::from_hours(1));
/// Longest wait of a Codex client for the list of its version. Then it gets the list of our version.
pub const CLIENT_VERSION_WAIT: Duration = Duration::from_secs(2);
/// How long the backend's routing of an account holds. A new login ends it earlier.
pub const ROUTING: Duration = Duration::from_hours(24);
/// Time between two checks of the version feeds, and before the first one.
pub const VERSIONS: (Duration, Duration) = (Duration::from_hours(6), Duration::from_mins(1));
/// Rest after the token endpoint failed for a passing reason while a request waited for it.
pub const LOGIN_BACKOFF: Duration = Duration::from_mins(1);
/// Failures in a row, and the time for them, after which the breaker of an account or relay opens.
pub const BREAKER: (usize, Duration) = (5, Duration::from_secs(10));
/// First and longest time that a breaker stays open; doubles with every failed probe, full jitter.
pub const BREAKER_BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));
/// Budget of second model POSTs: one for this many requests, but always this many a second.
pub const RETRIES: (u64, u64) = (10, 3);
/// Most models of a fallback chain.
pub const FALLBACKS: usize = 8;
/// Stored responses.
pub const STORED: usize = 10_000;
/// Bytes of all stored responses together.
pub const STORED_BYTES: usize = 64 << 20;
/// Bytes of the stored responses of one key.
pub const STORED_SHARE: usize = STORED_BYTES / 2;
/// Bytes of one conversation that is stored, or kept by its WebSocket. A short request may cause a new copy of it.
pub const STORED_CONVERSATION: usize = 8 << 20;
/// Most turns of one conversation that is kept.
pub const STORED_TURNS: usize = 1000;
/// How long a stored response is kept.
pub const STORED_AGE: Duration = Duration::from_hours(24);
/// Bytes of the conversations that all WebSocket connections remember beside stored responses.
pub const TRAIL_BYTES: usize = 256 << 20;
/// Longest upstream message shown to a client, bytes.
pub const MESSAGE: usize = 2 << 10;
