//! How many retries a peer is sent: while it mostly fails, none. Otherwise everyone's retries would keep it down.

use std::sync::atomic::{AtomicU32, Ordering};

/// Counted in tenths of a token.
const FULL: u32 = 100;
const FAILURE: u32 = 10;
const SUCCESS: u32 = 1;

/// A bucket of ten tokens: a failure takes one, a success puts a tenth back, and above half of it there are retries, as
/// gRPC's own clients have it (proposal A6).
#[derive(Debug)]
pub(super) struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FULL))
    }
}

impl Budget {
    pub(super) fn succeeded(&self) {
        self.change(|tokens| (tokens + SUCCESS).min(FULL));
    }

    /// Whether it may be tried again.
    pub(super) fn failed(&self) -> bool {
        self.change(|tokens| tokens.saturating_sub(FAILURE));
        self.is_open()
    }

    /// Whether it may be tried again, this failure being one that was counted before.
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) > FULL / 2
    }

    fn change(&self, to: impl Fn(u32) -> u32) {
        // It always has something to change it to.
        let _ =
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| Some(to(tokens)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_five_failures_it_takes_ten_successes_to_be_tried_again() {
        let budget = Budget::default();
        assert!((0..4).all(|_| budget.failed()));
        assert!(!budget.failed());
        (0..10).for_each(|_| budget.succeeded());
        assert!(!budget.failed());
        (0..11).for_each(|_| budget.succeeded());
        assert!(budget.failed());
        (0..1000).for_each(|_| budget.succeeded());
        assert!((0..4).all(|_| budget.failed()) && !budget.failed());
    }
}
