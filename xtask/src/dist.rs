//! Builds what users download, in `target/dist`: for the Linux of this machine's processor, from glibc 2.17 on.
//!
//! ```text
//! bgad-VERSION-TARGET.tar.gz     the binary, licences, man pages, completions
//! bgad_VERSION_ARCH.deb          the same as a package
//! bgad-VERSION.cdx.json          the parts that it is built from (CycloneDX), with their licences
//! SHA256SUMS                     of all of these
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use crate::task::{self, Failure, Step, output, text};
use crate::tool;

/// What links for old systems, from PyPI.
const ZIG: [&str; 2] = ["cargo-zigbuild==0.24.*", "ziglang==0.17.*"];
/// What makes the package and the list of parts, from crates.io.
const DEB: &str = "cargo-deb@3.8.0";
const SBOM: &str = "cargo-cyclonedx@0.5.9";
/// The oldest glibc that the binary runs with: that of CentOS 7 and of manylinux2014.
const GLIBC: (u32, u32) = (2, 17);

/// Builds, checks and lists all of it.
pub(crate) fn make() -> Result<(), Failure> {
    let target = host()?;
    if !target.ends_with("-linux-gnu") {
        return Err(Failure::usage(format!(
            "`dist` builds on Linux with glibc, found {target}; .github/workflows/release.yml has the others"
        )));
    }
    let binary = build(&target)?;
    check(&binary)?;
    let folder = task::target().join("dist");
    let version = version(&binary)?;
    let name = format!("bgad-{version}-{target}");
    let tree = folder.join(&name);
    let _ = fs::remove_dir_all(&folder);
    lay_out(&tree, &binary)?;
    let [folder_text, tree_text] = [&folder, &tree].map(|path| text(path));
    let archive = format!("{name}.tar.gz");
    // The same bytes for the same files, whoever packs them.
    task::run_all(&[Step::new(
        "tar",
        &["--sort=name", "--mtime=@1735689600", "--owner=0", "--group=0", "--numeric-owner"],
    )
    .args(&["-C", &folder_text, "-czf", &format!("{folder_text}/{archive}"), &name].map(str::to_owned))])?;
    package(&target, &folder_text, &tree_text)?;
    parts(&target, &folder.join(format!("bgad-{version}.cdx.json")))?;
    let _ = fs::remove_dir_all(&tree);
    sums(&folder)?;
    println!("xtask: {}", folder.display());
    Ok(())
}

/// The release binary, linked for old systems.
fn build(target: &str) -> Result<PathBuf, Failure> {
    let environment = task::scratch("dist");
    let bin = environment.join("bin");
    let [environment, python] = [environment, bin.join("python")].map(|path| text(&path));
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let glibc = format!("{target}.{}.{}", GLIBC.0, GLIBC.1);
    let build = ["zigbuild", "--release", "--locked", "-p", "bgad-cli", "--target", &glibc];
    task::run_all(&[
        Step::new(task::python(), &["-m", "venv", &environment]),
        Step::new(python, &[&install[..], &ZIG].concat()),
        Step::cargo(&build).first_on_path(&bin),
    ])?;
    Ok(task::target().join(target).join("release/bgad"))
}

/// Refuses a binary that asks for a newer glibc, or that does not run here.
fn check(binary: &Path) -> Result<(), Failure> {
    let symbols = output("objdump", &["-T", &binary.to_string_lossy()])?;
    match newest_glibc(&symbols) {
        Some(newest) if newest <= GLIBC => println!("xtask: glibc {}.{} is enough", newest.0, newest.1),
        found => {
            let found = found.map_or("none at all".to_owned(), |(a, b)| format!("{a}.{b}"));
            return Err(Failure::Dist(format!(
                "expected glibc {}.{} at most, found {found}",
                GLIBC.0, GLIBC.1
            )));
        }
    }
    task::run_all(&[Step::new(binary.to_string_lossy(), &["--version"])])
}

/// The newest version of glibc that `objdump -T` lists.
fn newest_glibc(symbols: &str) -> Option<(u32, u32)> {
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let number = rest.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
        let mut parts = number.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    });
    versions.max()
}

/// As `bgad --version` says.
fn version(binary: &Path) -> Result<String, Failure> {
    let text = output(&binary.to_string_lossy(), &["--version"])?;
    Ok(text.trim().trim_start_matches("bgad ").to_owned())
}

/// The folder that becomes the archive.
fn lay_out(tree: &Path, binary: &Path) -> Result<(), Failure> {
    let completions = tree.join("completions");
    fs::create_dir_all(&completions)
        .map_err(|source| Failure::Folder { path: completions.clone(), source })?;
    let root = task::root();
    let mut copies: Vec<(PathBuf, &str)> = vec![(binary.to_owned(), "bgad")];
    copies.extend(
        ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "NOTICE"].map(|n| (root.join(n), n)),
    );
    for (from, name) in copies {
        fs::copy(&from, tree.join(name)).map_err(|source| Failure::File { path: from, source })?;
    }
    let program = binary.to_string_lossy();
    for (shell, name) in
        [("bash", "bgad"), ("zsh", "_bgad"), ("fish", "bgad.fish"), ("powershell", "_bgad.ps1")]
    {
        let path = completions.join(name);
        let script = output(&program, &["completions", shell])?;
        fs::write(&path, script).map_err(|source| Failure::File { path, source })?;
    }
    task::run_all(&[Step::new(program, &["man", "--out", &tree.join("man").to_string_lossy()])])
}

/// The Debian package, of what is laid out already.
fn package(target: &str, folder: &str, tree: &str) -> Result<(), Failure> {
    // What `[package.metadata.deb]` names is looked for where cargo builds for the target.
    let beside = task::target().join(target).join("release/dist");
    let _ = fs::remove_dir_all(&beside);
    let words = [
        "deb",
        "--no-build",
        "--no-strip",
        "--locked",
        "-p",
        "bgad-cli",
        "--target",
        target,
        "--output",
        folder,
    ];
    task::run_all(&[
        Step::new("cp", &["-r", tree, &beside.to_string_lossy()]),
        Step::cargo(&words).first_on_path(&tool::folder(DEB)?),
    ])
}

/// The list of parts of the program; the tool writes one beside each manifest of the workspace.
fn parts(target: &str, to: &Path) -> Result<(), Failure> {
    let words = ["cyclonedx", "--format", "json", "--target", target, "--override-filename", "parts"];
    task::run_all(&[Step::cargo(&words).first_on_path(&tool::folder(SBOM)?)])?;
    let root = task::root();
    let of_cli = root.join("crates/bgad-cli/parts.json");
    let list = fs::read_to_string(&of_cli).map_err(|source| Failure::File { path: of_cli, source })?;
    let list = without_place(&list, &root);
    fs::write(to, list).map_err(|source| Failure::File { path: to.to_owned(), source })?;
    let crates = root.join("crates");
    let entries = fs::read_dir(&crates).map_err(|source| Failure::File { path: crates, source })?;
    let written = entries.flatten().map(|entry| entry.path().join("parts.json"));
    written.chain([root.join("xtask/parts.json")]).for_each(|path| drop(fs::remove_file(path)));
    Ok(())
}

/// The list of parts with the project's own ones named from its root: where it was built is nobody's concern.
fn without_place(list: &str, root: &Path) -> String {
    list.replace(&format!("file://{}/", root.display()), "file:///bgad/")
}

/// `SHA256SUMS`, as `sha256sum -c` reads it.
fn sums(folder: &Path) -> Result<(), Failure> {
    let script = "sha256sum *.tar.gz *.deb *.cdx.json > SHA256SUMS && sha256sum -c --quiet SHA256SUMS";
    task::run_all(&[Step::new("sh", &["-c", &format!("cd '{}' && {script}", folder.display())])])
}

/// The triple of the machine that compiles.
pub(crate) fn host() -> Result<String, Failure> {
    let text = output("rustc", &["-vV"])?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Failure::Dist("expected a line `host: ` from `rustc -vV`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_found_by_number() {
        let symbols =
            "0 DF *UND* 0 (GLIBC_2.9) a\n0 DF *UND* 0 (GLIBC_2.17) b\n0 DF *UND* 0 (GLIBC_2.2.5) c\n";
        assert_eq!(newest_glibc(symbols), Some((2, 17)));
        assert_eq!(newest_glibc("no symbols"), None);
    }

    #[test]
    fn the_list_of_parts_does_not_say_where_it_was_built() {
        let list = r#"{"bom-ref": "path+file:///home/ada/bgad/crates/bgad#0.2.0"}"#;
        let list = without_place(list, Path::new("/home/ada/bgad"));
        assert_eq!(list, r#"{"bom-ref": "path+file:///bgad/crates/bgad#0.2.0"}"#);
    }

    #[test]
    fn the_compiler_names_its_machine() {
        let host = host().expect("a triple");
        assert!(host.contains(std::env::consts::ARCH), "{host}");
    }
}
