//! Reading one scan, block by block.

use super::huffman::Huffman;
use super::{Component, Flaw, Frame, damaged};

/// Bits of the entropy-coded data, up to the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Bits<'a> {
        Bits { bytes, at, buffer: 0, count: 0 }
    }

    /// Reads ahead, so that 32 bits are there unless a marker or the end comes first.
    #[inline]
    pub(super) fn fill(&mut self) {
        while self.count <= 32 {
            match self.bytes.get(self.at) {
                Some(0xff) if self.bytes.get(self.at + 1) == Some(&0) => {
                    self.buffer = self.buffer << 8 | 0xff;
                    self.at += 2;
                }
                Some(0xff) | None => return,
                Some(byte) => {
                    self.buffer = self.buffer << 8 | u64::from(*byte);
                    self.at += 1;
                }
            }
            self.count += 8;
        }
    }

    /// The next bits, at most 16; zeros where there are none.
    #[inline]
    pub(super) fn peek(&self, count: u32) -> u32 {
        let bits = match self.count >= count {
            true => self.buffer >> (self.count - count),
            false => self.buffer << (count - self.count),
        };
        (bits & ((1 << count) - 1)) as u32
    }

    #[inline]
    pub(super) fn drop(&mut self, count: u32) -> Result<(), Flaw> {
        if count > self.count {
            return Err(Flaw::Ends);
        }
        self.count -= count;
        self.buffer &= (1 << self.count) - 1;
        Ok(())
    }

    /// Takes bits, at most 16.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Flaw> {
        self.fill();
        let bits = self.peek(count);
        self.drop(count)?;
        Ok(bits)
    }

    pub(super) fn left(&self) -> u32 {
        self.count
    }

    /// Where the data stopped being read: the first byte of which no bit was taken.
    fn end(&self) -> usize {
        // Bytes that were read ahead go back; a stuffed one takes two.
        let mut at = self.at;
        for _ in 0..self.count / 8 {
            at -= if at >= 2 && self.bytes[at - 2..at] == [0xff, 0] { 2 } else { 1 };
        }
        at
    }
}

/// What a scan is read with.
pub(super) struct Scan<'a> {
    pub(super) dc: &'a [Option<Huffman>; 4],
    pub(super) ac: &'a [Option<Huffman>; 4],
    pub(super) quantisation: &'a [Option<u16>; 4],
    pub(super) restart_interval: usize,
}

/// One channel of a scan: its place in the frame, its tables, and what the next block builds on.
struct Part<'a> {
    component: usize,
    dc: Option<&'a Huffman>,
    ac: Option<&'a Huffman>,
    mean: i32,
    /// Largest mean that black or white can have, in steps of the quantisation, twice over.
    largest: i32,
}

/// Which coefficients a scan brings, and which bits of them.
#[derive(Clone, Copy)]
struct Band {
    first: usize,
    last: usize,
    high: u8,
    low: u8,
}

impl Scan<'_> {
    /// Reads the scan; says where it ends.
    pub(super) fn read(&self, frame: &mut Frame, header: &[u8], bits: Bits<'_>) -> Result<usize, Flaw> {
        let short = || damaged("a short scan header");
        let (&count, rest) = header.split_first().ok_or_else(short)?;
        let (chosen, rest) = rest.split_at_checked(2 * usize::from(count)).ok_or_else(short)?;
        let &[first, last, approximation, ..] = rest else { return Err(short()) };
        let band = match frame.progressive {
            true => {
                let (first, last) = (usize::from(first), usize::from(last).min(63));
                Band { first, last, high: approximation >> 4, low: approximation & 15 }
            }
            false => Band { first: 0, last: 63, high: 0, low: 0 },
        };
        let possible = band.first <= band.last && band.low <= 13 && (1..=4).contains(&count);
        if !possible || (band.first > 0 && count > 1) || (frame.progressive && band.first == 0 && last > 0) {
            return Err(damaged("an impossible scan header"));
        }
        let mut parts = Vec::with_capacity(chosen.len() / 2);
        for &[id, tables] in chosen.as_chunks::<2>().0 {
            parts.push(self.part(frame, id, tables, band)?);
        }
        let end = self.blocks(frame, &mut parts, band, bits)?;
        for part in &parts {
            frame.components[part.component].sent[band.first..=band.last].fill(band.low);
        }
        Ok(end)
    }

    fn part(&self, frame: &Frame, id: u8, tables: u8, band: Band) -> Result<Part<'_>, Flaw> {
        let component = frame.components.iter().position(|component| component.id == id);
        let component = component.ok_or_else(|| damaged("a scan of a channel that there is not"))?;
        let (dc, ac) =
            (self.dc[usize::from(tables >> 4 & 3)].as_ref(), self.ac[usize::from(tables & 3)].as_ref());
        let needs_dc = band.first == 0 && band.high == 0;
        let needs_ac = band.last > 0;
        if (needs_dc && dc.is_none()) || (needs_ac && ac.is_none()) {
            return Err(damaged("a scan without its table of codes"));
        }
        let step = self.quantisation[frame.components[component].quantisation].map_or(1, i32::from).max(1);
        Ok(Part { component, dc, ac, mean: 0, largest: 2048 / step + 1 })
    }

    fn blocks(
        &self,
        frame: &mut Frame,
        parts: &mut [Part<'_>],
        band: Band,
        mut bits: Bits<'_>,
    ) -> Result<usize, Flaw> {
        let alone = parts.len() == 1;
        let (rows, columns) = match alone {
            true => frame.components[parts[0].component].blocks,
            false => (frame.height.div_ceil(8 * frame.most.0), frame.width.div_ceil(8 * frame.most.1)),
        };
        let (mut run, mut restarts) = (0u32, 0u8);
        for unit in 0..rows * columns {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                bits = restart(&bits, restarts)?;
                restarts = (restarts + 1) % 8;
                run = 0;
                parts.iter_mut().for_each(|part| part.mean = 0);
            }
            let (row, column) = (unit / columns, unit % columns);
            for part in parts.iter_mut() {
                let component = &mut frame.components[part.component];
                let (v, h) = if alone { (1, 1) } else { component.sampling };
                for block in 0..v * h {
                    if frame.progressive {
                        let at = (row * v + block / h) * component.stride + column * h + block % h;
                        progressive(part, component, at, band, &mut run, &mut bits)?;
                    } else {
                        baseline(part, &mut bits)?;
                    }
                }
            }
        }
        Ok(bits.end())
    }
}

/// Steps over a restart marker, which has to be the one of this number.
fn restart<'a>(bits: &Bits<'a>, number: u8) -> Result<Bits<'a>, Flaw> {
    let mut at = bits.end();
    // Fill bytes may stand before any marker.
    while bits.bytes.get(at..at + 2) == Some(&[0xff, 0xff]) {
        at += 1;
    }
    match bits.bytes.get(at..at + 2) {
        Some(&[0xff, marker]) if marker == 0xd0 + number => Ok(Bits::new(bits.bytes, at + 2)),
        None => Err(Flaw::Ends),
        _ => Err(damaged(format!("no restart marker {number} where it belongs"))),
    }
}

/// A number of so many bits, negative if the first bit is 0.
fn signed(bits: u32, count: u32) -> i32 {
    match count > 0 && bits < 1 << (count - 1) {
        true => bits as i32 - (1 << count) + 1,
        false => bits as i32,
    }
}

/// The mean of a block, as the difference from the block before.
#[inline]
fn mean(part: &mut Part<'_>, low: u8, bits: &mut Bits<'_>) -> Result<(), Flaw> {
    let Some(table) = part.dc else { return Err(damaged("a scan without its table of codes")) };
    let count = u32::from(table.next(bits)?);
    if count > 11 {
        return Err(damaged("a mean of more than 11 bits"));
    }
    part.mean += signed(bits.take(count)?, count);
    if (part.mean << low).abs() > part.largest {
        return Err(damaged("a block brighter than white or darker than black"));
    }
    Ok(())
}

#[inline]
fn baseline(part: &mut Part<'_>, bits: &mut Bits<'_>) -> Result<(), Flaw> {
    mean(part, 0, bits)?;
    let Some(table) = part.ac else { return Err(damaged("a scan without its table of codes")) };
    let mut at = 1;
    while at < 64 {
        let code = table.next(bits)?;
        let (zeros, count) = (usize::from(code >> 4), u32::from(code & 15));
        match (zeros, count) {
            (15, 0) => at += 16,
            (_, 0) => break,
            _ => {
                at += zeros + 1;
                bits.take(count)?;
            }
        }
        if at > 64 {
            return Err(damaged("more than 64 coefficients in a block"));
        }
    }
    Ok(())
}

#[inline]
fn progressive(
    part: &mut Part<'_>,
    component: &mut Component,
    at: usize,
    band: Band,
    run: &mut u32,
    bits: &mut Bits<'_>,
) -> Result<(), Flaw> {
    match (band.first, band.high) {
        (0, 0) => mean(part, band.low, bits),
        (0, _) => bits.take(1).map(drop),
        (_, high) => {
            let outside = || damaged("a block outside its picture");
            let known = component.known.get_mut(at).ok_or_else(outside)?;
            let Some(table) = part.ac else { return Err(damaged("a scan without its table of codes")) };
            if high == 0 {
                first_bits(table, known, band, run, bits)
            } else {
                more_bits(table, known, band, run, bits)
            }
        }
    }
}

/// The first bits of coefficients.
fn first_bits(
    table: &Huffman,
    known: &mut u64,
    band: Band,
    run: &mut u32,
    bits: &mut Bits<'_>,
) -> Result<(), Flaw> {
    if *run > 0 {
        *run -= 1;
        return Ok(());
    }
    let mut at = band.first;
    while at <= band.last {
        let code = table.next(bits)?;
        let (zeros, count) = (u32::from(code >> 4), u32::from(code & 15));
        match (zeros, count) {
            (15, 0) => at += 16,
            (_, 0) => {
                *run = (1 << zeros) - 1 + bits.take(zeros)?;
                return Ok(());
            }
            _ => {
                at += zeros as usize;
                if at > band.last {
                    return Err(damaged("more coefficients in a block than its scan has"));
                }
                bits.take(count)?;
                *known |= 1 << at;
                at += 1;
            }
        }
    }
    Ok(())
}

/// One bit more of the coefficients that are known, and new ones between them.
fn more_bits(
    table: &Huffman,
    known: &mut u64,
    band: Band,
    run: &mut u32,
    bits: &mut Bits<'_>,
) -> Result<(), Flaw> {
    let mut at = band.first;
    if *run == 0 {
        while at <= band.last {
            let code = table.next(bits)?;
            let (mut zeros, count) = (u32::from(code >> 4), code & 15);
            match count {
                0 if zeros < 15 => {
                    *run = (1 << zeros) + bits.take(zeros)?;
                    break;
                }
                0 => {}
                1 => bits.take(1).map(drop)?,
                _ => return Err(damaged("a new coefficient of more than one bit")),
            }
            let mut placed = count == 0;
            while at <= band.last {
                if *known >> at & 1 == 1 {
                    bits.take(1)?;
                } else if zeros == 0 {
                    if count == 1 {
                        *known |= 1 << at;
                    }
                    placed = true;
                    at += 1;
                    break;
                } else {
                    zeros -= 1;
                }
                at += 1;
            }
            if !placed {
                return Err(damaged("more coefficients in a block than its scan has"));
            }
        }
    }
    if *run > 0 {
        while at <= band.last {
            if *known >> at & 1 == 1 {
                bits.take(1)?;
            }
            at += 1;
        }
        *run -= 1;
    }
    Ok(())
}
