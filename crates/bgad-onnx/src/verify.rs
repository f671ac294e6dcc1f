//! Runs a certificate: draws the test images, gives them to the graph, compares.

use std::fmt;

use bgad::image::{BitDepth, InputImage, InputSize};
use bgad::model::TestVector;
use bgad::{Frame, Layout};
use rten_tensor::{AsView as _, Layout as _};
use rten_tensor::{NdTensor, Tensor};

use crate::certificate::{Case, Certificate, Picture, Preprocess, case_of, middles, pooled, weights_sha256};
use crate::profile::Profile;
use crate::{OPSET, Source, messages};

/// What runs the graph.
const RUNTIME: &str = "rten 0.27";

/// What came of a certificate.
#[derive(Clone, Debug)]
pub struct Report {
    /// What ran the graph.
    pub runtime: String,
    /// What the file says of itself.
    pub certificate: Certificate,
    /// Test images that went through the graph.
    pub images: usize,
    /// The largest difference of a score or of a value of a pooled map, in the units of the profile; NaN if one is not a number.
    pub largest_difference: f64,
    /// What does not hold; nothing if the file is what it says.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the certificate holds.
    pub fn holds(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Something about a file that does not hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Finding {
    /// A constant of the graph was changed since it was exported.
    Weights,
    /// The model at hand is not the one that was exported.
    OtherModel {
        /// SHA-256 of the model that was exported.
        expected: String,
        /// SHA-256 of the one at hand.
        found: String,
    },
    /// The file says something of its input that no exporter wrote.
    Preprocess {
        /// What, with what was expected.
        what: String,
    },
    /// A number is too far off.
    Number {
        /// Which one.
        what: String,
        /// What the training engine finds.
        expected: f64,
        /// What was found.
        found: f64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Weights => write!(
                f,
                "constants of the graph are not those that were exported (SHA-256 differs); export the model again"
            ),
            Finding::OtherModel { expected, found } => write!(
                f,
                "it was exported from the model with SHA-256 {expected}, and this one has {found}; \
                 export this model, or name the other one"
            ),
            Finding::Preprocess { what } => f.write_str(what),
            Finding::Number { what, expected, found } => {
                write!(f, "{what}: expected {expected:.6}, found {found:.6}")
            }
        }
    }
}

/// Why a file could not be checked at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It is no ONNX file.
    #[error("expected an ONNX file, found something else")]
    Malformed(#[source] prost::DecodeError),
    /// It has no certificate, or a damaged one.
    #[error("the file has no certificate that can be read: {0}")]
    Certificate(String),
    /// The runtime does not take it.
    #[error("the graph cannot be loaded ({RUNTIME})")]
    Load(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The runtime fails.
    #[error("the graph cannot be run ({RUNTIME}): {0}")]
    Run(String),
}

/// Runs the certificate of a file; with a model also whether it is this one that was exported, and whether the engine at hand still finds
/// what the certificate says.
///
/// # Errors
///
/// A [`VerifyError`] if it could not be run. What it found is in the report.
pub fn verify(bytes: &[u8], source: Option<&Source<'_>>) -> Result<Report, VerifyError> {
    let file = messages::Model::from_bytes(bytes).map_err(VerifyError::Malformed)?;
    let certificate = Certificate::of_metadata(&file.metadata_props).map_err(VerifyError::Certificate)?;
    let graph =
        file.graph.as_ref().ok_or_else(|| VerifyError::Certificate("there is no graph".to_owned()))?;
    let mut check = Check { certificate: &certificate, largest: 0.0, findings: Vec::new() };
    if weights_sha256(graph) != certificate.weights_sha256 {
        check.findings.push(Finding::Weights);
    }
    if !file.opset_import.iter().any(|set| set.version == Some(OPSET)) {
        check.preprocess(format!("expected operators of opset {OPSET}"));
    }
    let preprocess = &certificate.preprocess;
    check.described(preprocess);
    if let Some(source) = source {
        check.source(source);
    }
    let graph = Runnable::new(bytes, preprocess, certificate.profile)?;
    let size = preprocess.height * preprocess.width;
    let mut batch = Vec::with_capacity(3 * size * certificate.parity.inputs.len());
    for case in &certificate.parity.inputs {
        let pixels = TestVector::pixels(case.seed, preprocess.height, preprocess.width);
        batch.extend(planes(&pixels.iter().map(|&v| f32::from(v) / 255.0).collect::<Vec<f32>>()));
    }
    for (case, found) in certificate.parity.inputs.iter().zip(graph.run(batch)?) {
        check.case(case, &found);
    }
    check.picture(&certificate.parity.picture, &graph)?;
    let Check { largest, findings, .. } = check;
    Ok(Report {
        runtime: RUNTIME.to_owned(),
        images: certificate.parity.inputs.len() + 1,
        largest_difference: largest,
        findings,
        certificate,
    })
}

struct Check<'a> {
    certificate: &'a Certificate,
    largest: f64,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn preprocess(&mut self, what: String) {
        self.findings.push(Finding::Preprocess { what });
    }

    fn described(&mut self, preprocess: &Preprocess) {
        let said = [
            ("dtype", preprocess.dtype.as_str(), "float32"),
            ("layout", &preprocess.layout, "NCHW"),
            ("channels", &preprocess.channels, "RGB"),
        ];
        for (what, found, expected) in said {
            if found != expected {
                self.preprocess(format!("preprocessing: expected {what} {expected}, found {found}"));
            }
        }
        if preprocess.range != [0.0, 1.0] {
            self.preprocess(format!(
                "preprocessing: expected values from 0 to 1, found {:?}",
                preprocess.range
            ));
        }
    }

    fn source(&mut self, source: &Source<'_>) {
        if source.model_sha256 != self.certificate.model_sha256 {
            self.findings.push(Finding::OtherModel {
                expected: self.certificate.model_sha256.clone(),
                found: source.model_sha256.to_owned(),
            });
            return;
        }
        let preprocess = &self.certificate.preprocess;
        let [height, width] = preprocess.image_size.unwrap_or([preprocess.height, preprocess.width]);
        let original = bgad::image::OriginalSize { height, width };
        for case in &self.certificate.parity.inputs {
            let (_, now) = case_of(source.detector, self.certificate.profile, original, case.seed);
            let found = Found { score: now.score, label: i64::from(now.label), pooled: now.map };
            self.compare(case, &found, "the engine at hand");
        }
    }

    fn case(&mut self, case: &Case, found: &Found) {
        self.compare(case, found, RUNTIME);
    }

    fn compare(&mut self, case: &Case, found: &Found, who: &str) {
        let seed = case.seed;
        self.number(|| format!("score of test image {seed} by {who}"), case.score, found.score);
        if found.label != i64::from(case.label) {
            self.findings.push(Finding::Number {
                what: format!("verdict of test image {seed} by {who}"),
                expected: f64::from(case.label),
                found: found.label as f64,
            });
        }
        let cells = case.map.iter().zip(&found.pooled).enumerate();
        let worst = cells.max_by(|(_, a), (_, b)| off(*a.0, *a.1).total_cmp(&off(*b.0, *b.1)));
        if let Some((cell, (expected, found))) = worst {
            self.number(
                || format!("cell {cell} of the map of test image {seed} by {who}"),
                *expected,
                *found,
            );
        }
    }

    fn number(&mut self, what: impl Fn() -> String, expected: f64, found: f64) {
        let off = off(expected, found);
        if off.is_nan() || off > self.largest {
            self.largest = off;
        }
        if !self.certificate.parity.tolerance.allows(found, expected) {
            self.findings.push(Finding::Number { what: what(), expected, found });
        }
    }

    fn picture(&mut self, picture: &Picture, graph: &Runnable) -> Result<(), VerifyError> {
        let preprocess = &self.certificate.preprocess;
        let pixels = TestVector::pixels(picture.seed, picture.height, picture.width);
        let layout = Layout::packed(picture.height, picture.width, 3);
        let frame = Frame::from_u8(&pixels, layout).map_err(|e| VerifyError::Certificate(e.to_string()))?;
        let InputSize { height, width, .. } = graph.size;
        let size = InputSize { height, width, keep_aspect: preprocess.keep_aspect };
        let depth = BitDepth::new(preprocess.bit_depth).unwrap_or(BitDepth::FULL);
        let input = frame.to_input(size, depth).map_err(|e| VerifyError::Certificate(e.to_string()))?;
        for (expected, found) in picture.rgb.iter().zip(middles(&input)) {
            if (expected - found).abs() > picture.tolerance {
                self.findings.push(Finding::Number {
                    what: "a pixel of the resized test picture".to_owned(),
                    expected: *expected,
                    found,
                });
                return Ok(());
            }
        }
        let InputImage { rgb_hwc, .. } = input;
        for found in graph.run(planes(&rgb_hwc))? {
            self.number(
                || format!("score of the resized test picture by {RUNTIME}"),
                picture.score,
                found.score,
            );
        }
        Ok(())
    }
}

/// How far two numbers are apart; infinite if one is none.
fn off(expected: f64, found: f64) -> f64 {
    let off = (expected - found).abs();
    if off.is_nan() { f64::INFINITY } else { off }
}

/// `[h, w, 3]` as `[3, h, w]`.
fn planes(rgb_hwc: &[f32]) -> Vec<f32> {
    (0..3).flat_map(|c| rgb_hwc.iter().skip(c).step_by(3).copied()).collect()
}

/// What a graph gives for an image.
struct Found {
    score: f64,
    label: i64,
    pooled: Vec<f64>,
}

/// A graph in the runtime.
struct Runnable {
    model: rten::Model,
    profile: Profile,
    input: String,
    size: InputSize,
}

impl Runnable {
    fn new(bytes: &[u8], preprocess: &Preprocess, profile: Profile) -> Result<Runnable, VerifyError> {
        let model = rten::Model::load(bytes.to_vec()).map_err(|e| VerifyError::Load(Box::new(e)))?;
        let (height, width) = (preprocess.height, preprocess.width);
        let size = InputSize { height, width, keep_aspect: false };
        Ok(Runnable { model, profile, input: preprocess.input.clone(), size })
    }

    /// What it gives for a batch, `[N, 3, H, W]`.
    fn run(&self, batch: Vec<f32>) -> Result<Vec<Found>, VerifyError> {
        let wrong = |error: &dyn fmt::Display| VerifyError::Run(error.to_string());
        let InputSize { height, width, .. } = self.size;
        let n = batch.len() / (3 * height * width);
        let input = NdTensor::from_data([n, 3, height, width], batch);
        let id = |name: &str| self.model.node_id(name).map_err(|e| wrong(&e));
        let outputs = [id(self.profile.score())?, id(self.profile.label())?, id(self.profile.map())?];
        let given = vec![(id(&self.input)?, input.into())];
        let [score, label, map] = self.model.run_n(given, outputs, None).map_err(|e| wrong(&e))?;
        let score: Tensor<f32> = score.try_into().map_err(|e| wrong(&e))?;
        let label: Tensor<i32> = label.try_into().map_err(|e| wrong(&e))?;
        let map: Tensor<f32> = map.try_into().map_err(|e| wrong(&e))?;
        if [score.len(), label.len()] != [n; 2] || map.ndim() < 2 || map.shape()[0] != n {
            return Err(VerifyError::Run(format!("expected results of {n} images")));
        }
        let (rows, columns) = (map.shape()[map.ndim() - 2], map.shape()[map.ndim() - 1]);
        let (score, label, map) = (score.to_vec(), label.to_vec(), map.to_vec());
        let maps = map.chunks(rows * columns);
        let of = |((score, label), map): ((f32, i32), &[f32])| Found {
            score: f64::from(score),
            label: i64::from(label),
            pooled: pooled(map, rows, columns),
        };
        Ok(score.into_iter().zip(label).zip(maps).map(of).collect())
    }
}
