//! Whether what is seen is still what was seen: windows of signals against a reference.
//!
//! ```text
//! signals     of every part: brightness and sharpness of its picture, and 1 if it is NG, else 0
//!             of parts that are not NG: the score, and what each part of the score says
//! reference   the first n values of this version            F_n
//! window      each m values after them                      G_m
//! D = sup |F_n − G_m|         alarm if D > sqrt(ln(2/a) / 2m) + sqrt(ln(2/d) / 2n)          for each signal
//! ```
//!
//! By the inequality of Dvoretzky, Kiefer and Wolfowitz with Massart's constant, each empirical distribution is further
//! from the true one than its term with probability `a` and `d`: whatever the distribution of a signal is, a window of
//! unchanged parts alarms with probability `a` at most, unless the reference itself is one of the share `d` that is
//! unusual. Both hold for each signal; of k signals one or more alarms with probability `k a` at most. Parts are taken as
//! drawn independently of each other.
//!
//! A bad batch is for the verdict, not for drift: scores leave NG parts out on both sides, and NG parts move the `D` of another
//! signal by their share of the window at most, which alone alarms only if it is above the threshold. Where a change makes
//! everything NG the scores fall silent, and the pictures and the share of NG parts speak.
//!
//! What the model file says of good images (scores, brightness, sharpness) was taken before the model came to this line, and
//! its scales and thresholds rest on those images: they are not drawn as new ones are, so they are shown beside a signal
//! and cannot be the reference of a stated rate.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bgad::Inspection;
use bgad::model::{Header, NormalAppearance};
use bgad::record::rfc3339;
use bgad::verdict::Verdict;
use serde::Serialize;

/// `n`: parts in the reference.
pub(crate) const REFERENCE: usize = 300;
/// `m`: parts in a window.
pub(crate) const WINDOW: usize = 100;
/// `a`: probability that a window of unchanged parts alarms.
pub(crate) const FALSE_ALARMS: f64 = 1e-3;
/// `d`: probability that the reference is unusual.
pub(crate) const UNUSUAL_REFERENCE: f64 = 1e-2;
/// Windows that are remembered.
const KEPT: usize = 200;
/// Shares of the good images of the training between which most of them lie.
const MOST: [f64; 2] = [0.05, 0.95];

/// The signals of every model; those of the parts of its score follow.
const ALWAYS: [&str; 4] = ["score", "brightness", "sharpness", "ng_share"];

/// `D` above which a window alarms.
pub(crate) fn threshold() -> f64 {
    let term = |p: f64, n: usize| ((2.0 / p).ln() / (2 * n) as f64).sqrt();
    term(FALSE_ALARMS, WINDOW) + term(UNUSUAL_REFERENCE, REFERENCE)
}

/// Watches the signals of one model version.
#[derive(Debug)]
pub(crate) struct Drift {
    signals: Mutex<Vec<Signal>>,
}

/// One signal and what was seen of it.
#[derive(Debug)]
struct Signal {
    name: String,
    /// Between which values most good images of the training lie.
    in_training: Option<[f32; 2]>,
    /// Sorted once it is whole.
    reference: Vec<f32>,
    window: Vec<f32>,
    /// Of the last whole window.
    median: Option<f32>,
    statistics: Vec<f64>,
    alarms: u64,
    last_alarm: Option<SystemTime>,
}

/// A window that is not like the reference.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Alarm {
    pub(crate) signal: String,
    pub(crate) distance: f64,
}

/// What is known about the drift of one signal now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SignalState {
    /// What is watched: `score`, `brightness`, `sharpness`, `ng_share`, or `part_` with the name of a part of the score.
    pub(crate) signal: String,
    /// Parts in the reference so far, of `reference_size`.
    pub(crate) reference: usize,
    pub(crate) reference_size: usize,
    /// Parts of a window.
    pub(crate) window: usize,
    pub(crate) threshold: f64,
    /// Largest probability that a window of unchanged parts alarms.
    pub(crate) false_alarms_per_window: f64,
    /// `D` of the windows so far, the newest last.
    pub(crate) statistics: Vec<f64>,
    pub(crate) alarms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_alarm: Option<String>,
    /// Median of the reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference_median: Option<f32>,
    /// Median of the last whole window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window_median: Option<f32>,
    /// Between which values nine of ten good images of the training lie, if the model file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) in_training: Option<[f32; 2]>,
}

impl Drift {
    /// For a model with this header.
    pub(crate) fn of(header: &Header) -> Drift {
        let scores = &header.training.normal_scores;
        let share = |share: f64| scores.get((share * scores.len().saturating_sub(1) as f64).round() as usize);
        let scores = share(MOST[0]).zip(share(MOST[1])).map(|(low, high)| [*low, *high]);
        let looks = header.training.appearance;
        let outer = |values: [f32; NormalAppearance::SHARES.len()]| [values[0], values[values.len() - 1]];
        let brightness = looks.map(|looks| outer(looks.brightness));
        let sharpness = looks.map(|looks| outer(looks.sharpness));
        Drift::watching([scores, brightness, sharpness, None])
    }

    /// The signals of every model, with what was usual in training.
    fn watching(in_training: [Option<[f32; 2]>; ALWAYS.len()]) -> Drift {
        let signals = ALWAYS.iter().zip(in_training);
        let signals = signals.map(|(name, in_training)| Signal::new((*name).to_owned(), in_training));
        Drift { signals: Mutex::new(signals.collect()) }
    }

    /// Takes a part; the windows that ended with it and are not like the reference.
    pub(crate) fn add(&self, found: &Inspection) -> Vec<Alarm> {
        let is_ng = found.verdict == Verdict::Ng;
        let looks = found.appearance;
        let score = |nats: f32| (!is_ng).then_some(nats);
        let always = [
            score(found.score),
            Some(looks.brightness as f32),
            Some(looks.sharpness as f32),
            Some(f32::from(u8::from(is_ng))),
        ];
        let values = always.into_iter().chain(found.parts.iter().map(|(_, nats)| score(*nats)));
        let mut signals = self.signals.lock().unwrap_or_else(PoisonError::into_inner);
        if signals.len() == always.len() {
            // Which parts a score has is known from the first one.
            let parts = found.parts.iter().map(|(part, _)| format!("part_{}", part.name()));
            signals.extend(parts.map(|name| Signal::new(name, None)));
        }
        let ended = signals.iter_mut().zip(values).filter_map(|(signal, value)| {
            let distance = signal.add(value?)?;
            (distance > threshold()).then(|| Alarm { signal: signal.name.clone(), distance })
        });
        ended.collect()
    }

    pub(crate) fn state(&self) -> Vec<SignalState> {
        self.signals.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Signal::state).collect()
    }
}

impl Signal {
    fn new(name: String, in_training: Option<[f32; 2]>) -> Signal {
        Signal {
            name,
            in_training,
            reference: Vec::new(),
            window: Vec::new(),
            median: None,
            statistics: Vec::new(),
            alarms: 0,
            last_alarm: None,
        }
    }

    /// Takes the value of a part; the statistic if it ended a window.
    fn add(&mut self, value: f32) -> Option<f64> {
        if self.reference.len() < REFERENCE {
            self.reference.push(value);
            if self.reference.len() == REFERENCE {
                self.reference.sort_by(f32::total_cmp);
            }
            return None;
        }
        self.window.push(value);
        if self.window.len() < WINDOW {
            return None;
        }
        let mut window = std::mem::take(&mut self.window);
        window.sort_by(f32::total_cmp);
        self.median = Some(window[WINDOW / 2]);
        let statistic = distance(&self.reference, &window);
        if statistic > threshold() {
            self.alarms += 1;
            self.last_alarm = Some(SystemTime::now());
        }
        if self.statistics.len() == KEPT {
            self.statistics.remove(0);
        }
        self.statistics.push(statistic);
        Some(statistic)
    }

    fn state(&self) -> SignalState {
        SignalState {
            signal: self.name.clone(),
            reference: self.reference.len(),
            reference_size: REFERENCE,
            window: WINDOW,
            threshold: threshold(),
            false_alarms_per_window: FALSE_ALARMS,
            statistics: self.statistics.clone(),
            alarms: self.alarms,
            last_alarm: self.last_alarm.map(rfc3339),
            reference_median: (self.reference.len() == REFERENCE).then(|| self.reference[REFERENCE / 2]),
            window_median: self.median,
            in_training: self.in_training,
        }
    }
}

/// Largest difference of the empirical distributions of two sorted samples.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let share = |sample: &[f32], x: f32| sample.partition_point(|&v| v <= x) as f64 / sample.len() as f64;
    a.iter().chain(b).map(|&x| (share(a, x) - share(b, x)).abs()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    use bgad::PartKind;
    use bgad::image::{Appearance, InputImage, OriginalSize, Window};
    use bgad::score::AnomalyMap;

    const SIDE: usize = 48;

    /// Uniform in `[0, 1)`, by a linear congruential generator.
    struct Uniform(u64);

    impl Uniform {
        fn next(&mut self) -> f32 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 40) as f32 / (1u64 << 24) as f32
        }
    }

    fn signal() -> Signal {
        Signal::new("score".to_owned(), None)
    }

    #[test]
    fn unchanged_parts_alarm_at_most_at_the_stated_rate_and_changed_ones_do() {
        let (mut random, mut windows) = (Uniform(7), 0);
        let mut alarms = 0;
        for _ in 0..5 {
            let mut signal = signal();
            for _ in 0..REFERENCE + 200 * WINDOW {
                windows += u64::from(signal.add(random.next()).is_some());
            }
            alarms += signal.alarms;
            // A third of the spread higher: told within one window.
            for _ in 0..WINDOW {
                signal.add(random.next() + 0.4);
            }
            assert_eq!(signal.alarms, 1, "the first window after the change");
        }
        assert_eq!((windows, alarms), (1000, 0), "1 alarm in 1000 windows is the most expected");
    }

    /// How the next part of a line is photographed.
    #[derive(Clone, Copy)]
    struct Station {
        lamp: f32,
        /// Whether the lens is out of focus.
        blurred: bool,
        /// Pixels from one thread of the fabric to the next.
        thread: usize,
    }

    const USUAL: Station = Station { lamp: 1.0, blurred: false, thread: 4 };

    /// A woven part whose grey, place and noise vary from part to part, as photographed.
    fn part(station: Station, random: &mut Uniform) -> Appearance {
        let Station { lamp, blurred, thread } = station;
        let (grey, contrast) = (0.40 + 0.1 * random.next(), 0.06 + 0.02 * random.next());
        let (dy, dx) = ((8.0 * random.next()) as usize, (8.0 * random.next()) as usize);
        let noise: Vec<f32> = (0..(SIDE + 2) * (SIDE + 2)).map(|_| 0.03 * random.next()).collect();
        let sharp = |y: usize, x: usize| {
            let sign = if ((y + dy) / thread + (x + dx) / thread).is_multiple_of(2) { 1.0 } else { -1.0 };
            lamp * (grey + sign * contrast + noise[y * (SIDE + 2) + x])
        };
        let mut rgb_hwc = Vec::with_capacity(3 * SIDE * SIDE);
        for (y, x) in (1..=SIDE).flat_map(|y| (1..=SIDE).map(move |x| (y, x))) {
            let value = match blurred {
                false => sharp(y, x),
                true => (0..9).map(|i| sharp(y + i / 3 - 1, x + i % 3 - 1)).sum::<f32>() / 9.0,
            };
            rgb_hwc.extend([value; 3]);
        }
        let image = InputImage { height: SIDE, width: SIDE, rgb_hwc };
        Appearance::of(&image, Window { top: 0, left: 0, height: SIDE, width: SIDE })
    }

    fn found(verdict: Verdict, score: f32, appearance: Appearance) -> Inspection {
        Inspection {
            score,
            parts: vec![(PartKind::Peak, score), (PartKind::Whole, 0.5 * score)],
            verdict,
            whole_image: false,
            map: AnomalyMap { nats: vec![score], h: 1, w: 1 },
            regions: Vec::new(),
            appearance,
            original: OriginalSize { height: SIDE, width: SIDE },
        }
    }

    fn drift() -> Drift {
        Drift::watching([None; 4])
    }

    /// Parts until the first alarm of a signal, and all that alarmed with it; `None` for none within 200 windows.
    fn first_alarm(drift: &Drift, station: Station, random: &mut Uniform) -> Option<(usize, Vec<String>)> {
        (1..=200 * WINDOW).find_map(|parts| {
            let appearance = part(station, random);
            let alarms = drift.add(&found(Verdict::Ok, random.next(), appearance));
            (!alarms.is_empty()).then(|| (parts, alarms.into_iter().map(|alarm| alarm.signal).collect()))
        })
    }

    #[test]
    fn lamp_lens_and_product_are_told_within_two_windows_and_an_unchanged_line_is_quiet() {
        let mut random = Uniform(11);
        let cases = [
            ("a lamp down by 20 %", Station { lamp: 0.8, ..USUAL }, "brightness"),
            ("out of focus", Station { blurred: true, ..USUAL }, "sharpness"),
            ("another product", Station { thread: 2, ..USUAL }, "sharpness"),
        ];
        for (what, station, signal) in cases {
            let drift = drift();
            for _ in 0..REFERENCE + WINDOW / 2 {
                let appearance = part(USUAL, &mut random);
                assert_eq!(drift.add(&found(Verdict::Ok, random.next(), appearance)), []);
            }
            let (parts, signals) = first_alarm(&drift, station, &mut random).expect(what);
            assert!(parts <= 2 * WINDOW && signals == [signal], "{what}: {signals:?} after {parts} parts");
        }
        let drift = drift();
        assert_eq!(first_alarm(&drift, USUAL, &mut random), None, "200 windows, 6 signals");
        let state = drift.state();
        let names: Vec<&str> = state.iter().map(|signal| signal.signal.as_str()).collect();
        assert_eq!(names, ["score", "brightness", "sharpness", "ng_share", "part_peak", "part_whole"]);
        assert!(state.iter().all(|signal| signal.statistics.len() >= 196), "windows were compared");
    }

    #[test]
    fn ng_parts_are_no_drift_until_they_are_many() {
        let (drift, mut random) = (drift(), Uniform(3));
        let [usual, dark] = [0.5, 0.1].map(|brightness| Appearance { brightness, ..Appearance::default() });
        let parts = |share: usize, windows: usize, random: &mut Uniform| -> Vec<String> {
            let alarms = (0..windows * WINDOW).flat_map(|i| match i % 10 < share {
                true => drift.add(&found(Verdict::Ng, 50.0, dark)),
                false => drift.add(&found(Verdict::Review, random.next(), usual)),
            });
            alarms.map(|alarm| alarm.signal).collect()
        };
        let none: [&str; 0] = [];
        assert_eq!(parts(0, 4, &mut random), none);
        assert_eq!(parts(2, 10, &mut random), none, "a bad batch: 20 % NG parts, and darker ones");
        assert_eq!(parts(10, 1, &mut random), ["brightness", "ng_share"], "nothing but NG parts");
        let scores = &drift.state()[0];
        assert_eq!((scores.reference, scores.statistics.len()), (300, 9), "scores of 1,200 parts");
    }

    #[test]
    fn distances_of_samples() {
        assert_eq!(distance(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(distance(&[1.0, 2.0], &[3.0]), 1.0);
        assert_eq!(distance(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0]), 0.5);
    }
}
