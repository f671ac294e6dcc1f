//! An OCI image layout of the release binary, in `target/oci`: no Docker, no base image, nothing from a network.
//!
//! ```text
//! oci-layout, index.json         what the folder is
//! blobs/sha256/...               layer (tar), configuration, manifest
//! layer                          /usr/local/bin/bgad and the shared libraries that it names, at their paths
//! ```
//!
//! The same binary and libraries give the same bytes: `tar` sorts, and times and owners are 0.

use std::fs;
use std::path::{Path, PathBuf};

use crate::task::{self, Failure, Step, output, text};

/// Where the binary lies in the image.
const BINARY: &str = "usr/local/bin/bgad";
/// Nobody; the same as in deploy/.
const USER: &str = "65534:65534";

/// How the image is made.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// A binary that is there already; else the release binary is built.
    binary: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Options, Failure> {
        match arguments {
            [] => Ok(Options::default()),
            [flag, file] if flag == "--binary" => Ok(Options { binary: Some(file.into()) }),
            other => Err(Failure::usage(format!("`oci` takes --binary FILE, found `{}`", other.join(" ")))),
        }
    }
}

/// Makes the layout, in place of an earlier one.
pub(crate) fn make(arguments: &[String]) -> Result<(), Failure> {
    let binary = match Options::parse(arguments)?.binary {
        Some(binary) => binary,
        None => {
            task::run_all(&[Step::cargo(&["build", "--release", "-p", "bgad-cli"])])?;
            task::target().join("release/bgad")
        }
    };
    let layout = task::target().join("oci");
    let root = task::scratch("oci");
    for folder in [&layout, &root] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(at(folder))?;
        }
    }
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(at(&blobs))?;
    copy(&binary, &root.join(BINARY))?;
    for library in libraries(&output("ldd", &[&text(&binary)])?) {
        copy(&library, &root.join(library.strip_prefix("/").unwrap_or(&library)))?;
    }
    let layer = layout.join("layer.tar");
    task::run_all(&[Step::new(
        "tar",
        &[
            "--create",
            "--format=ustar",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u=rwX,go=rX",
            "--directory",
            &text(&root),
            "--file",
            &text(&layer),
            ".",
        ],
    )])?;
    let layer = Blob::keep(&blobs, &layer)?;
    let config = Blob::write(&blobs, &config(&layer))?;
    let manifest = Blob::write(&blobs, &manifest(&config, &layer))?;
    write(&layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")?;
    write(&layout.join("index.json"), &index(&manifest))?;
    println!("xtask: the image is in {}", layout.display());
    Ok(())
}

/// A file of the layout, named by its content.
struct Blob {
    sha256: String,
    bytes: u64,
}

impl Blob {
    /// Takes a file into the layout.
    fn keep(blobs: &Path, file: &Path) -> Result<Blob, Failure> {
        let line = output("sha256sum", &[&text(file)])?;
        let sha256 = line.trim_start_matches('\\').split(' ').next().unwrap_or_default().to_owned();
        let bytes = fs::metadata(file).map_err(at(file))?.len();
        let place = blobs.join(&sha256);
        fs::rename(file, &place).map_err(at(&place))?;
        Ok(Blob { sha256, bytes })
    }

    fn write(blobs: &Path, content: &str) -> Result<Blob, Failure> {
        let file = blobs.join("new");
        write(&file, content)?;
        Blob::keep(blobs, &file)
    }

    fn descriptor(&self, kind: &str) -> String {
        let Blob { sha256, bytes } = self;
        format!(r#""mediaType":"application/vnd.oci.image.{kind}","digest":"sha256:{sha256}","size":{bytes}"#)
    }
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn config(layer: &Blob) -> String {
    let (architecture, sha256) = (architecture(), &layer.sha256);
    format!(
        r#"{{"architecture":"{architecture}","os":"linux","config":{{"User":"{USER}","Entrypoint":["/{BINARY}"],"ExposedPorts":{{"8000/tcp":{{}},"8001/tcp":{{}}}},"Env":["PATH=/usr/local/bin"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{sha256}"]}}}}"#
    )
}

fn manifest(config: &Blob, layer: &Blob) -> String {
    let (config, layer) = (config.descriptor("config.v1+json"), layer.descriptor("layer.v1.tar"));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{{config}}},"layers":[{{{layer}}}]}}"#
    )
}

fn index(manifest: &Blob) -> String {
    let manifest = manifest.descriptor("manifest.v1+json");
    let (architecture, version) = (architecture(), env!("CARGO_PKG_VERSION"));
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{{manifest},"platform":{{"architecture":"{architecture}","os":"linux"}},"annotations":{{"org.opencontainers.image.ref.name":"{version}"}}}}]}}"#
    )
}

/// Files that `ldd` names: shared libraries and the loader.
fn libraries(ldd: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let line = line.trim();
        let named = line.split_once(" => ").map_or(line, |(_, path)| path);
        let path = named.split(" (").next().unwrap_or_default();
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    ldd.lines().filter_map(path).collect()
}

/// Copies a file, not a link to it.
fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(at(folder))?;
    fs::copy(from, to).map(drop).map_err(at(from))
}

fn write(path: &Path, content: &str) -> Result<(), Failure> {
    fs::write(path, content).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let path = path.to_owned();
    move |source| Failure::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_refused() {
        let parse = |words: &[&str]| Options::parse(&words.iter().map(|&w| w.to_owned()).collect::<Vec<_>>());
        assert_eq!(parse(&[]).expect("known"), Options { binary: None });
        assert_eq!(parse(&["--binary", "b"]).expect("known"), Options { binary: Some("b".into()) });
        assert!(parse(&["--binary"]).expect_err("no file").to_string().contains("`--binary`"));
    }

    #[test]
    fn libraries_are_those_with_a_path() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let paths = ["/lib/x86_64-linux-gnu/libm.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(libraries(ldd), paths);
        assert!(libraries("\tstatically linked\n").is_empty());
    }
}
