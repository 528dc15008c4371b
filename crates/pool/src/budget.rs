//! A shared budget for retries, so that a failure of every request does not double the load.

#[cfg(test)]
mod tests;

use crate::{Millis, limits};

/// Seconds that count.
const SPAN: u8 = 10;

/// Requests and second calls of the last seconds.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    seconds: [Second; SPAN as usize],
}

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at: i64,
    requests: u64,
    retries: u64,
}

impl Budget {
    /// Counts a request.
    pub fn record_request(&mut self, now: Millis) {
        self.second(now).requests += 1;
    }

    /// Takes a retry from the budget; `false` when none is left. The budget is one retry for every tenth request of the last ten
    /// seconds, but at least three a second ([`limits::RETRIES`]).
    pub fn try_spend(&mut self, now: Millis) -> bool {
        let (requests, retries) = self.sums(now);
        let (share, least) = limits::RETRIES;
        let allowed = (requests / share).max(least * u64::from(SPAN));
        let left = retries < allowed;
        if left {
            self.second(now).retries += 1;
        }
        left
    }

    fn sums(&self, now: Millis) -> (u64, u64) {
        let lately = now.seconds() - i64::from(SPAN) + 1..=now.seconds();
        let seconds = self.seconds.iter().filter(|second| lately.contains(&second.at));
        seconds.fold((0, 0), |(requests, retries), second| (requests + second.requests, retries + second.retries))
    }

    fn second(&mut self, now: Millis) -> &mut Second {
        let at = now.seconds();
        let index = usize::try_from(at.rem_euclid(i64::from(SPAN))).unwrap_or(0);
        let second = &mut self.seconds[index];
        if second.at != at {
            *second = Second { at, ..Second::default() };
        }
        second
    }
}
