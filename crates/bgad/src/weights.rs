//! Names to tensors: the border where a safetensors file becomes numbers.
//!
//! A file is eight bytes of header length, a JSON header (names, types, shapes, places) and the values. The header
//! is checked whole before anything is read, so a file that loads has every tensor it announces; reading one then
//! only asks for its name, type and shape. Nothing in a file is ever executed.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::{error, fmt, io};

use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use sha2::{Digest, Sha256};

use crate::outside;

/// The tensors of one safetensors file, in memory.
pub struct Weights {
    bytes: Cow<'static, [u8]>,
    header: Metadata,
    /// First byte of the values.
    values: usize,
}

impl Weights {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Read`] if the system does not give the bytes, [`WeightsError::Malformed`] if they are no
    /// safetensors file.
    pub fn open(path: impl AsRef<Path>) -> Result<Weights, WeightsError> {
        let path = path.as_ref();
        let bytes = outside::read(path, outside::MAX_MODEL)
            .map_err(|source| WeightsError::Read { path: path.to_path_buf(), source })?;
        Weights::from_bytes(bytes)
    }

    /// Reads a file that is in memory already: `Vec<u8>` or `&'static [u8]`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if the bytes are no safetensors file.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Weights, WeightsError> {
        let bytes = bytes.into();
        let (length, header) = SafeTensors::read_metadata(&bytes).map_err(WeightsError::Malformed)?;
        Ok(Weights { bytes, header, values: size_of::<u64>() + length })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.header.offset_keys();
        names.sort_unstable();
        names
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.info(name).map(|info| info.shape.as_slice())
    }

    /// The bytes of a tensor of type `U8`.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`] or [`WeightsError::Type`].
    pub fn tensor_u8(&self, name: &str) -> Result<Vec<u8>, WeightsError> {
        let info = self.header.info(name).ok_or_else(|| WeightsError::Missing { name: name.to_owned() })?;
        if info.dtype != Dtype::U8 {
            return Err(WeightsError::Type { name: name.to_owned(), found: info.dtype.to_string() });
        }
        Ok(self.bytes_of(name, info)?.to_vec())
    }

    /// A safetensors file of those tensors whose names `keep` accepts.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Malformed`] if a tensor's bytes are not where the header says.
    pub fn subset(&self, keep: impl Fn(&str) -> bool) -> Result<Vec<u8>, WeightsError> {
        let mut views = Vec::new();
        for name in self.names().into_iter().filter(|name| keep(name)) {
            if let Some(info) = self.header.info(&name) {
                let bytes = self.bytes_of(&name, info)?;
                let view = TensorView::new(info.dtype, info.shape.clone(), bytes);
                views.push((name, view.map_err(WeightsError::Malformed)?));
            }
        }
        safetensors::serialize(views, None).map_err(WeightsError::Malformed)
    }

    /// The values of a tensor, row-major; `F16` and `BF16` are widened, which is exact.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`], [`WeightsError::Shape`] or [`WeightsError::Type`], each with the name.
    pub fn tensor_f32(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let info = self.header.info(name).ok_or_else(|| WeightsError::Missing { name: name.to_owned() })?;
        if info.shape != shape {
            return Err(WeightsError::Shape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: info.shape.clone(),
            });
        }
        let bytes = self.bytes_of(name, info)?;
        match info.dtype {
            Dtype::F32 => Ok(each(bytes, f32::from_le_bytes)),
            Dtype::F16 => Ok(each(bytes, |b| widen_f16(u16::from_le_bytes(b)))),
            Dtype::BF16 => Ok(each(bytes, |b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))),
            found => Err(WeightsError::Type { name: name.to_owned(), found: found.to_string() }),
        }
    }

    fn bytes_of(&self, name: &str, info: &TensorInfo) -> Result<&[u8], WeightsError> {
        let (from, to) = info.data_offsets;
        let values = self.bytes.get(self.values..).unwrap_or_default();
        values
            .get(from..to)
            .ok_or_else(|| WeightsError::Malformed(SafeTensorError::InvalidOffset(name.to_owned())))
    }

    /// One entry of the file's free text, such as `licence`.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// The bytes of the whole file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into_owned()
    }

    /// SHA-256 of the whole file, 64 lower-case hexadecimal digits.
    pub fn sha256(&self) -> String {
        sha256_hex(&self.bytes)
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tensors = self.header.offset_keys().len();
        f.debug_struct("Weights").field("bytes", &self.bytes.len()).field("tensors", &tensors).finish()
    }
}

/// SHA-256 of some bytes, 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn each<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|&b| value(b)).collect()
}

/// IEEE half precision: one sign bit, five of exponent, ten of fraction.
fn widen_f16(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(half >> 10 & 0x1f), u32::from(half & 0x3ff));
    let magnitude = match exponent {
        // Zero and subnormal numbers count in units of 2⁻²⁴.
        0 => (fraction as f32 / 16_777_216.0).to_bits(),
        31 => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 112) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// Why weights were refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not a whole safetensors file.
    Malformed(SafeTensorError),
    /// A tensor that is needed is not in the file.
    Missing {
        /// Its full name.
        name: String,
    },
    /// A tensor has another shape than is needed.
    Shape {
        /// Its full name.
        name: String,
        /// The shape that is needed.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor has a type that is not read as `f32`.
    Type {
        /// Its full name.
        name: String,
        /// The type in the file.
        found: String,
    },
    /// A tensor has values that no computation survives: not a number, infinite, or a variance below zero.
    Value {
        /// Its full name.
        name: String,
    },
}

impl fmt::Display for WeightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read weights from {}", path.display()),
            Self::Malformed(_) => {
                write!(f, "expected a safetensors file, found something else or a part of one")
            }
            Self::Missing { name } => write!(f, "weights have no tensor `{name}`"),
            Self::Shape { name, expected, found } => {
                write!(f, "tensor `{name}`: expected shape {expected:?}, found {found:?}")
            }
            Self::Type { name, found } => {
                write!(f, "tensor `{name}`: expected type F32, F16 or BF16, found {found}")
            }
            Self::Value { name } => {
                write!(f, "tensor `{name}`: expected finite values and no negative variance, found others")
            }
        }
    }
}

impl error::Error for WeightsError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Malformed(source) => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: &[u8]) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(values);
        bytes
    }

    fn sample() -> Vec<u8> {
        let header = r#"{"__metadata__":{"licence":"none"},
            "a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},
            "b":{"dtype":"F16","shape":[7],"data_offsets":[8,22]},
            "c":{"dtype":"BF16","shape":[2],"data_offsets":[22,26]},
            "d":{"dtype":"U8","shape":[2],"data_offsets":[26,28]}}"#;
        let mut values: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let halves = [0x3c00u16, 0xc500, 0x0001, 0x8000, 0x7c00, 0x7bff, 0x0400, 0x3fc0, 0xc000];
        values.extend(halves.iter().flat_map(|x| x.to_le_bytes()));
        values.extend([3, 4]);
        file(header, &values)
    }

    #[test]
    fn values_of_three_types_are_read() {
        let weights = Weights::from_bytes(sample()).unwrap();
        assert_eq!(weights.names(), ["a", "b", "c", "d"]);
        assert_eq!(weights.shape("a"), Some(&[1, 2][..]));
        assert_eq!(weights.metadata("licence"), Some("none"));
        assert_eq!(weights.metadata("author"), None);
        assert_eq!(weights.tensor_f32("a", &[1, 2]).unwrap(), [1.5, -2.0]);
        let halves = [1.0, -5.0, 2f32.powi(-24), -0.0, f32::INFINITY, 65504.0, 2f32.powi(-14)];
        assert_eq!(weights.tensor_f32("b", &[7]).unwrap(), halves);
        assert_eq!(weights.tensor_f32("c", &[2]).unwrap(), [1.5, -2.0]);
    }

    #[test]
    fn a_wrong_request_is_named() {
        let weights = Weights::from_bytes(sample()).unwrap();
        for (name, shape, message) in [
            ("e", &[1][..], "weights have no tensor `e`"),
            ("a", &[2, 1], "tensor `a`: expected shape [2, 1], found [1, 2]"),
            ("a", &[2], "tensor `a`: expected shape [2], found [1, 2]"),
            ("d", &[2], "tensor `d`: expected type F32, F16 or BF16, found U8"),
        ] {
            assert_eq!(weights.tensor_f32(name, shape).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let whole = sample();
        for length in 0..whole.len() {
            assert!(Weights::from_bytes(whole[..length].to_vec()).is_err(), "the first {length} bytes");
        }
        let tensor = |shape: &str, offsets: &str| {
            file(&format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#), &[0; 8])
        };
        for bytes in [
            Vec::new(),
            u64::MAX.to_le_bytes().to_vec(),
            file("[]", &[]),
            file("{\"a\":1}", &[]),
            tensor("[3]", "[0,8]"),
            tensor("[2]", "[8,0]"),
            tensor("[2]", "[0,16]"),
            tensor("[2]", "[18446744073709551608,18446744073709551615]"),
            tensor("[4294967296,4294967296,4294967296]", "[0,8]"),
        ] {
            assert!(
                matches!(Weights::from_bytes(bytes.clone()), Err(WeightsError::Malformed(_))),
                "{bytes:?}"
            );
        }
        // Any one byte changed: an error or other numbers, never a panic.
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x15;
            if let Ok(weights) = Weights::from_bytes(bytes) {
                for name in weights.names() {
                    let shape = weights.shape(&name).unwrap().to_vec();
                    let _ = weights.tensor_f32(&name, &shape);
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Weights::open("no/such/file.safetensors").unwrap_err();
        assert_eq!(error.to_string(), "cannot read weights from no/such/file.safetensors");
        assert!(error::Error::source(&error).is_some());
    }

    #[test]
    fn the_hash_is_sha_256() {
        assert_eq!(sha256_hex(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
