//! Counters for Prometheus. Part ids are no labels: there is no end to them.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::library::Library;
use crate::picture::Judged;
use crate::version::Version;
use crate::workers::Workers;

/// Seconds: an image takes some 10 to 100 ms, a queue up to its deadline.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.25, 2.5, 5.0, 10.0];
/// Nats.
const NATS: [f64; 14] = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    model: String,
    version: String,
    protocol: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ImageLabels {
    model: String,
    verdict: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabels {
    model: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InfoLabels {
    model: String,
    version: String,
    sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabels {
    model: String,
    version: String,
    signal: String,
    window: String,
    threshold: String,
}

type Histograms = Family<ModelLabels, Histogram, fn() -> Histogram>;
type FloatGauge = Gauge<f64, AtomicU64>;

/// All that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    images: Family<ImageLabels, Counter>,
    rejected: Family<ReasonLabels, Counter>,
    faults: Family<ReasonLabels, Counter>,
    request_seconds: Histograms,
    queue_seconds: Histograms,
    inference_seconds: Histograms,
    score: Histograms,
    queue_depth: Family<ModelLabels, Gauge>,
    info: Family<InfoLabels, Gauge>,
    drift: Family<DriftLabels, FloatGauge>,
    drift_alarms: Family<DriftLabels, Gauge>,
}

fn seconds() -> Histogram {
    Histogram::new(SECONDS)
}

fn nats() -> Histogram {
    Histogram::new(NATS)
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let histograms = |new: fn() -> Histogram| Family::new_with_constructor(new);
        let mut metrics = Metrics {
            registry: Registry::with_prefix("bgad"),
            requests: Family::default(),
            images: Family::default(),
            rejected: Family::default(),
            faults: Family::default(),
            request_seconds: histograms(seconds),
            queue_seconds: histograms(seconds),
            inference_seconds: histograms(seconds),
            score: histograms(nats),
            queue_depth: Family::default(),
            info: Family::default(),
            drift: Family::default(),
            drift_alarms: Family::default(),
        };
        let of = &mut metrics.registry;
        of.register("requests", "Requests for an inference, by outcome", metrics.requests.clone());
        of.register("images", "Images judged, by verdict", metrics.images.clone());
        of.register("rejected", "Requests not answered, by reason", metrics.rejected.clone());
        of.register("faults", "Faults of the outputs and the disk, by reason", metrics.faults.clone());
        let (unit, request) = (Unit::Seconds, metrics.request_seconds.clone());
        of.register_with_unit("request_duration", "From the request to its answer", unit, request);
        let (unit, wait) = (Unit::Seconds, metrics.queue_seconds.clone());
        of.register_with_unit("queue_wait", "Time an image waited for a thread", unit, wait);
        let (unit, inference) = (Unit::Seconds, metrics.inference_seconds.clone());
        of.register_with_unit("inference_duration", "From pixels to the verdict", unit, inference);
        of.register("score", "Scores in nats", metrics.score.clone());
        of.register("queue_depth", "Images that wait for a thread", metrics.queue_depth.clone());
        of.register("model_info", "Versions that are ready; the value is 1", metrics.info.clone());
        of.register("drift", "Distance of the last window from the reference", metrics.drift.clone());
        let alarms = metrics.drift_alarms.clone();
        of.register("drift_alarms", "Windows beyond the threshold since the version was loaded", alarms);
        metrics
    }

    pub(crate) fn request(&self, version: Option<&Version>, protocol: &str, code: &str, time: Duration) {
        let model = version.map(|v| v.model.clone()).unwrap_or_default();
        self.requests
            .get_or_create(&RequestLabels {
                model: model.clone(),
                version: version.map(|v| v.number.to_string()).unwrap_or_default(),
                protocol: protocol.to_owned(),
                code: code.to_owned(),
            })
            .inc();
        self.request_seconds.get_or_create(&ModelLabels { model }).observe(time.as_secs_f64());
    }

    pub(crate) fn judged(&self, version: &Version, judged: &Judged) {
        let model = || version.model.clone();
        let labels = ImageLabels { model: model(), verdict: judged.inspection.verdict.to_string() };
        self.images.get_or_create(&labels).inc();
        let of = ModelLabels { model: model() };
        self.queue_seconds.get_or_create(&of).observe(judged.queued.as_secs_f64());
        self.inference_seconds.get_or_create(&of).observe(judged.inference.as_secs_f64());
        self.score.get_or_create(&of).observe(f64::from(judged.inspection.score));
    }

    pub(crate) fn rejected(&self, reason: &str) {
        self.rejected.get_or_create(&ReasonLabels { reason: reason.to_owned() }).inc();
    }

    pub(crate) fn fault(&self, reason: &str) {
        self.faults.get_or_create(&ReasonLabels { reason: reason.to_owned() }).inc();
    }

    /// The text that Prometheus reads.
    pub(crate) fn text(&self, library: &Library, workers: &Workers) -> String {
        for (model, depth) in workers.depths() {
            let depth = i64::try_from(depth).unwrap_or(i64::MAX);
            self.queue_depth.get_or_create(&ModelLabels { model }).set(depth);
        }
        // Versions that are gone must not be shown.
        self.info.clear();
        self.drift.clear();
        self.drift_alarms.clear();
        for version in library.all() {
            let (model, number) = (version.model.clone(), version.number.to_string());
            let sha256 = version.sha256.clone();
            let info = InfoLabels { model: model.clone(), version: number.clone(), sha256 };
            self.info.get_or_create(&info).set(1);
            for drift in version.drift.state() {
                let labels = DriftLabels {
                    model: model.clone(),
                    version: number.clone(),
                    signal: drift.signal,
                    window: drift.window.to_string(),
                    threshold: format!("{:.4}", drift.threshold),
                };
                if let Some(last) = drift.statistics.last() {
                    self.drift.get_or_create(&labels).set(*last);
                }
                let alarms = i64::try_from(drift.alarms).unwrap_or(i64::MAX);
                self.drift_alarms.get_or_create(&labels).set(alarms);
            }
        }
        let mut text = String::new();
        if encode(&mut text, &self.registry).is_err() {
            // A string takes everything, so only a broken metric ends here; it must not look like a quiet server.
            text.clear();
            let _ = writeln!(text, "# the metrics could not be written");
        }
        text
    }
}

/// The text format of Prometheus (0.0.4) of an OpenMetrics text: there a counter's help and type carry the whole name of its samples, and
/// units and the end are not written.
pub(crate) fn as_text_format(openmetrics: &str) -> String {
    let is_counter = |name: &str| openmetrics.contains(&format!("# TYPE {name} counter\n"));
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        let mut words = line.splitn(4, ' ');
        match [words.next(), words.next(), words.next(), words.next()] {
            [Some("#"), Some("UNIT"), ..] | [Some("#"), Some("EOF"), ..] => continue,
            [Some("#"), Some(what), Some(name), Some(said)] if is_counter(name) => {
                let _ = write!(text, "# {what} {name}_total {said}");
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_format_names_counters_as_their_samples() {
        let openmetrics = "# HELP a Some a.\n# TYPE a counter\na_total{b=\"# HELP a c\"} 3\n# HELP a_seconds Time.\n# TYPE a_seconds histogram\n\
                           # UNIT a_seconds seconds\na_seconds_sum 1\n# EOF\n";
        let text = "# HELP a_total Some a.\n# TYPE a_total counter\na_total{b=\"# HELP a c\"} 3\n# HELP a_seconds Time.\n\
                    # TYPE a_seconds histogram\na_seconds_sum 1\n";
        assert_eq!(as_text_format(openmetrics), text);
    }
}
