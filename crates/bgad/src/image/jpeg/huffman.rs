//! Codes of JPEG's entropy coding: canonical, up to 16 bits long.

use super::scan::Bits;
use super::{Flaw, damaged};

/// Bits that are looked up at once.
const LOOK: u32 = 9;

/// One table of codes.
pub(super) struct Huffman {
    /// By the next [`LOOK`] bits: length of the code (0 if it is longer) and its value.
    short: Vec<(u8, u8)>,
    /// For each length the first code that is too large for it, and what to add to a code for its index.
    long: [(i32, i32); 17],
    values: Vec<u8>,
}

impl Huffman {
    /// From the number of codes of each length, and their values; `None` if there are more codes than bits allow.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Huffman> {
        let mut short = vec![(0, 0); 1 << LOOK];
        let mut long = [(0, 0); 17];
        let (mut code, mut index) = (0i32, 0usize);
        for length in 1..=16u32 {
            let count = usize::from(counts[length as usize - 1]);
            if code as usize + count > 1 << length {
                return None;
            }
            long[length as usize] = (code + count as i32, index as i32 - code);
            for value in &values[index..index + count] {
                if length <= LOOK {
                    let first = (code as usize) << (LOOK - length);
                    short[first..first + (1 << (LOOK - length))].fill((length as u8, *value));
                }
                code += 1;
            }
            index += count;
            code <<= 1;
        }
        Some(Huffman { short, long, values: values.to_vec() })
    }

    /// The value of the next code.
    #[inline]
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> Result<u8, Flaw> {
        bits.fill();
        let (length, value) = self.short[bits.peek(LOOK) as usize];
        if length > 0 {
            bits.drop(u32::from(length))?;
            return Ok(value);
        }
        let next = bits.peek(16) as i32;
        for length in LOOK + 1..=16 {
            let (end, offset) = self.long[length as usize];
            let code = next >> (16 - length);
            if code < end {
                bits.drop(length)?;
                return Ok(self.values[(code + offset) as usize]);
            }
        }
        // Zeros were put in place of what is missing; the data may have ended within a code.
        if bits.left() < 16 { Err(Flaw::Ends) } else { Err(damaged("a code that no table has")) }
    }
}
