//! Large requests beside small ones.

use proto::Dialect;
use wire_body::{INLINE, max_concurrent, offload};

use crate::bench::Bench;
use crate::bench::call;

/// A large request waits for a thread of its own; small ones do not wait for it.
#[tokio::test]
async fn a_large_request_is_written_off_the_threads_of_small_ones() {
    let bench = Bench::new().await;
    let (held, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let mut running = Vec::new();
    for _ in 0..max_concurrent() {
        let (release, wait) = std::sync::mpsc::channel::<()>();
        let held = held.clone();
        let work = move || {
            held.send(()).expect("the test waits for it");
            wait.recv().ok()
        };
        running.push((release, tokio::spawn(offload(INLINE + 1, work))));
        begun.recv().await.expect("it begins");
    }
    let text = format!("Reply with exactly: pong {}", " ".repeat(INLINE));
    let mut large = Box::pin(bench.ask(call(Dialect::Chat, &text, true)));
    let small = async {
        for _ in 0..20 {
            bench.ask(call(Dialect::Chat, "Reply with exactly: pong", true)).await.expect("a reply");
        }
    };
    tokio::select! {
        _ = &mut large => panic!("written although no thread is free"),
        () = small => {}
    }
    running.clear();
    large.await.expect("a reply");
}
