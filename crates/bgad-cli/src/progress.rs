//! Training and evaluation as they go: a bar with the time left on a terminal, plain lines elsewhere. All of it on stderr.
//! Losses and boundaries are shown with `--verbose` alone.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};

use bgad::train::{Event, LevelReport, PassReport};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure;

/// Whether losses and boundaries are shown.
static VERBOSE: AtomicBool = AtomicBool::new(false);

/// What `--verbose` says, for all that follows.
pub(crate) fn set_verbose(verbose: bool) {
    VERBOSE.store(verbose, Ordering::Relaxed);
}

/// Shows how far training has come.
pub(crate) struct TrainProgress {
    bar: Option<ProgressBar>,
    phase: Phase,
    /// Images and seconds of the passes of the present phase.
    measured: (u8, f64, f64),
    /// Files that could not be used.
    pub(crate) skipped: usize,
}

#[derive(PartialEq)]
enum Phase {
    Start,
    Encoding,
    Passes,
}

impl TrainProgress {
    /// Bars if stderr is a terminal.
    pub(crate) fn new() -> TrainProgress {
        let bar = io::stderr().is_terminal().then(|| ProgressBar::new(0));
        TrainProgress { bar, phase: Phase::Start, measured: (0, 0.0, 0.0), skipped: 0 }
    }

    /// Takes a report of the library.
    pub(crate) fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Encoded { done, total } => self.encoded(done, total),
            Event::Skipped(error) => {
                self.skipped += 1;
                self.say(&format!("skipped: {}", failure::chain(error)));
            }
            Event::Resumed { passes } => self.say(&format!("going on after pass {passes}")),
            Event::Pass(report) => self.pass(&report),
            Event::Checkpoint(_) => {}
            Event::Leftover(error) => self.say(&failure::chain(error)),
        }
    }

    fn encoded(&mut self, done: usize, total: usize) {
        match &self.bar {
            Some(bar) => {
                if self.phase != Phase::Encoding {
                    bar.set_style(style("reading  [{bar:30}] image {pos}/{len}, about {eta} left"));
                }
                bar.set_length(total as u64);
                bar.set_position(done as u64);
            }
            None => {
                // At most some ten lines, however many images.
                let tenth = |n: usize| n * 10 / total.max(1);
                if done == total || tenth(done) != tenth(done.saturating_sub(32)) {
                    failure::say(format_args!("reading images {done}/{total}"));
                }
            }
        }
        self.phase = Phase::Encoding;
    }

    fn pass(&mut self, report: &PassReport) {
        if self.measured.0 != report.phase {
            self.measured = (report.phase, 0.0, 0.0);
        }
        self.measured.1 += report.images as f64;
        self.measured.2 += report.secs;
        let rate = self.measured.1 / self.measured.2.max(1e-9);
        let left = report.images_left as f64 / rate;
        // The passes of phase 2 do more for each image than those of phase 1, which is all that was measured yet.
        let left = match (report.images_left, report.phase) {
            (0, _) => String::new(),
            (_, 1) => format!(", at least {} left", duration(left)),
            _ => format!(", about {} left", duration(left)),
        };
        let verbose = VERBOSE.load(Ordering::Relaxed);
        let PassReport { pass, passes, .. } = report;
        match &self.bar {
            Some(bar) => {
                if self.phase != Phase::Passes {
                    let figures = if verbose { "\n{msg}" } else { "" };
                    bar.set_style(style(&format!(
                        "training [{{bar:30}}] pass {{pos}}/{{len}}{{prefix}}{figures}"
                    )));
                }
                bar.set_length(*passes as u64);
                bar.set_position(*pass as u64);
                bar.set_prefix(left);
                if verbose {
                    bar.set_message(figures(report).join("\n"));
                }
            }
            None if verbose => {
                let figures = figures(report).join("  ");
                failure::say(format_args!("training, pass {pass}/{passes}{left}  {figures}"));
            }
            None => failure::say(format_args!("training, pass {pass}/{passes}{left}")),
        }
        self.phase = Phase::Passes;
    }

    /// A line beside the bar.
    fn say(&self, message: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| failure::say(message)),
            None => failure::say(message),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Shows how many images have been scored.
pub(crate) struct CountProgress {
    bar: Option<ProgressBar>,
}

impl CountProgress {
    /// A bar if stderr is a terminal, else nothing: the work is short.
    pub(crate) fn new(what: &str, total: usize) -> CountProgress {
        let bar = io::stderr().is_terminal().then(|| {
            let template = format!("{what} [{{bar:30}}] {{pos}}/{{len}}, about {{eta}} left");
            ProgressBar::new(total as u64).with_style(style(&template))
        });
        CountProgress { bar }
    }

    /// So many are done.
    pub(crate) fn set(&self, done: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
    }

    /// A line on stderr beside the bar.
    pub(crate) fn say(&self, message: &str) {
        self.suspend(|| failure::say(message));
    }

    /// Does something that writes to the terminal.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Drop for CountProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of this file").progress_chars("=> ")
}

/// What a pass was like, for those who want to see the method at work.
fn figures(report: &PassReport) -> Vec<String> {
    let rate = report.images as f64 / report.secs.max(1e-9);
    let PassReport { phase, meta_epoch, .. } = report;
    let head = format!("phase {phase}, meta-epoch {meta_epoch}, {rate:.0} images/s");
    [head].into_iter().chain(levels(&report.levels)).collect()
}

/// Loss, its parts and the boundary, level by level.
fn levels(levels: &[LevelReport]) -> Vec<String> {
    let level = |(i, report): (usize, &LevelReport)| {
        let l = &report.loss;
        let mut text = format!("level {}: loss {:.4} (ml {:.4}", i + 1, l.total, l.likelihood);
        if let Some(b_n) = report.boundary {
            text.push_str(&format!(", pull {:.4}, push {:.4}), b_n {b_n:.4}", l.pull, l.push));
        } else {
            text.push(')');
        }
        text
    };
    levels.iter().enumerate().map(level).collect()
}

/// Seconds as people say them.
pub(crate) fn duration(secs: f64) -> String {
    let whole = secs.round() as u64;
    match whole {
        0..10 => format!("{secs:.1} s"),
        10..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_as_people_do() {
        let cases = [
            (0.0, "0.0 s"),
            (1.26, "1.3 s"),
            (9.7, "10 s"),
            (59.4, "59 s"),
            (59.6, "1 min 00 s"),
            (3725.0, "1 h 02 min"),
        ];
        for (secs, want) in cases {
            assert_eq!(duration(secs), want, "{secs}");
        }
    }
}
