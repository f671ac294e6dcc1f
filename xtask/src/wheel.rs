//! Builds the Python package: one wheel for all versions from 3.10 on, in `target/wheels`.

use crate::task::{self, Failure, Step, text};

/// What builds it, from PyPI.
const MATURIN: &str = "maturin==1.16.*";
/// A linker for old systems, from PyPI.
const ZIG: &str = "ziglang==0.17.*";

/// How the wheel is built.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// With the profile of development, for tests.
    dev: bool,
    /// For every Linux since glibc 2.17 (manylinux2014).
    portable: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, Failure> {
        let mut options = Options::default();
        for argument in arguments {
            match argument.as_str() {
                "--dev" => options.dev = true,
                "--portable" => options.portable = true,
                other => {
                    return Err(Failure::usage(format!(
                        "`wheel` takes --dev and --portable, found `{other}`"
                    )));
                }
            }
        }
        Ok(options)
    }
}

/// Installs maturin into an environment of its own and builds.
pub(crate) fn make(arguments: &[String]) -> Result<(), Failure> {
    let options = Options::parse(arguments)?;
    let environment = task::scratch("wheel");
    let bin = environment.join("bin");
    let [folder, python, maturin] =
        [environment, bin.join("python"), bin.join("maturin")].map(|path| text(&path));
    let mut install = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check", MATURIN];
    let wheels = text(&task::target().join("wheels"));
    let mut build =
        vec!["build", "--locked", "--manifest-path", "crates/bgad-python/Cargo.toml", "--out", &wheels];
    build.extend(["--profile", if options.dev { "dev" } else { "release" }]);
    if options.portable {
        install.push(ZIG);
        build.extend(["--zig", "--compatibility", "manylinux2014"]);
    }
    task::run_all(&[
        Step::new(task::python(), &["-m", "venv", &folder]),
        Step::new(python, &install),
        // Zig is found on the path.
        Step::new(maturin, &build).first_on_path(&bin),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_refused() {
        let parse = |words: &[&str]| Options::parse(&words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&["--dev"]).expect("known"), Options { dev: true, portable: false });
        assert_eq!(parse(&["--portable"]).expect("known"), Options { dev: false, portable: true });
        assert!(parse(&["--develop"]).expect_err("a typo").to_string().contains("`--develop`"));
    }
}
