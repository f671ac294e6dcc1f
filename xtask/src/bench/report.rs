//! Tables for people, JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use super::Measured;
use crate::task::Failure;

/// The table of one group, in Markdown.
pub(crate) fn table(group: &str, measured: &[Measured]) -> String {
    let mut out = format!("\n**{group}**\n\n");
    out += "| work | engine | median ms | fastest ms | ratio (of the fastest) | bar | share of peak | memory MB |\n";
    out += "|---|---|---|---|---|---|---|---|\n";
    for one in measured {
        let (Some(median), Some(fastest)) = (one.median_ms(), one.fastest_ms()) else { continue };
        let (ratio, bar) = held(one, measured).unwrap_or_default();
        let operations = one.samples[0].operations;
        let rate = |ms: f64, operations: f64| operations / ms / 1e6;
        let peak = one.series.peak.and_then(|peak| {
            let peak = &measured[peak];
            Some(rate(peak.fastest_ms()?, peak.samples.first()?.operations))
        });
        let share = match peak {
            Some(peak) => format!("{:.0} %", 100.0 * rate(fastest, operations) / peak),
            None if operations > 0.0 => format!("{:.0} GFLOP/s", rate(fastest, operations)),
            None => String::new(),
        };
        let memory = one.samples.iter().map(|sample| sample.memory).fold(0.0, f64::max) / 1e6;
        let memory = if memory > 0.0 { format!("{memory:.0}") } else { String::new() };
        let (work, engine) = (&one.series.work, &one.series.engine);
        let _ = writeln!(
            out,
            "| {work} | {engine} | {median:.2} | {fastest:.2} | {ratio} | {bar} | {share} | {memory} |"
        );
    }
    out
}

/// Ratio and bar of a series that is held against another one, as text; a bar that is missed says so.
fn held(one: &Measured, all: &[Measured]) -> Option<(String, String)> {
    let verdict = |fine: bool| if fine { "" } else { ", missed" };
    if let Some((single, bar)) = one.series.scaling {
        let (ratio, fastest) =
            (all[single].median_ms()? / one.median_ms()?, all[single].fastest_ms()? / one.fastest_ms()?);
        let text = format!("{ratio:.2} ({fastest:.2}) times one thread");
        let missed = verdict(ratio >= bar);
        let (peer, peer_bar) = match peer(one, all) {
            Some((text, bar)) => (format!("{text}; "), format!("{bar}; ")),
            None => Default::default(),
        };
        return Some((format!("{peer}{text}"), format!("{peer_bar}{bar:.2} times{missed}")));
    }
    peer(one, all)
}

fn peer(one: &Measured, all: &[Measured]) -> Option<(String, String)> {
    let (against, bar) = (&all[one.series.against?], one.series.bar?);
    let ratio = one.median_ms()? / against.median_ms()?;
    let fastest = one.fastest_ms()? / against.fastest_ms()?;
    let missed = if ratio <= bar { "" } else { ", missed" };
    Some((format!("{ratio:.3} ({fastest:.3})"), format!("{bar:.2}{missed}")))
}

/// Every sample: `{group: [{work, engine, nanoseconds: [..], operations, memory_bytes}]}`.
pub(crate) fn json(groups: &[(&str, Vec<Measured>)]) -> String {
    let groups: Vec<String> = groups
        .iter()
        .map(|(group, measured)| {
            let series: Vec<String> = measured.iter().map(one_json).collect();
            format!("  {}: [\n{}\n  ]", quoted(group), series.join(",\n"))
        })
        .collect();
    format!("{{\n{}\n}}\n", groups.join(",\n"))
}

fn one_json(one: &Measured) -> String {
    let times: Vec<String> = one.samples.iter().map(|sample| format!("{:.0}", sample.nanoseconds)).collect();
    let operations = one.samples.first().map_or(0.0, |sample| sample.operations);
    let memory = one.samples.iter().map(|sample| sample.memory).fold(0.0, f64::max);
    format!(
        "    {{\"work\": {}, \"engine\": {}, \"nanoseconds\": [{}], \"operations\": {operations:.0}, \"memory_bytes\": {memory:.0}}}",
        quoted(&one.series.work),
        quoted(&one.series.engine),
        times.join(", ")
    )
}

/// A JSON string; the names in this program hold nothing worse than a quote.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The page with the table of each group between its markers replaced; a group without markers is added at the end.
pub(crate) fn replace_tables(
    page: &str,
    groups: &[(&str, Vec<Measured>)],
    command: &str,
    rounds: usize,
) -> String {
    let mut page = page.to_owned();
    for (group, measured) in groups {
        let (begin, end) = (format!("<!-- bench {group} -->"), format!("<!-- end {group} -->"));
        let note = format!("\n{rounds} rounds of `{command}`, {}, {}:\n", machine(), today());
        let body = format!("{begin}{note}{}\n{end}", table(group, measured));
        page = match (page.find(&begin), page.find(&end)) {
            (Some(from), Some(to)) if from < to => {
                format!("{}{body}{}", &page[..from], &page[to + end.len()..])
            }
            _ => format!("{}\n\n{body}\n", page.trim_end()),
        };
    }
    page
}

/// What the processor calls itself (Linux), and its cores.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let family = field("cpu family").map_or(String::new(), |family| format!(" family {family}"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}{family}, {cores} cores")
}

/// The date, UTC, as year-month-day.
fn today() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    date_of_day(now.map_or(0, |since| since.as_secs() / 86_400))
}

/// The civil date of a day since 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date_of_day(day: u64) -> String {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (month, date) = ((shifted + 2) % 12 + 1, of_year - (153 * shifted + 2) / 5 + 1);
    format!("{}-{month:02}-{date:02}", era * 400 + year_of_era + u64::from(month <= 2))
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(path, text).map_err(|source| Failure::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::super::groups::Runner;
    use super::super::worker::Sample;
    use super::super::{Measured, Series};
    use super::*;

    fn measured(engine: &str, ms: &[f64], against: Option<usize>, bar: Option<f64>) -> Measured {
        let runner = Runner::Ask { worker: String::new(), case: String::new() };
        let (work, engine) = ("step".to_owned(), engine.to_owned());
        let series = Series { work, engine, runner, against, bar, scaling: None, peak: None };
        let sample = |ms: &f64| Sample { nanoseconds: ms * 1e6, ..Default::default() };
        Measured { series, samples: ms.iter().map(sample).collect() }
    }

    #[test]
    fn ratios_are_of_medians_and_a_missed_bar_says_so() {
        let all = [
            measured("peer", &[10.0, 30.0, 20.0], None, None),
            measured("fast", &[4.0, 2.0, 9.0], Some(0), Some(0.25)),
            measured("slow", &[8.0, 8.0, 8.0], Some(0), Some(0.25)),
            measured("absent", &[], Some(0), Some(0.25)),
        ];
        let text = table("flow", &all);
        assert!(text.contains("| step | fast | 4.00 | 2.00 | 0.200 (0.200) | 0.25 |"), "{text}");
        assert!(text.contains("| 0.400 (0.800) | 0.25, missed |"), "{text}");
        assert!(!text.contains("absent"), "{text}");
    }

    #[test]
    fn tables_are_replaced_between_their_markers_only() {
        let groups = [("flow", vec![measured("new", &[1.0], None, None)])];
        let page = "before\n<!-- bench flow -->\nold\n<!-- end flow -->\nafter\n";
        let once = replace_tables(page, &groups, "cargo xtask bench flow", 7);
        assert!(
            once.starts_with("before\n<!-- bench flow -->\n7 rounds of `cargo xtask bench flow`"),
            "{once}"
        );
        assert!(once.ends_with("<!-- end flow -->\nafter\n") && !once.contains("old"), "{once}");
        assert_eq!(replace_tables(&once, &groups, "cargo xtask bench flow", 7), once);
        assert!(replace_tables("text\n", &groups, "", 7).contains("<!-- end flow -->"));
    }

    #[test]
    fn days_are_dates() {
        for (day, want) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_453, "2025-12-31")]
        {
            assert_eq!(date_of_day(day), want);
        }
    }
}
