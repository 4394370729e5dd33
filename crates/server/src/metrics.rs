//! Figures for the operator, in Prometheus' text format, on a listener of their own.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::{Family, MetricConstructor},
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::{Registry, Unit},
};

use crate::guards::{GuardStatus, Reached};

/// Bounds of the latency buckets, in seconds: from what a commit costs to what nobody waits for.
const LATENCY_SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfOperation {
    operation: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfAnswer {
    operation: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OfGuard {
    guard: String,
}

#[derive(Clone, Debug)]
struct Latencies;

impl MetricConstructor<Histogram> for Latencies {
    fn new_metric(&self) -> Histogram {
        Histogram::new(LATENCY_SECONDS)
    }
}

type PerGuard = Family<OfGuard, Gauge>;
type PerGuardSeconds = Family<OfGuard, Gauge<f64, std::sync::atomic::AtomicU64>>;

/// Every figure.
pub(crate) struct Metrics {
    registry: Registry,
    latency: Family<OfOperation, Histogram, Latencies>,
    answers: Family<OfAnswer, Counter>,
    pub(crate) commits: Counter,
    pub(crate) sign_in_failures: Counter,
    pub(crate) clock_behind: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) network_alarms: Counter,
    pub(crate) administrator_alarms: Counter,
    pub(crate) hearsay: Counter,
    reached: PerGuard,
    locks_desired: PerGuard,
    locks_observed: PerGuard,
    openings_desired: PerGuard,
    openings_observed: PerGuard,
    closes_overdue: PerGuard,
    overdue: PerGuardSeconds,
    convergences: PerGuard,
    failures: PerGuard,
    convergence: PerGuardSeconds,
}

impl Metrics {
    pub(crate) fn new() -> Arc<Metrics> {
        let mut registry = Registry::with_prefix("hourgate");
        let latency = Family::new_with_constructor(Latencies);
        registry.register_with_unit(
            "request_duration",
            "Time from a request's first byte to its answer",
            Unit::Seconds,
            latency.clone(),
        );
        let metrics = Metrics {
            latency,
            answers: of(&mut registry, "answers", "Answers, by status"),
            commits: of(&mut registry, "commits", "Commands that were committed"),
            sign_in_failures: of(&mut registry, "sign_in_failures", "Sign-ins that failed"),
            clock_behind: of(
                &mut registry,
                "clock_behind",
                "1 while the clock lies behind what was committed and nothing opens",
            ),
            connections: of(&mut registry, "connections", "Connections that are open"),
            network_alarms: of(
                &mut registry,
                "network_alarms",
                "Accesses that a rule drops since it changed, and locks that were broken knowingly",
            ),
            administrator_alarms: of(
                &mut registry,
                "administrator_alarms",
                "Sign-ins of the administrator of the first start, although a person is Owner",
            ),
            hearsay: of(
                &mut registry,
                "hearsay",
                "Calls with a forwarding header that was not believed",
            ),
            reached: of(&mut registry, "guard_reached", "1 where the guard answers"),
            locks_desired: of(&mut registry, "locks_desired", "Locks that must stand"),
            locks_observed: of(&mut registry, "locks_observed", "Locks last reported"),
            openings_desired: of(&mut registry, "openings_desired", "Openings that must stand"),
            openings_observed: of(&mut registry, "openings_observed", "Openings last reported"),
            closes_overdue: of(&mut registry, "closes_overdue", "Closes that are late"),
            overdue: of(
                &mut registry,
                "close_overdue_seconds",
                "How late the latest close is; 0 where none is",
            ),
            convergences: of(
                &mut registry,
                "guard_convergences",
                "How often the guard was made to agree since the server began",
            ),
            failures: of(
                &mut registry,
                "guard_failures",
                "How often the guard did not answer, refused or failed since the server began",
            ),
            convergence: of(
                &mut registry,
                "guard_convergence_seconds",
                "How long the last convergence took",
            ),
            registry: Registry::default(),
        };
        Arc::new(Metrics { registry, ..metrics })
    }

    /// Takes note of an answer.
    pub(crate) fn answered(&self, operation: &'static str, status: u16, took: Duration) {
        self.latency.get_or_create(&OfOperation { operation }).observe(took.as_secs_f64());
        self.answers.get_or_create(&OfAnswer { operation, status }).inc();
    }

    /// Everything, with the guards as they are now.
    pub(crate) fn text(&self, guards: &[GuardStatus]) -> String {
        for status in guards {
            let guard = OfGuard { guard: status.cover.name.clone() };
            let reached = match status.reached {
                Reached::Yes { .. } => 1,
                Reached::No { .. } => 0,
            };
            let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
            let total = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            let overdue = status.overdue.as_ref();
            let late = overdue.map_or(0.0, |overdue| overdue.longest.as_secs_f64());
            let took = status.last_convergence.map_or(0.0, |took| took.as_secs_f64());
            self.reached.get_or_create(&guard).set(reached);
            self.locks_desired.get_or_create(&guard).set(count(status.locks_desired));
            self.locks_observed.get_or_create(&guard).set(count(status.locks_observed));
            self.openings_desired.get_or_create(&guard).set(count(status.openings_desired));
            self.openings_observed.get_or_create(&guard).set(count(status.openings_observed));
            self.closes_overdue
                .get_or_create(&guard)
                .set(count(overdue.map_or(0, |overdue| overdue.closes)));
            self.overdue.get_or_create(&guard).set(late);
            self.convergences.get_or_create(&guard).set(total(status.convergences));
            self.failures.get_or_create(&guard).set(total(status.failures));
            self.convergence.get_or_create(&guard).set(took);
        }
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            tracing::warn!("the metrics cannot be written");
        }
        text
    }
}

fn of<M>(registry: &mut Registry, name: &str, help: &str) -> M
where
    M: prometheus_client::registry::Metric + Clone + Default,
{
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}
