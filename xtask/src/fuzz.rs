//! Breaks files at random for a while and reads them (crates/bgad/tests/fuzz.rs), on request under AddressSanitizer and with
//! the kernels before.

use crate::dist;
use crate::task::{self, Failure, Step};

/// Minutes when none are asked for.
const MINUTES: &str = "10";

/// How to fuzz.
#[derive(Debug, PartialEq, Eq)]
struct Options<'a> {
    minutes: &'a str,
    /// Under AddressSanitizer.
    sanitize: bool,
    /// With feedback of coverage, so many minutes for each target.
    coverage: bool,
}

impl Options<'_> {
    /// `[--minutes N] [--sanitize]`, in any order.
    fn parse(arguments: &[String]) -> Result<Options<'_>, Failure> {
        let mut options = Options { minutes: MINUTES, sanitize: false, coverage: false };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--sanitize" => options.sanitize = true,
                "--coverage" => options.coverage = true,
                "--minutes" => {
                    let minutes = rest.next().filter(|text| text.parse::<f64>().is_ok_and(|m| m > 0.0));
                    options.minutes = minutes
                        .ok_or_else(|| Failure::usage("`--minutes N` takes a number above 0".to_owned()))?;
                }
                other => {
                    return Err(Failure::usage(format!(
                        "expected `cargo xtask fuzz [--minutes N] [--sanitize | --coverage]`, found `{other}`"
                    )));
                }
            }
        }
        if options.sanitize && options.coverage {
            return Err(Failure::usage(
                "--coverage is under AddressSanitizer already: leave --sanitize out".to_owned(),
            ));
        }
        Ok(options)
    }
}

/// What is fuzzed with feedback of coverage: the programs of `fuzz/`, each with its corpus.
const TARGETS: [&str; 8] =
    ["model", "checkpoint", "image", "mask", "labels", "manifest", "split", "settings"];
/// What libFuzzer is told of the code: each edge and each comparison, as cargo-fuzz does it.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Ccodegen-units=1 --cfg fuzzing";

/// Runs every target for so many minutes; the first that crashes ends it, and its input is named.
fn coverage(minutes: &str) -> Result<(), Failure> {
    let host = dist::host()?;
    let target = task::scratch("coverage");
    let seconds = minutes.parse::<f64>().map_or(60.0, |minutes| 60.0 * minutes).ceil();
    let build = ["build", "--manifest-path", "fuzz/Cargo.toml", "--target", &host];
    let build = Step::cargo(&build).env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", COVERAGE);
    task::run_all(&[build.env("CARGO_TARGET_DIR", &target.to_string_lossy())])?;
    for name in TARGETS {
        // What is found goes into the first folder; the other holds the seeds.
        let found = target.join("found").join(name);
        std::fs::create_dir_all(&found).map_err(|source| Failure::Folder { path: found.clone(), source })?;
        let program = target.join(&host).join("debug").join(name);
        let limits = [
            &format!("-max_total_time={seconds}"),
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
        ]
        .map(str::to_owned);
        let folders = [found.to_string_lossy().into_owned(), format!("fuzz/corpus/{name}")];
        let artifacts = [format!("-artifact_prefix={}/{name}-", target.display())];
        task::run_all(&[Step::new(program.to_string_lossy(), &[])
            .args(&folders)
            .args(&limits)
            .args(&artifacts)
            .env("ASAN_OPTIONS", "detect_leaks=0")])?;
    }
    Ok(())
}

/// `[--minutes N] [--sanitize]`.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let Options { minutes, sanitize, coverage: with_coverage } = Options::parse(arguments)?;
    if with_coverage {
        return coverage(minutes);
    }
    let files = ["test", "-p", "bgad", "--test", "fuzz"];
    if !sanitize {
        let step = Step::cargo(&files).args(&["--".to_owned(), "--nocapture".to_owned()]);
        return task::run_all(&[step.env("BGAD_FUZZ_MINUTES", minutes)]);
    }
    let target = dist::host()?;
    let kernels = sanitized(&["test", "-p", "bgad-kernels"], &target);
    let files = sanitized(&files, &target).args(&["--".to_owned(), "--nocapture".to_owned()]);
    task::run_all(&[kernels, files.env("BGAD_FUZZ_MINUTES", minutes)])
}

/// A cargo command whose result runs under AddressSanitizer: any read or write outside an allocation ends it.
///
/// The flag is not stable yet, so the compiler is told to accept it; its runtime is part of the stable toolchain. With a
/// target of its own, build scripts and macros are left as they are, and so is the ordinary build. Leaks are not looked
/// for: thread pools live as long as the process.
fn sanitized(cargo: &[&str], target: &str) -> Step {
    Step::cargo(cargo)
        .args(&["--target".to_owned(), target.to_owned()])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .env("ASAN_OPTIONS", "detect_leaks=0:quarantine_size_mb=16")
        .env("CARGO_TARGET_DIR", &task::scratch("sanitize").to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<(String, bool), String> {
        let arguments: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        let options = Options::parse(&arguments).map_err(|failure| failure.to_string())?;
        Ok((options.minutes.to_owned(), options.sanitize))
    }

    #[test]
    fn options_come_in_any_order_and_mistakes_are_named() {
        assert_eq!(parse(""), Ok((MINUTES.to_owned(), false)));
        assert_eq!(parse("--sanitize --minutes 0.5"), Ok(("0.5".to_owned(), true)));
        assert_eq!(parse("--minutes 2 --sanitize"), Ok(("2".to_owned(), true)));
        for (words, named) in [
            ("--minutes", "--minutes N"),
            ("--minutes --sanitize", "--minutes N"),
            ("--minutes 0", "--minutes N"),
            ("--sanitise", "`--sanitise`"),
            ("--sanitize --coverage", "leave --sanitize out"),
        ] {
            let message = parse(words).expect_err(words);
            assert!(message.contains(named), "{message}");
        }
    }
}
