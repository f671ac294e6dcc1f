//! Tensors of the Open Inference Protocol, whatever the door: pictures out of them, results into them.
//!
//! ```text
//! in    image         BYTES [N]               image files, each as 4 bytes of length (little-endian) and its content
//!                     UINT8 [N, H, W, C]      samples, C = 1, 3 or 4
//!                     UINT16 [N, H, W, C]     samples, little-endian; 65535 is white
//! out   score         FP32 [N]                nats
//!       verdict       BYTES [N]               OK, REVIEW or NG
//!       regions       BYTES [N]               JSON, as in the result record
//!       pred_score    FP32 [N]                score, under the name that anomalib uses
//!       pred_label    BOOL [N]                whether the verdict is not OK
//!       anomaly_map   FP32 [N, h, w]          nats, at the model's input size
//!       pred_mask     BOOL [N, h, w]          anomaly_map at and above the region threshold, if a place is flagged
//! ```

use bgad::verdict::Verdict;
use bgad::{Inspection, Layout};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::picture::{Judged, Picture};
use crate::refusal::Refusal;
use crate::version::Version;

/// Name of the only input.
pub(crate) const INPUT: &str = "image";
/// Images of one request at most.
const MOST_IMAGES: usize = 1024;

/// The outputs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Score,
    Verdict,
    Regions,
    PredScore,
    PredLabel,
    AnomalyMap,
    PredMask,
}

impl Output {
    pub(crate) const ALL: [Output; 7] = [
        Output::Score,
        Output::Verdict,
        Output::Regions,
        Output::PredScore,
        Output::PredLabel,
        Output::AnomalyMap,
        Output::PredMask,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Output::Score => "score",
            Output::Verdict => "verdict",
            Output::Regions => "regions",
            Output::PredScore => "pred_score",
            Output::PredLabel => "pred_label",
            Output::AnomalyMap => "anomaly_map",
            Output::PredMask => "pred_mask",
        }
    }

    pub(crate) fn named(name: &str) -> Result<Output, Refusal> {
        Output::ALL.into_iter().find(|output| output.name() == name).ok_or_else(|| {
            let all = Output::ALL.map(Output::name).join(", ");
            Refusal::invalid(format!("there is no output `{name}`, expected one of {all}"))
        })
    }

    pub(crate) fn datatype(self) -> &'static str {
        match self {
            Output::Score | Output::PredScore | Output::AnomalyMap => "FP32",
            Output::Verdict | Output::Regions => "BYTES",
            Output::PredLabel | Output::PredMask => "BOOL",
        }
    }

    /// Shape for the metadata; -1 is any number.
    pub(crate) fn shape(self) -> Vec<i64> {
        match self {
            Output::AnomalyMap | Output::PredMask => vec![-1, -1, -1],
            _ => vec![-1],
        }
    }
}

/// Values of an output, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Fp32(Vec<f32>),
    Bool(Vec<bool>),
    Bytes(Vec<Vec<u8>>),
}

/// An output with its values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    pub(crate) output: Output,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Values,
}

impl Values {
    /// As in the binary extension: little-endian; texts as 4 bytes of length and their content.
    pub(crate) fn to_raw(&self) -> Vec<u8> {
        match self {
            Values::Fp32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::Bool(values) => values.iter().map(|&v| u8::from(v)).collect(),
            Values::Bytes(values) => {
                let mut raw = Vec::new();
                for value in values {
                    // Texts that are made here are far below 4 GiB.
                    raw.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
                    raw.extend_from_slice(value);
                }
                raw
            }
        }
    }

    /// As in JSON: one flat list.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Values::Fp32(values) => json!(values),
            Values::Bool(values) => json!(values),
            Values::Bytes(values) => {
                values.iter().map(|value| Value::from(String::from_utf8_lossy(value))).collect()
            }
        }
    }
}

/// Pictures of a binary input.
pub(crate) fn pictures_of_raw(datatype: &str, shape: &[i64], raw: Bytes) -> Result<Vec<Picture>, Refusal> {
    match datatype {
        "BYTES" => {
            let files = split_texts(&raw)?;
            check_count(shape, files.len())?;
            Ok(files.into_iter().map(Picture::Encoded).collect())
        }
        "UINT8" | "UINT16" => pictures_of_samples(datatype, shape, raw),
        other => Err(wrong_datatype(other)),
    }
}

/// Pictures of files that came one by one.
pub(crate) fn pictures_of_files(shape: &[i64], files: Vec<Bytes>) -> Result<Vec<Picture>, Refusal> {
    check_count(shape, files.len())?;
    Ok(files.into_iter().map(Picture::Encoded).collect())
}

pub(crate) fn wrong_datatype(found: &str) -> Refusal {
    Refusal::invalid(format!(
        "`{INPUT}` is BYTES [N] or UINT8 or UINT16 [N, H, W, C], found datatype `{found}`"
    ))
}

/// Whether the shape says as many elements as there are; `[N]` and `[N, 1]` are both in use for files.
fn check_count(shape: &[i64], found: usize) -> Result<(), Refusal> {
    let said = shape.iter().try_fold(1i64, |product, &n| product.checked_mul(n).filter(|_| n >= 0));
    if said != i64::try_from(found).ok() || shape.is_empty() {
        return Err(Refusal::invalid(format!("`{INPUT}` has the shape {shape:?} but {found} elements")));
    }
    match found {
        1..=MOST_IMAGES => Ok(()),
        _ => Err(Refusal::invalid(format!("a request has 1 to {MOST_IMAGES} images, found {found}"))),
    }
}

fn split_texts(raw: &Bytes) -> Result<Vec<Bytes>, Refusal> {
    let mut texts = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let end = raw.get(at..at + 4).and_then(|len| {
            let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
            (at + 4).checked_add(len).filter(|&end| end <= raw.len())
        });
        let end = end.ok_or_else(|| {
            Refusal::invalid(format!(
                "`{INPUT}` of BYTES is 4 bytes of length and so many of content, again and again; element {} does not fit",
                texts.len()
            ))
        })?;
        texts.push(raw.slice(at + 4..end));
        at = end;
    }
    Ok(texts)
}

fn pictures_of_samples(datatype: &str, shape: &[i64], raw: Bytes) -> Result<Vec<Picture>, Refusal> {
    let wide = if datatype == "UINT16" { 2 } else { 1 };
    let sides: Option<Vec<usize>> = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
    let (count, height, width, channels) = match sides.as_deref() {
        Some(&[n, h, w, c]) => (n, h, w, c),
        Some(&[h, w, c]) => (1, h, w, c),
        _ => {
            let found = format!("`{INPUT}` of {datatype} has the shape [N, H, W, C], found {shape:?}");
            return Err(Refusal::invalid(found));
        }
    };
    let one =
        height.checked_mul(width).and_then(|n| n.checked_mul(channels)).and_then(|n| n.checked_mul(wide));
    let all = one.and_then(|one| one.checked_mul(count));
    let (Some(one), true) = (one, all == Some(raw.len())) else {
        let found = format!(
            "`{INPUT}` of {datatype} with the shape {shape:?} has {} bytes, found {}",
            all.map_or("too many".to_owned(), |n| n.to_string()),
            raw.len()
        );
        return Err(Refusal::invalid(found));
    };
    if !(1..=MOST_IMAGES).contains(&count) || one == 0 {
        return Err(Refusal::invalid(format!("a request has 1 to {MOST_IMAGES} images, found {shape:?}")));
    }
    let layout = Layout::packed(height, width, channels);
    let picture = |i: usize| {
        let samples = raw.slice(i * one..(i + 1) * one);
        if wide == 2 { Picture::U16(samples, layout) } else { Picture::U8(samples, layout) }
    };
    Ok((0..count).map(picture).collect())
}

/// The outputs that were asked for, in that order.
pub(crate) fn outputs(
    version: &Version,
    judged: &[Judged],
    asked: &[Output],
) -> Result<Vec<Tensor>, Refusal> {
    asked.iter().map(|&output| tensor(version, judged, output)).collect()
}

fn tensor(version: &Version, judged: &[Judged], output: Output) -> Result<Tensor, Refusal> {
    let found = || judged.iter().map(|judged| &judged.inspection);
    let values = match output {
        Output::Score | Output::PredScore => Values::Fp32(found().map(|i| i.score).collect()),
        Output::Verdict => Values::Bytes(found().map(|i| i.verdict.to_string().into_bytes()).collect()),
        Output::Regions => {
            let text = |i: &Inspection| serde_json::to_vec(&i.regions);
            let texts: Result<_, _> = found().map(text).collect();
            Values::Bytes(texts.map_err(|e| Refusal::Internal(format!("regions cannot be written: {e}")))?)
        }
        Output::PredLabel => Values::Bool(found().map(|i| i.verdict != Verdict::Ok).collect()),
        Output::AnomalyMap => Values::Fp32(found().flat_map(|i| i.map.nats.iter().copied()).collect()),
        Output::PredMask => Values::Bool(found().flat_map(|i| mask(version, i)).collect()),
    };
    let mut shape = vec![judged.len()];
    if matches!(output, Output::AnomalyMap | Output::PredMask) {
        let mut sizes = found().map(|i| [i.map.h, i.map.w]);
        let first = sizes.next().unwrap_or_default();
        if sizes.any(|size| size != first) {
            return Err(Refusal::invalid(format!(
                "the maps of these images have different sizes, because the model keeps proportions: ask for `{}` one image at a time",
                output.name()
            )));
        }
        shape.extend(first);
    }
    Ok(Tensor { output, shape, values })
}

/// Pixels of the map at and above the threshold of regions, if it is a place that is flagged.
fn mask(version: &Version, inspection: &Inspection) -> Vec<bool> {
    let threshold = version.detector.header().region_threshold();
    let flagged = inspection.verdict != Verdict::Ok && !inspection.whole_image;
    inspection.map.nats.iter().map(|&nats| flagged && nats >= threshold).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(raw: &[u8], shape: &[i64]) -> Result<usize, Refusal> {
        pictures_of_raw("BYTES", shape, Bytes::copy_from_slice(raw)).map(|pictures| pictures.len())
    }

    #[test]
    fn files_are_split_by_their_lengths() {
        let raw = b"\x02\0\0\0ab\x01\0\0\0c";
        assert_eq!(files(raw, &[2]), Ok(2));
        assert_eq!(files(raw, &[2, 1]), Ok(2));
        for shape in [&[1][..], &[3], &[], &[-2], &[i64::MAX, 2], &[-1, -2]] {
            assert!(files(raw, shape).is_err(), "{shape:?}");
        }
        for raw in [&b"\x03\0\0\0ab"[..], b"\x02\0\0", b"\xff\xff\xff\xffab", b""] {
            assert!(files(raw, &[1]).is_err(), "{raw:?}");
        }
    }

    #[test]
    fn samples_have_the_size_of_their_shape() {
        let pictures = |datatype: &str, shape: &[i64], bytes: usize| {
            pictures_of_raw(datatype, shape, Bytes::from(vec![0; bytes])).map(|pictures| pictures.len())
        };
        assert_eq!(pictures("UINT8", &[2, 3, 4, 3], 72), Ok(2));
        assert_eq!(pictures("UINT16", &[1, 3, 4, 1], 24), Ok(1));
        assert_eq!(pictures("UINT8", &[3, 4, 3], 36), Ok(1));
        for (datatype, shape, bytes) in [
            ("UINT8", &[2, 3, 4, 3][..], 71),
            ("UINT16", &[1, 3, 4, 1], 12),
            ("UINT8", &[3, 4], 12),
            ("UINT8", &[0, 3, 4, 3], 0),
            ("UINT8", &[1, -3, -4, 3], 36),
            ("UINT8", &[i64::MAX, i64::MAX, 4, 3], 36),
            ("FP32", &[1, 1, 1, 1], 4),
        ] {
            assert!(pictures(datatype, shape, bytes).is_err(), "{datatype} {shape:?}");
        }
    }

    #[test]
    fn values_are_written_as_the_protocol_says() {
        assert_eq!(Values::Fp32(vec![1.0, -2.5]).to_raw(), [0, 0, 128, 63, 0, 0, 32, 192]);
        assert_eq!(Values::Bytes(vec![b"OK".into()]).to_raw(), b"\x02\0\0\0OK");
        assert_eq!(Values::Bool(vec![true, false]).to_raw(), [1, 0]);
        assert_eq!(Values::Bytes(vec![b"NG".into()]).to_json(), json!(["NG"]));
        // As 64 bits, which hold every number of 32 bits: a client that rounds gets the same one back.
        let told = Values::Fp32(vec![0.1]).to_json();
        assert_eq!(told[0].as_f64().map(|value| (value as f32).to_bits()), Some(0.1f32.to_bits()));
    }
}
