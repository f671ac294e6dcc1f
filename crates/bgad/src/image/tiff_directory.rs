//! The directories of a TIFF as numbers: the decoder reads none of a file that it does not support, and says of no file where it ends.

use std::collections::BTreeSet;

/// Directories that are looked at, at most.
const MOST: usize = 1000;
/// Tags whose values are where pixels lie, and those whose values are how many bytes lie there: strips, tiles, old JPEG.
const DATA: [(u16, u16); 3] = [(273, 279), (324, 325), (513, 514)];
/// Tags whose values are further directories: of pages below, EXIF, GPS.
const BELOW: [u16; 4] = [330, 34665, 34853, 40965];

/// One directory of a file.
#[derive(Clone, Copy)]
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    little: bool,
    big: bool,
    /// Where its entries begin, and how many there are.
    entries: (usize, usize),
}

/// Values of a tag: of how many bytes each, how many, and where.
struct Values {
    width: usize,
    count: usize,
    at: usize,
}

impl<'a> Directory<'a> {
    pub(super) fn first(bytes: &'a [u8]) -> Option<Directory<'a>> {
        let little = bytes.first_chunk::<2>()? == b"II";
        let mut file = Directory { bytes, little, big: false, entries: (0, 0) };
        file.big = file.read(2, 2)? == 43;
        file.at(if file.big { file.read(8, 8)? } else { file.read(4, 4)? })
    }

    /// The directory there.
    fn at(self, place: u64) -> Option<Directory<'a>> {
        let place = usize::try_from(place).ok().filter(|place| *place > 0)?;
        let width = if self.big { 8 } else { 2 };
        let count = usize::try_from(self.read(place, width)?).ok()?;
        Some(Directory { entries: (place + width, count.min(usize::from(u16::MAX))), ..self })
    }

    /// The first value of a tag.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag).next()
    }

    /// All values of a tag that are unsigned whole numbers.
    fn numbers(&self, tag: u16) -> impl Iterator<Item = u64> {
        let entry = self.all_entries().find(|at| self.read(*at, 2) == Some(u64::from(tag)));
        let unsigned = |at: &usize| matches!(self.read(at + 2, 2), Some(1 | 3 | 4 | 13 | 16 | 18));
        let values = entry.filter(unsigned).and_then(|at| self.values(at));
        let Values { width, count, at } = values.unwrap_or(Values { width: 1, count: 0, at: 0 });
        (0..count).map_while(move |i| self.read(i.checked_mul(width)?.checked_add(at)?, width))
    }

    /// Behind the last byte that belongs to the file's pictures, of all its directories.
    pub(super) fn end_of_file(self) -> usize {
        let (mut end, mut seen, mut open) = (0, BTreeSet::new(), vec![self]);
        while let Some(directory) = open.pop() {
            if seen.len() == MOST || !seen.insert(directory.entries.0) {
                continue;
            }
            let (start, count) = directory.entries;
            let behind = count.saturating_mul(directory.entry_size()).saturating_add(start);
            let width = if self.big { 8 } else { 4 };
            end = end.max(behind.saturating_add(width)).max(directory.end_of_data());
            open.extend(directory.read(behind, width).and_then(|next| self.at(next)));
            let below = BELOW.iter().flat_map(|tag| directory.numbers(*tag));
            open.extend(below.take(MOST).filter_map(|place| self.at(place)));
        }
        end
    }

    /// Behind its pixels, and behind what does not fit into its entries.
    fn end_of_data(&self) -> usize {
        let data =
            DATA.iter().flat_map(|(offsets, counts)| self.numbers(*offsets).zip(self.numbers(*counts)));
        let pixels = data.map(|(offset, count)| offset.saturating_add(count));
        let pixels = pixels.map(|end| usize::try_from(end).unwrap_or(usize::MAX));
        let values = self.all_entries().filter_map(|at| self.values(at));
        let values = values.map(|values| values.count.saturating_mul(values.width).saturating_add(values.at));
        pixels.chain(values).max().unwrap_or(0)
    }

    fn entry_size(&self) -> usize {
        if self.big { 20 } else { 12 }
    }

    /// Where its entries lie.
    fn all_entries(&self) -> impl Iterator<Item = usize> {
        let (start, count) = self.entries;
        let places = (0..count).map_while(move |i| start.checked_add(i * self.entry_size()));
        places.take_while(|at| *at < self.bytes.len())
    }

    /// Where the values of an entry lie: in it, or elsewhere if they do not fit.
    fn values(&self, entry: usize) -> Option<Values> {
        let width = match self.read(entry + 2, 2)? {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => return None,
        };
        let (count, room, inline) = match self.big {
            true => (self.read(entry + 4, 8)?, 8, 12),
            false => (self.read(entry + 4, 4)?, 4, 8),
        };
        let at = match count.checked_mul(width as u64)? <= room {
            true => entry + inline,
            false => usize::try_from(self.read(entry + inline, room as usize)?).ok()?,
        };
        Some(Values { width, count: usize::try_from(count).ok()?, at })
    }

    /// An unsigned number of so many bytes.
    fn read(&self, at: usize, width: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(match self.little {
            true => bytes.iter().rev().fold(0, join),
            false => bytes.iter().fold(0, join),
        })
    }
}
