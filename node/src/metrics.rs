//! Counters, in the text form of Prometheus.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the node has done since it was started.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) transactions: Counter,
    pub(crate) views: Counter,
    pub(crate) connections: Counter,
    pub(crate) refused: Counter,
    answered: Counter,
    errors: Counter,
    micros: Counter,
}

impl Metrics {
    pub(crate) fn request(&self, fine: bool, took: Duration) {
        if fine {
            self.answered.add(1)
        } else {
            self.errors.add(1)
        }
        self.micros.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn text(&self, height: u64) -> String {
        let mut text = String::new();
        let all = [
            (
                "cotenant_requests_total",
                "counter",
                "Requests answered with a result",
                self.answered.get(),
            ),
            (
                "cotenant_request_errors_total",
                "counter",
                "Requests answered with an error",
                self.errors.get(),
            ),
            (
                "cotenant_request_microseconds_total",
                "counter",
                "Time spent on requests",
                self.micros.get(),
            ),
            (
                "cotenant_transactions_total",
                "counter",
                "Signed transactions received",
                self.transactions.get(),
            ),
            ("cotenant_views_total", "counter", "Views run", self.views.get()),
            (
                "cotenant_connections_total",
                "counter",
                "Connections accepted",
                self.connections.get(),
            ),
            (
                "cotenant_refused_total",
                "counter",
                "Requests refused before they were read",
                self.refused.get(),
            ),
            ("cotenant_block_height", "gauge", "Height of the last block", height),
        ];
        for (name, kind, help, value) in all {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
        }
        text
    }
}
