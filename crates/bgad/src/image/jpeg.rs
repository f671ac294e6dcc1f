//! Whether the picture in a JPEG is whole: its compressed data are read to the end, without making pixels of them.
//!
//! Decoders fill what is missing with grey and say nothing, and whatever follows a hole in the data is decoded out of step.
//! An inspection would then judge pixels that no camera took. The data themselves tell: each scan has a known number of
//! blocks, and its last bit lies just before a marker.
//!
//! ```text
//! cut, hole          the data end before the last block
//! zeros, flipped     a code that no table has · more than 64 coefficients in a block · a mean beyond black or white
//!                    · data left over after the last block
//! end marker         may be missing if every coefficient of the picture is there
//! ```
//!
//! One flipped bit that leaves all this intact is not found; nor would anything else find it.

mod huffman;
mod scan;

use super::MAX_SIDE;
use huffman::Huffman;
use scan::{Bits, Scan};

/// Bytes after the last scan of a file without an end marker that are taken for a camera's trailer.
const TRAILER: usize = 4096;
/// Bytes of padding that encoders put between a scan and the next marker.
const PADDING: usize = 16;

/// More scans than any encoder writes; reading thousands of empty ones would take minutes.
const MOST_SCANS: usize = 100;

/// What is wrong with a JPEG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The data end before the picture does.
    Ends,
    /// The data contradict themselves.
    Damaged(String),
    /// A kind of JPEG that is not read.
    Kind(&'static str),
}

/// Where a whole picture ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whole {
    /// The first byte after its data, where the end marker is or should be.
    pub(super) end: usize,
    /// Whether the end marker is there.
    pub(super) marked: bool,
}

pub(super) fn damaged(what: impl Into<String>) -> Flaw {
    Flaw::Damaged(what.into())
}

/// Tables and sizes, as the markers so far have set them.
struct State {
    quantisation: [Option<u16>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: usize,
    frame: Option<Frame>,
}

/// What the start of a frame says.
struct Frame {
    progressive: bool,
    height: usize,
    width: usize,
    most: (usize, usize),
    components: Vec<Component>,
}

/// One channel.
struct Component {
    id: u8,
    /// Sampling factors, vertical and horizontal.
    sampling: (usize, usize),
    quantisation: usize,
    /// Blocks in a row of whole MCUs.
    stride: usize,
    /// Rows of blocks of whole MCUs.
    rows: usize,
    /// Blocks in its own rows and columns.
    blocks: (usize, usize),
    /// Of progressive data: for each block, which coefficients are not zero so far.
    known: Vec<u64>,
    /// For each coefficient the lowest bit that was sent; 16 if none was.
    sent: [u8; 64],
}

/// Reads all scans; says where the picture ends, or what is wrong.
pub(super) fn check(bytes: &[u8]) -> Result<Whole, Flaw> {
    let mut state = State {
        quantisation: [None; 4],
        dc: Default::default(),
        ac: Default::default(),
        restart_interval: 0,
        frame: None,
    };
    let (mut at, mut scans) = (2, 0usize);
    loop {
        let Some((marker, after)) = next_marker(bytes, at) else {
            return state.unmarked(bytes, at, scans);
        };
        if scans > 0 {
            state.leftover(&bytes[at..(after - 2).max(at)])?;
        }
        at = after;
        match marker {
            0xd9 if scans > 0 => {
                state.complete(false)?;
                return Ok(Whole { end: after - 2, marked: true });
            }
            0xd9 => return Err(Flaw::Ends),
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let Some(segment) = segment(bytes, at) else { return Err(Flaw::Ends) };
        at += 2 + segment.len();
        match marker {
            0xc0..=0xc2 => {
                if state.frame.is_some() {
                    return Err(damaged("two frame headers"));
                }
                if segment.first().is_some_and(|bits| *bits != 8) {
                    return Err(Flaw::Kind("a JPEG of 12-bit samples"));
                }
                let frame = Frame::of(segment, marker == 0xc2)?;
                if frame.height.max(frame.width) > MAX_SIDE as usize {
                    // The decoder refuses it by its size.
                    return Ok(Whole { end: bytes.len(), marked: true });
                }
                state.frame = Some(frame.with_history());
            }
            0xc3 => return Err(Flaw::Kind("a lossless JPEG")),
            0xc5..=0xc7 => return Err(Flaw::Kind("a hierarchical JPEG")),
            0xc9..=0xcb | 0xcd..=0xcf => return Err(Flaw::Kind("a JPEG with arithmetic coding")),
            0xc4 => state.huffman(segment)?,
            0xdb => state.quantisation(segment)?,
            0xdd => {
                let &[high, low, ..] = segment else { return Err(damaged("a short restart interval")) };
                state.restart_interval = usize::from(u16::from_be_bytes([high, low]));
            }
            0xda => {
                scans += 1;
                if scans > MOST_SCANS {
                    return Err(damaged(format!("more than {MOST_SCANS} scans")));
                }
                at = state.scan(segment, bytes, at)?;
            }
            _ => {}
        }
    }
}

/// Height and width of a JPEG, as the first frame header says.
pub(super) fn size(bytes: &[u8]) -> Option<(u16, u16)> {
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(bytes, at)?;
        at = after;
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let segment = segment(bytes, at)?;
        at += 2 + segment.len();
        if let (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, &[_, h1, h0, w1, w0, ..]) =
            (marker, segment)
        {
            return Some((u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0])));
        }
    }
}

/// The next marker and the place after it; bytes before it are passed over, as decoders do.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xff)?;
        match *bytes.get(at + 1)? {
            0xff => at += 1,
            0x00 => at += 2,
            marker => return Some((marker, at + 2)),
        }
    }
}

/// What follows the two bytes of a segment's length.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let &[high, low] = bytes.get(at..at + 2)? else { return None };
    bytes.get(at + 2..at + usize::from(u16::from_be_bytes([high, low])))
}

impl State {
    /// Bytes between a scan and the next marker: padding is common, anything else is data of blocks that were lost.
    fn leftover(&self, between: &[u8]) -> Result<(), Flaw> {
        let fill = between.iter().all(|byte| *byte == 0xff);
        let zeros = between.len() <= PADDING && between.iter().all(|byte| *byte == 0);
        match fill || zeros {
            true => Ok(()),
            false => Err(damaged(format!("{} bytes left over after the last block", between.len()))),
        }
    }

    /// The end of a file without an end marker.
    fn unmarked(&self, bytes: &[u8], at: usize, scans: usize) -> Result<Whole, Flaw> {
        if scans == 0 || self.complete(true).is_err() {
            return Err(Flaw::Ends);
        }
        if bytes.len() - at > TRAILER {
            return Err(damaged(format!("{} bytes left over after the last block", bytes.len() - at)));
        }
        Ok(Whole { end: at, marked: false })
    }

    /// Whether every channel was sent; `all` asks for every coefficient to its last bit.
    fn complete(&self, all: bool) -> Result<(), Flaw> {
        let Some(frame) = &self.frame else { return Err(Flaw::Ends) };
        let sent = |component: &Component| match (frame.progressive, all) {
            (true, true) => component.sent.iter().all(|bit| *bit == 0),
            _ => component.sent[0] < 16,
        };
        if frame.components.iter().all(sent) { Ok(()) } else { Err(Flaw::Ends) }
    }

    fn huffman(&mut self, mut segment: &[u8]) -> Result<(), Flaw> {
        while let Some((&kind, rest)) = segment.split_first() {
            let short = || damaged("a short table of codes");
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let (values, rest) = rest.split_at_checked(total).ok_or_else(short)?;
            let table =
                Huffman::new(counts, values).ok_or_else(|| damaged("an impossible table of codes"))?;
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = tables.get_mut(usize::from(kind & 15)).ok_or_else(|| damaged("a fifth table"))?;
            *slot = Some(table);
            segment = rest;
        }
        Ok(())
    }

    fn quantisation(&mut self, mut segment: &[u8]) -> Result<(), Flaw> {
        while let Some((&kind, rest)) = segment.split_first() {
            let wide = kind >> 4 != 0;
            let short = || damaged("a short quantisation table");
            let (table, rest) = rest.split_at_checked(if wide { 128 } else { 64 }).ok_or_else(short)?;
            let first = if wide { u16::from_be_bytes([table[0], table[1]]) } else { u16::from(table[0]) };
            let slot = self.quantisation.get_mut(usize::from(kind & 15));
            *slot.ok_or_else(|| damaged("a fifth quantisation table"))? = Some(first);
            segment = rest;
        }
        Ok(())
    }

    fn scan(&mut self, header: &[u8], bytes: &[u8], at: usize) -> Result<usize, Flaw> {
        let frame = self.frame.as_mut().ok_or_else(|| damaged("a scan before its frame header"))?;
        let scan = Scan {
            dc: &self.dc,
            ac: &self.ac,
            quantisation: &self.quantisation,
            restart_interval: self.restart_interval,
        };
        scan.read(frame, header, Bits::new(bytes, at))
    }
}

impl Frame {
    fn of(segment: &[u8], progressive: bool) -> Result<Frame, Flaw> {
        let short = || damaged("a short frame header");
        let (&[_, h1, h0, w1, w0, count], channels) = segment.split_first_chunk::<6>().ok_or_else(short)?;
        let (height, width) =
            (usize::from(u16::from_be_bytes([h1, h0])), usize::from(u16::from_be_bytes([w1, w0])));
        let channels = channels.as_chunks::<3>().0.get(..usize::from(count)).ok_or_else(short)?;
        let sampling = |c: &[u8; 3]| (usize::from(c[1] & 15), usize::from(c[1] >> 4));
        if height == 0 || width == 0 || channels.is_empty() || channels.len() > 4 {
            return Err(damaged(format!("a frame of {height}x{width} with {count} channels")));
        }
        if channels.iter().map(sampling).any(|(v, h)| !(1..=4).contains(&v) || !(1..=4).contains(&h)) {
            return Err(damaged("an impossible sampling factor"));
        }
        let most = channels.iter().map(sampling).fold((1, 1), |(v, h), (a, b)| (v.max(a), h.max(b)));
        let component = |c: &[u8; 3]| {
            let (v, h) = sampling(c);
            let own = |side: usize, factor: usize, most: usize| (side * factor).div_ceil(most).div_ceil(8);
            let rows = height.div_ceil(8 * most.0) * v;
            let stride = width.div_ceil(8 * most.1) * h;
            Component {
                id: c[0],
                sampling: (v, h),
                quantisation: usize::from(c[2] & 3),
                stride,
                blocks: (own(height, v, most.0), own(width, h, most.1)),
                rows,
                known: Vec::new(),
                sent: [16; 64],
            }
        };
        Ok(Frame { progressive, height, width, most, components: channels.iter().map(component).collect() })
    }

    /// With room for what progressive scans tell of each block.
    fn with_history(mut self) -> Frame {
        if self.progressive {
            self.components.iter_mut().for_each(|c| c.known = vec![0; c.rows * c.stride]);
        }
        self
    }
}

#[cfg(test)]
mod tests;
