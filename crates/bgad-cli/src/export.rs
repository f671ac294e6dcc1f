//! `bgad export` and `bgad verify-export`: a model as an ONNX file, and the proof that it is one.

use std::io::Write as _;
use std::path::Path;

use bgad::detector::Detector;
use bgad::model::Model;
use bgad::outside;
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
        let (model, bytes) = Model::open_with_bytes(path)?;
        let detector = Detector::new(&model)?;
        Ok(Opened { model, sha256: sha256_hex(&bytes), detector })
    }

    fn source(&self) -> Source<'_> {
        Source { model: &self.model, model_sha256: &self.sha256, detector: &self.detector }
    }
}

/// The largest file that ONNX's own encoding allows.
const LARGEST: u64 = 2 << 30;

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
    let file = args.file.display();
    let bytes =
        outside::read(&args.file, LARGEST).map_err(|error| context(format!("cannot read {file}"), error))?;
    let opened = args.model.as_deref().map(Opened::open).transpose()?;
    let source = opened.as_ref().map(Opened::source);
    let report =
        verify(&bytes, source.as_ref()).map_err(|error| context(format!("cannot verify {file}"), error))?;
    let certificate = &report.certificate;
    let mut text = out::text();
    writeln!(text, "file                {file}")?;
    writeln!(text, "model               {}", certificate.model_sha256)?;
    writeln!(text, "profile             {}", certificate.profile)?;
    writeln!(text, "engine              {}", certificate.parity.engine)?;
    writeln!(text, "runtime             {}", report.runtime)?;
    writeln!(text, "test images         {}", report.images)?;
    writeln!(text, "largest difference  {:.1e}", report.largest_difference)?;
    let verdict = if report.holds() { "holds" } else { "does not hold" };
    writeln!(text, "certificate         {verdict}")?;
    for finding in &report.findings {
        say(format_args!("{file}: {finding}"));
    }
    Ok(Outcome::of(report.findings.len(), 0))
}
