//! The memory of a stream, and the times of its timers.

use std::task::Waker;

use super::*;

/// 1,000 streams may take 48 KiB each, sockets and buffers included; the gateway's own state is a small part of that.
#[test]
fn a_running_reply_is_small() {
    assert!(size_of::<ReplyStream>() <= 2560, "{} bytes", size_of::<ReplyStream>());
}

struct Watch(Timers);

impl Watch {
    fn new(idle: u64, heartbeat: u64) -> Self {
        Self(Timers::new(Instant::now(), Duration::from_secs(idle), Some(Duration::from_secs(heartbeat))))
    }

    /// The timer that is due after `seconds` more.
    async fn after(&mut self, seconds: u64) -> Option<&'static str> {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        match self.0.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Due::Heartbeat) => Some("heartbeat"),
            Poll::Ready(Due::Idle) => Some("idle"),
            Poll::Pending => None,
        }
    }

    fn read(&mut self) {
        self.0.last_read = Instant::now();
    }

    fn wrote(&mut self) {
        self.read();
        self.0.last_write = self.0.last_read;
    }
}

/// Row F8: 14, 16, 299 and 301 seconds of silence.
#[tokio::test(start_paused = true)]
async fn heartbeats_come_every_fifteen_seconds_until_the_end() {
    let mut watch = Watch::new(300, 15);
    assert_eq!(watch.after(14).await, None);
    for _ in 0..18 {
        assert_eq!(watch.after(1).await, Some("heartbeat"));
        assert_eq!(watch.after(14).await, None);
    }
    assert_eq!(watch.after(1).await, Some("heartbeat"), "285 s");
    assert_eq!(watch.after(14).await, None, "299 s");
    assert_eq!(watch.after(1).await, Some("idle"), "300 s");
}

#[tokio::test(start_paused = true)]
async fn any_byte_resets_the_idle_limit_but_only_output_a_heartbeat() {
    let mut watch = Watch::new(20, 15);
    assert_eq!(watch.after(14).await, None);
    watch.read();
    assert_eq!(watch.after(1).await, Some("heartbeat"));
    assert_eq!(watch.after(14).await, None, "29 s, but the upstream spoke at 14 s");
    watch.wrote();
    assert_eq!(watch.after(14).await, None);
    assert_eq!(watch.after(1).await, Some("heartbeat"));
    assert_eq!(watch.after(5).await, Some("idle"));
}
