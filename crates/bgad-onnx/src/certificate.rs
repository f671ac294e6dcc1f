//! What the file says of itself, and what proves it: test images from a seed, and what the training engine finds in them.
//!
//! The images are those of [`TestVector::pixels`], which has the equations.
//!
//! Such images belong to no training set, so their scores can be large; of the seeds from 0 to [`SEEDS`] those are taken that the
//! model finds least odd: there a difference of numbers shows most.

use bgad::detector::Detector;
use bgad::image::{InputImage, OriginalSize};
use bgad::model::{ModelError, TestVector};
use bgad::{Frame, Layout, PartKind};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::graph::{INPUT, View};
use crate::messages::{Entry, Graph, Tensor};
use crate::profile::{Profile, Squash};
use crate::{Options, Source};

/// Seeds that are looked at.
pub const SEEDS: u32 = 20;

/// Test images of the input size.
const INPUTS: usize = 3;

/// Rows and columns of a pooled map.
pub const POOLED: usize = 8;

/// The name of the generator in the header.
const GENERATOR: &str = "bgad-1";

/// Largest difference of a score or a pooled map, nats: one part of it whatever its size, and one in proportion to it: four times what 32 bits
/// were measured to cost scores of thousands of nats (docs/decisions/onnx.md).
const NATS: Tolerance = Tolerance { absolute: 1e-3, relative: 1e-4 };

/// The same of numbers from 0 to 1.
const UNIT: Tolerance = Tolerance { absolute: 1e-4, relative: 0.0 };

/// How far a pixel of the preprocessing of others may be off: less than one step of 8 bit.
const PIXELS: f64 = 0.5 / 255.0;

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// SHA-256 of the model file.
    pub model_sha256: String,
    /// SHA-256 of the graph's constants: [`weights_sha256`].
    pub weights_sha256: String,
    /// Names and units of the outputs.
    pub profile: Profile,
    /// Names of the columns of `parts`.
    pub parts: Vec<String>,
    /// How a picture becomes an input.
    pub preprocess: Preprocess,
    /// What is in the graph.
    pub thresholds: ThresholdsInGraph,
    /// Test images and what is found in them.
    pub parity: Parity,
}

/// How a picture becomes an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Name of the input.
    pub input: String,
    /// Its type.
    pub dtype: String,
    /// Order of its axes.
    pub layout: String,
    /// Order of its channels.
    pub channels: String,
    /// Its lowest and highest value.
    pub range: [f32; 2],
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// The filter that brings a picture to that size.
    pub resize: String,
    /// Whether pictures keep their proportions, in the middle, the rest filled with their edge.
    pub keep_aspect: bool,
    /// First row and column, rows and columns of the input that show the picture.
    pub window: [usize; 4],
    /// Size of the pictures that the window is right for; `null` for any.
    pub image_size: Option<[usize; 2]>,
    /// Bits of a 16-bit sample that are used.
    pub bit_depth: u8,
    /// What the graph does to its input first: mean and standard deviation of red, green and blue.
    pub normalised_in_graph: [[f32; 3]; 2],
}

/// What is in the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdsInGraph {
    /// Where OK ends, nats.
    pub ok: f32,
    /// Where NG begins, nats.
    pub ng: f32,
    /// Where regions are cut out of the map, nats.
    pub region: f32,
    /// What becomes of the score under anomalib's profile.
    pub pred_score: Squash,
    /// What becomes of the map under anomalib's profile.
    pub anomaly_map: Squash,
}

/// Test images and what the training engine finds in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parity {
    /// How the images are drawn.
    pub generator: String,
    /// What computed the numbers.
    pub engine: String,
    /// How far a runtime may be off.
    pub tolerance: Tolerance,
    /// Images of the input size: nothing is resized.
    pub inputs: Vec<Case>,
    /// An image of another size: it tells whether pictures are brought to the input size as they should.
    pub picture: Picture,
    /// What the exporter found when it checked the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

/// How far a number may be off: `absolute + relative |number|`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Whatever its size.
    pub absolute: f64,
    /// In proportion to it.
    pub relative: f64,
}

impl Tolerance {
    /// Whether a number is near enough to the one that is expected; never if it is none.
    pub fn allows(self, found: f64, expected: f64) -> bool {
        (found - expected).abs() <= self.absolute + self.relative * expected.abs()
    }
}

/// What the training engine finds in a test image, in the units of the profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// What it is drawn from.
    pub seed: u32,
    /// Its score.
    pub score: f64,
    /// Its verdict: 0 OK, 1 REVIEW, 2 NG; of anomalib's profile 0 or 1.
    pub label: u8,
    /// Its map, each cell the mean of an eighth of the rows and columns.
    pub map: Vec<f64>,
}

/// A test image that is brought to the input size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// What it is drawn from.
    pub seed: u32,
    /// Its rows.
    pub height: usize,
    /// Its columns.
    pub width: usize,
    /// Pixels of the input that comes of it, 0 to 1: the middle of each cell of a grid of [`POOLED`] by [`POOLED`], row by row, three
    /// values each.
    pub rgb: Vec<f64>,
    /// How far a value may be off.
    pub tolerance: f64,
    /// Its score, in the units of the profile.
    pub score: f64,
}

/// What a runtime found when it checked the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The runtime.
    pub runtime: String,
    /// The largest difference of a score or of a value of a pooled map, in the units of the profile.
    pub largest_difference: f64,
}

/// The mean of each cell of a grid of [`POOLED`] by [`POOLED`]; of fewer rows or columns some cells are shared.
pub fn pooled(values: &[f32], h: usize, w: usize) -> Vec<f64> {
    let range = |i: usize, length: usize| {
        let first = (i * length / POOLED).min(length - 1);
        first..((i + 1) * length / POOLED).max(first + 1)
    };
    let cell = |i: usize| {
        let (rows, columns) = (range(i / POOLED, h), range(i % POOLED, w));
        let count = rows.len() * columns.len();
        let cells = rows.flat_map(|y| values[y * w..][columns.clone()].iter());
        cells.map(|v| f64::from(*v)).sum::<f64>() / count as f64
    };
    (0..POOLED * POOLED).map(cell).collect()
}

/// SHA-256 of the constants of a graph, in the order of their names: of each its name, its shape as `[64, 3, 3, 3]`, and its bytes.
pub fn weights_sha256(graph: &Graph) -> String {
    let mut constants: Vec<&Tensor> = graph.initializer.iter().collect();
    constants.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = Sha256::new();
    for tensor in constants {
        hash.update(tensor.name.as_deref().unwrap_or_default());
        hash.update(format!("{:?}", tensor.dims));
        hash.update(tensor.raw_data.as_deref().unwrap_or_default());
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the training engine finds in an image that is an input already.
pub(crate) fn case_of(
    detector: &Detector,
    profile: Profile,
    original: OriginalSize,
    seed: u32,
) -> (f32, Case) {
    let size = detector.input();
    let (height, width) = (size.height, size.width);
    let rgb_hwc = TestVector::pixels(seed, height, width).iter().map(|&v| f32::from(v) / 255.0).collect();
    let found = detector.inspect_input(&InputImage { height, width, rgb_hwc }, original);
    let header = detector.header();
    let label = found.verdict as u8;
    let (score, label, map) = match profile {
        Profile::Native => (f64::from(found.score), label, pooled(&found.map.nats, found.map.h, found.map.w)),
        Profile::Anomalib => {
            let squash = Squash::of_map(header);
            let mut map = vec![0.0; height * width];
            let window = size.window(original);
            for (y, row) in found.map.nats.chunks(found.map.w).enumerate() {
                let start = (window.top + y) * width + window.left;
                let to = &mut map[start..start + row.len()];
                to.iter_mut().zip(row).for_each(|(to, nats)| *to = squash.of(f64::from(*nats)) as f32);
            }
            let score = Squash::of_score(header).of(f64::from(found.score));
            (score, label.min(1), pooled(&map, height, width))
        }
    };
    (found.score, Case { seed, score, label, map })
}

impl Certificate {
    pub(crate) fn new(
        source: &Source<'_>,
        options: &Options,
        view: &View,
        parts: &[PartKind],
        graph: &Graph,
    ) -> Result<Certificate, ModelError> {
        let Source { model, model_sha256, detector } = *source;
        let header = &model.header;
        let size = view.size;
        let stretched = OriginalSize { height: size.height, width: size.width };
        let original = options.image_size.unwrap_or(stretched);
        let mut cases: Vec<(f32, Case)> =
            (0..SEEDS).map(|seed| case_of(detector, options.profile, original, seed)).collect();
        cases.sort_by(|a, b| a.0.total_cmp(&b.0));
        let inputs: Vec<Case> = cases.into_iter().take(INPUTS).map(|(_, case)| case).collect();
        // Larger than the input, in no simple proportion to it: a filter that skips pixels shows.
        let of_picture = options.image_size.unwrap_or(OriginalSize {
            height: 2 * size.height + size.height / 3,
            width: 2 * size.width + size.width / 5,
        });
        let (mean, std) = model.layers()?.mean_std;
        let on = bgad::instruction_set().map(|name| format!(" on {name}")).unwrap_or_default();
        Ok(Certificate {
            model_sha256: model_sha256.to_owned(),
            weights_sha256: weights_sha256(graph),
            profile: options.profile,
            parts: parts.iter().map(|kind| kind.name().to_owned()).collect(),
            preprocess: Preprocess {
                input: INPUT.to_owned(),
                dtype: "float32".to_owned(),
                layout: "NCHW".to_owned(),
                channels: "RGB".to_owned(),
                range: [0.0, 1.0],
                height: size.height,
                width: size.width,
                resize: "Lanczos3, anti-aliased, in whole numbers of the depth of the file: `resized` of tools/verify_export.py".to_owned(),
                keep_aspect: size.keep_aspect,
                window: [view.window.top, view.window.left, view.window.height, view.window.width],
                image_size: options.image_size.map(|size| [size.height, size.width]),
                bit_depth: header.options.bit_depth.bits(),
                normalised_in_graph: [mean, std],
            },
            thresholds: ThresholdsInGraph {
                ok: header.thresholds.ok,
                ng: header.thresholds.ng,
                region: header.region_threshold(),
                pred_score: Squash::of_score(header),
                anomaly_map: Squash::of_map(header),
            },
            parity: Parity {
                generator: GENERATOR.to_owned(),
                engine: format!("bgad {}{on}", env!("CARGO_PKG_VERSION")),
                tolerance: if options.profile == Profile::Native { NATS } else { UNIT },
                picture: picture_of(detector, options.profile, inputs[0].seed, of_picture),
                inputs,
                measured: None,
            },
        })
    }

    /// Reads it from a file's metadata.
    ///
    /// # Errors
    ///
    /// What is missing or malformed, in words.
    pub fn of_metadata(entries: &[Entry]) -> Result<Certificate, String> {
        let text = |key: &str| {
            let entry = entries.iter().find(|entry| entry.key.as_deref() == Some(key));
            let text = entry.and_then(|entry| entry.value.as_deref());
            text.ok_or_else(|| {
                format!("expected `{key}` in the metadata, found none; export it with `bgad export`")
            })
        };
        fn read<T: serde::de::DeserializeOwned>(key: &str, text: &str) -> Result<T, String> {
            serde_json::from_str(text).map_err(|error| format!("the metadata `{key}` is damaged: {error}"))
        }
        let parity: Parity = read(PARITY, text(PARITY)?)?;
        if parity.generator != GENERATOR {
            return Err(format!(
                "the test images are drawn by `{}`, and this version knows `{GENERATOR}`; verify with the version of bgad that exported it",
                parity.generator
            ));
        }
        let parts = text(PARTS)?;
        Ok(Certificate {
            model_sha256: text(MODEL)?.to_owned(),
            weights_sha256: text(WEIGHTS)?.to_owned(),
            profile: text(PROFILE)?.parse()?,
            parts: parts.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            preprocess: read(PREPROCESS, text(PREPROCESS)?)?,
            thresholds: read(THRESHOLDS, text(THRESHOLDS)?)?,
            parity,
        })
    }
}

const MODEL: &str = "bgad.model_sha256";
const WEIGHTS: &str = "bgad.weights_sha256";
const PROFILE: &str = "bgad.profile";
const PARTS: &str = "bgad.parts";
const PREPROCESS: &str = "bgad.preprocess";
const THRESHOLDS: &str = "bgad.thresholds";
const PARITY: &str = "bgad.parity";

/// The certificate as a file's metadata.
pub(crate) fn metadata(certificate: &Certificate) -> Vec<Entry> {
    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).expect("numbers and texts")
    }
    let entries = [
        (MODEL, certificate.model_sha256.clone()),
        (WEIGHTS, certificate.weights_sha256.clone()),
        (PROFILE, certificate.profile.name().to_owned()),
        (PARTS, certificate.parts.join(",")),
        (PREPROCESS, json(&certificate.preprocess)),
        (THRESHOLDS, json(&certificate.thresholds)),
        (PARITY, json(&certificate.parity)),
    ];
    entries.map(|(key, value)| Entry { key: Some(key.to_owned()), value: Some(value) }).to_vec()
}

/// The pixel in the middle of each cell of a grid of [`POOLED`] by [`POOLED`].
pub fn middles(input: &InputImage) -> Vec<f64> {
    let middle = |i: usize, length: usize| (2 * i + 1) * length / (2 * POOLED);
    let pixel = |i: usize| {
        let at = middle(i / POOLED, input.height) * input.width + middle(i % POOLED, input.width);
        input.rgb_hwc[3 * at..3 * at + 3].iter().map(|v| f64::from(*v)).collect::<Vec<f64>>()
    };
    (0..POOLED * POOLED).flat_map(pixel).collect()
}

fn picture_of(detector: &Detector, profile: Profile, seed: u32, original: OriginalSize) -> Picture {
    let OriginalSize { height, width } = original;
    let pixels = TestVector::pixels(seed, height, width);
    let frame = Frame::from_u8(&pixels, Layout::packed(height, width, 3)).expect("as many pixels as drawn");
    let input = detector.input_of(&frame).expect("a picture of 8 bit");
    let nats = f64::from(detector.inspect_input(&input, original).score);
    let score = match profile {
        Profile::Native => nats,
        Profile::Anomalib => Squash::of_score(detector.header()).of(nats),
    };
    Picture { seed, height, width, rgb: middles(&input), tolerance: PIXELS, score }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_those_that_others_draw() {
        // By `draw` of tools/verify_export.py.
        let image = TestVector::pixels(3, 70, 50);
        assert_eq!(image[..3], [139, 145, 151]);
        let mean = image.iter().map(|&v| f64::from(v)).sum::<f64>() / image.len() as f64;
        assert!((mean - 144.397_429).abs() < 1e-5, "{mean}");
    }

    #[test]
    fn pooling_is_a_mean_of_cells() {
        let values: Vec<f32> = (0..16 * 24).map(|i| (i / 24 / 2 * 8 + i % 24 / 3) as f32).collect();
        assert_eq!(pooled(&values, 16, 24), (0..64).map(f64::from).collect::<Vec<f64>>());
        // Fewer rows than cells are looked at more than once.
        assert_eq!(pooled(&[1.0, 2.0], 2, 1)[..8], [1.0; 8]);
        assert_eq!(pooled(&[1.0, 2.0], 2, 1)[56..], [2.0; 8]);
    }

    #[test]
    fn a_number_that_is_none_is_never_near_enough() {
        assert!(NATS.allows(1.0009, 1.0) && !NATS.allows(1.002, 1.0));
        assert!(NATS.allows(1000.1, 1000.0) && !NATS.allows(1000.2, 1000.0));
        assert!(
            !NATS.allows(f64::NAN, 1.0) && !NATS.allows(1.0, f64::NAN) && !NATS.allows(f64::INFINITY, 1.0)
        );
    }

    #[test]
    fn a_file_without_a_certificate_says_what_is_missing() {
        let missing = Certificate::of_metadata(&[]).expect_err("nothing there");
        assert!(missing.contains("bgad.parity") && missing.contains("bgad export"), "{missing}");
        let entry = |value: &str| Entry { key: Some(PARITY.to_owned()), value: Some(value.to_owned()) };
        let damaged = Certificate::of_metadata(&[entry("{")]).expect_err("no JSON");
        assert!(damaged.contains("damaged"), "{damaged}");
    }
}
