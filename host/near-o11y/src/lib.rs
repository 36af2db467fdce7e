//! The part of NEAR's `near-o11y` that `near-vm-runner` uses: constructors of Prometheus metrics in the global
//! registry. The workspace patches the crate of this name with this one, which keeps OpenTelemetry and its HTTP
//! stack out of the build.

/// Metrics in Prometheus' global registry.
pub mod metrics {
    use prometheus::core::Collector;
    use prometheus::{HistogramOpts, Opts, Result};

    pub use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

    /// Creates and registers a counter with labels.
    ///
    /// # Errors
    /// The registry's: a name that is taken or malformed.
    pub fn try_create_int_counter_vec(
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec> {
        register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// Creates and registers a gauge with labels.
    ///
    /// # Errors
    /// The registry's: a name that is taken or malformed.
    pub fn try_create_int_gauge_vec(
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec> {
        register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// Creates and registers a histogram with labels; `buckets` are upper bounds in ascending order, Prometheus'
    /// own without them.
    ///
    /// # Errors
    /// The registry's: a name that is taken or malformed, buckets out of order.
    pub fn try_create_histogram_vec(
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: Option<Vec<f64>>,
    ) -> Result<HistogramVec> {
        let mut opts = HistogramOpts::new(name, help);
        if let Some(buckets) = buckets {
            opts = opts.buckets(buckets);
        }
        register(HistogramVec::new(opts, labels)?)
    }

    fn register<M: Collector + Clone + 'static>(metric: M) -> Result<M> {
        prometheus::register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::metrics::{
        try_create_histogram_vec, try_create_int_counter_vec, try_create_int_gauge_vec,
    };

    #[test]
    fn metrics_are_registered_once() {
        let counter = try_create_int_counter_vec("near_test_total", "help", &["of"]).unwrap();
        counter.with_label_values(&["a"]).inc_by(3);
        assert_eq!(counter.with_label_values(&["a"]).get(), 3);
        assert!(
            try_create_int_gauge_vec("near_test_total", "help", &["of"]).is_err(),
            "the name is taken"
        );
        let times =
            try_create_histogram_vec("near_test_seconds", "help", &["of"], Some(vec![0.1, 1.0]))
                .unwrap();
        times.with_label_values(&["a"]).observe(0.5);
        assert_eq!(times.with_label_values(&["a"]).get_sample_count(), 1);
    }
}
