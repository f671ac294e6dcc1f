//! Commands run one after the other from the workspace root, until one fails.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    // As `cargo run` says: the folder that this was compiled in may be another clone with the same target folder.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).parent().expect("xtask lies in the workspace").to_owned()
}

/// Cargo's target folder, which git ignores.
pub(crate) fn target() -> PathBuf {
    root().join(std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from))
}

/// A path as an argument of a program.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Where tasks may keep intermediate files.
pub(crate) fn scratch(name: &str) -> PathBuf {
    target().join("xtask").join(name)
}

/// The Python interpreter: `PYTHON` if set, else `python3`.
pub(crate) fn python() -> String {
    std::env::var("PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// One command with its arguments and environment.
pub(crate) struct Step {
    program: String,
    args: Vec<String>,
    env: Vec<(&'static str, String)>,
}

impl Step {
    pub(crate) fn new(program: impl Into<String>, args: &[&str]) -> Step {
        Step { program: program.into(), args: args.iter().map(|&a| a.to_owned()).collect(), env: Vec::new() }
    }

    /// The cargo that runs this task, so that a toolchain override stays in force.
    pub(crate) fn cargo(args: &[&str]) -> Step {
        Step::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), args)
    }

    pub(crate) fn args(mut self, args: &[String]) -> Step {
        self.args.extend_from_slice(args);
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &str) -> Step {
        self.env.push((name, value.to_owned()));
        self
    }

    /// Looks for programs in this folder before all others.
    pub(crate) fn first_on_path(self, folder: &Path) -> Step {
        let path = std::env::var("PATH").unwrap_or_default();
        self.env("PATH", &format!("{}:{path}", folder.display()))
    }

    fn run(&self) -> Result<(), Failure> {
        eprintln!("xtask: {self}");
        let status = Command::new(&self.program)
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(root())
            .status()
            .map_err(|source| Failure::Start { command: self.to_string(), source })?;
        if status.success() { Ok(()) } else { Err(Failure::Status { command: self.to_string(), status }) }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}='{value}' ")?;
        }
        let program = Path::new(&self.program)
            .file_name()
            .map_or(self.program.as_str().into(), |n| n.to_string_lossy());
        write!(f, "{program} {}", self.args.join(" "))
    }
}

/// What a program prints.
pub(crate) fn output(program: &str, args: &[&str]) -> Result<String, Failure> {
    let command = format!("{program} {}", args.join(" "));
    let output = Command::new(program).args(args).current_dir(root()).output();
    let output = output.map_err(|source| Failure::Start { command: command.clone(), source })?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Failure::Status { command, status: output.status }),
    }
}

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run_all(steps: &[Step]) -> Result<(), Failure> {
    steps.iter().try_for_each(Step::run)
}

/// Why a task did not finish.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line of xtask itself is wrong.
    Usage(String),
    /// A program could not be started.
    Start { command: String, source: std::io::Error },
    /// A program ran and said no.
    Status { command: String, status: ExitStatus },
    /// A folder for intermediate files could not be made.
    Folder { path: PathBuf, source: std::io::Error },
    /// A file could not be read or written.
    File { path: PathBuf, source: std::io::Error },
    /// What was built is not fit to be handed out.
    Dist(String),
    /// Something that a benchmark needs could not be made.
    Bench(String),
}

impl Failure {
    pub(crate) fn usage(message: String) -> Failure {
        Failure::Usage(message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(message) => f.write_str(message),
            Self::Start { command, source } => write!(f, "cannot start `{command}`: {source}"),
            Self::Status { command, status } => write!(f, "failed: `{command}` ({status})"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Dist(message) => write!(f, "not fit to be handed out: {message}"),
            Self::Bench(message) => write!(f, "the benchmark cannot begin: {message}"),
            Self::Folder { path, source } => write!(f, "cannot make the folder {}: {source}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failing_step_is_named_and_the_next_is_not_run() {
        let steps = [
            Step::cargo(&["--version"]),
            Step::cargo(&["no-such-subcommand-of-cargo"]),
            Step::new("never-reached", &[]),
        ];
        let failure = run_all(&steps).expect_err("the second step fails").to_string();
        assert!(failure.contains("no-such-subcommand-of-cargo"), "{failure}");
    }

    #[test]
    fn a_program_that_does_not_exist_is_named() {
        let failure =
            run_all(&[Step::new("no-such-program-anywhere", &[])]).expect_err("cannot start").to_string();
        assert!(failure.starts_with("cannot start `no-such-program-anywhere"), "{failure}");
    }
}
