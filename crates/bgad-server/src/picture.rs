//! A picture as it came, judged on a worker thread.

use std::time::{Duration, Instant, SystemTime};

use bgad::overlay::{self, Look};
use bgad::record::Capture;
use bgad::{Frame, Inspection, Layout};
use bytes::Bytes;

use crate::record::PartInfo;
use crate::refusal::Refusal;
use crate::version::Version;

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

/// A picture and what is wanted of it besides a verdict.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) picture: Picture,
    /// The picture of the result, and what its caption says of the part.
    pub(crate) overlay: Option<PartInfo>,
}

impl From<Picture> for Order {
    fn from(picture: Picture) -> Order {
        Order { picture, overlay: None }
    }
}

/// What came of a picture.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) inspection: Inspection,
    /// When the verdict was there.
    pub(crate) ended: SystemTime,
    /// The picture of the result as PNG, if it was ordered.
    pub(crate) overlay: Option<Bytes>,
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
}

impl Order {
    /// Decodes and inspects, and draws what was ordered: all of it on the thread of a worker, whose number is limited.
    pub(crate) fn judge(&self, version: &Version, arrived: Instant) -> Result<Judged, Refusal> {
        let started = Instant::now();
        let frame = self.picture.frame()?;
        let decoded = Instant::now();
        let inspection = version.detector.inspect(&frame).map_err(|e| Refusal::Invalid(e.to_string()))?;
        let (inference, ended) = (decoded.elapsed(), SystemTime::now());
        let overlay = self.overlay.as_ref().map(|part| {
            let created = Some(ended);
            let capture = Capture {
                file: part.file.clone(),
                part_id: part.part_id.clone(),
                created,
                ..Capture::default()
            };
            drawn(version, &frame, &inspection, &capture)
        });
        Ok(Judged {
            overlay: overlay.transpose()?,
            inspection,
            ended,
            queued: started - arrived,
            decoding: decoded - started,
            inference,
        })
    }
}

/// The picture that `bgad inspect --out` writes.
fn drawn(
    version: &Version,
    frame: &Frame,
    inspection: &Inspection,
    capture: &Capture,
) -> Result<Bytes, Refusal> {
    let look = Look { caption: Some(overlay::caption(&version.recipe, capture)), ..Look::default() };
    let picture = overlay::draw(frame, inspection, &version.recipe, &look);
    let picture = picture.map_err(|error| Refusal::Invalid(error.to_string()))?;
    Ok(picture.to_png().map_err(|error| Refusal::Internal(error.to_string()))?.into())
}
