//! A picture as it came, judged on a worker thread.

use std::time::{Duration, Instant};

use bgad::{Detector, Frame, Inspection, Layout};
use bytes::Bytes;

use crate::refusal::Refusal;

/// A picture of a request, not decoded yet.
#[derive(Clone, Debug)]
pub(crate) enum Picture {
    /// An image file.
    Encoded(Bytes),
    /// Samples of 8 bit.
    U8(Bytes, Layout),
    /// Samples of 16 bit, little-endian.
    U16(Bytes, Layout),
}

/// What came of a picture.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) inspection: Inspection,
    /// From its arrival in the queue until a thread took it.
    pub(crate) queued: Duration,
    /// Decoding.
    pub(crate) decoding: Duration,
    /// From the frame to the verdict.
    pub(crate) inference: Duration,
}

impl Picture {
    fn frame(&self) -> Result<Frame, Refusal> {
        let invalid = |error: &dyn std::fmt::Display| Refusal::Invalid(error.to_string());
        match self {
            Picture::Encoded(bytes) => Frame::decode(bytes).map_err(|e| invalid(&e)),
            Picture::U8(bytes, layout) => Frame::from_u8(bytes, *layout).map_err(|e| invalid(&e)),
            Picture::U16(bytes, layout) => {
                let samples: Vec<u16> =
                    bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair)).collect();
                Frame::from_u16(&samples, *layout).map_err(|e| invalid(&e))
            }
        }
    }

    /// Decodes and inspects.
    pub(crate) fn judge(&self, detector: &Detector, arrived: Instant) -> Result<Judged, Refusal> {
        let started = Instant::now();
        let frame = self.frame()?;
        let decoded = Instant::now();
        let inspection = detector.inspect(&frame).map_err(|e| Refusal::Invalid(e.to_string()))?;
        Ok(Judged {
            inspection,
            queued: started - arrived,
            decoding: decoded - started,
            inference: decoded.elapsed(),
        })
    }
}
