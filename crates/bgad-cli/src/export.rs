//! `bgad export` and `bgad verify-export`: a model as an ONNX file, and the proof that it is one.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use bgad::detector::Detector;
use bgad::model::Model;
use bgad::weights::sha256_hex;
use bgad_onnx::{Exported, Source, export, verify};

use crate::args::{ExportArgs, VerifyExportArgs};
use crate::exit::Outcome;
use crate::failure::{Failure, context, say};
use crate::{machine, out, product};

/// A model file, read and made ready.
struct Opened {
    model: Model,
    sha256: String,
    detector: Detector,
}

impl Opened {
    fn open(path: &Path) -> Result<Opened, Failure> {
        let model = Model::open(path)?;
        let sha256 = sha256_hex(&read(path)?);
        let detector = Detector::new(&model)?;
        Ok(Opened { model, sha256, detector })
    }

    fn source(&self) -> Source<'_> {
        Source { model: &self.model, model_sha256: &self.sha256, detector: &self.detector }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| context(format!("cannot read {}", path.display()), error))
}

pub(crate) fn run(args: &ExportArgs) -> Result<Outcome, Failure> {
    machine::use_threads(None)?;
    product::check([args.output.as_path()])?;
    let opened = Opened::open(&args.model)?;
    let named = |error| context(format!("cannot export {}", args.model.display()), error);
    let Exported { bytes, certificate } =
        export(&opened.source(), &args.options()).map_err(|error| named(Failure::from(error)))?;
    product::write(&args.output, &bytes)?;
    let measured = certificate.parity.measured.as_ref();
    let (runtime, off) =
        measured.map_or(("nothing", f64::NAN), |m| (m.runtime.as_str(), m.largest_difference));
    say(format_args!(
        "{}: profile {}, {:.1} MB; checked by {runtime}, largest difference {off:.1e}",
        args.output.display(),
        certificate.profile,
        bytes.len() as f64 / 1e6
    ));
    Ok(Outcome::Fine)
}

pub(crate) fn verify_export(args: &VerifyExportArgs) -> Result<Outcome, Failure> {
    machine::use_threads(None)?;
    let bytes = read(&args.file)?;
    let opened = args.model.as_deref().map(Opened::open).transpose()?;
    let source = opened.as_ref().map(Opened::source);
    let file = args.file.display();
    let report =
        verify(&bytes, source.as_ref()).map_err(|error| context(format!("cannot verify {file}"), error))?;
    let certificate = &report.certificate;
    let mut text = out::text();
    let _ = writeln!(text, "file                {file}");
    let _ = writeln!(text, "model               {}", certificate.model_sha256);
    let _ = writeln!(text, "profile             {}", certificate.profile);
    let _ = writeln!(text, "engine              {}", certificate.parity.engine);
    let _ = writeln!(text, "runtime             {}", report.runtime);
    let _ = writeln!(text, "test images         {}", report.images);
    let _ = writeln!(text, "largest difference  {:.1e}", report.largest_difference);
    let verdict = if report.holds() { "holds" } else { "does not hold" };
    let _ = writeln!(text, "certificate         {verdict}");
    for finding in &report.findings {
        say(format_args!("{file}: {finding}"));
    }
    Ok(Outcome::of(report.findings.len(), 0))
}
