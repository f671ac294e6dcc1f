//! Connected regions of a binary picture.
//!
//! ```text
//! region: pixels joined by a side or a corner (8-connected)
//! hole:   background that cannot reach the edge of the picture by sides (4-connected)
//! ```

/// One connected region and its bounding box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// Indices `y * width + x`, in the order in which they were reached.
    pub(crate) pixels: Vec<usize>,
    /// First row.
    pub(crate) top: usize,
    /// First column.
    pub(crate) left: usize,
    /// Rows of the bounding box.
    pub(crate) height: usize,
    /// Columns of the bounding box.
    pub(crate) width: usize,
}

/// The 8-connected regions of the pixels that are not 0, by their first pixel in reading order.
pub(crate) fn eight_connected(mask: &[u8], height: usize, width: usize) -> Vec<Region> {
    let mut left_over = mask.to_vec(); // [h, w]
    let mut regions = Vec::new();
    for start in 0..mask.len() {
        if left_over[start] != 0 {
            regions.push(flood(&mut left_over, height, width, start));
        }
    }
    regions
}

/// Takes the region around `start` out of `mask`.
fn flood(mask: &mut [u8], height: usize, width: usize, start: usize) -> Region {
    let (mut top, mut left, mut bottom, mut right) = (usize::MAX, usize::MAX, 0, 0);
    mask[start] = 0;
    let mut pixels = vec![start];
    let mut next = 0;
    while let Some(&pixel) = pixels.get(next) {
        next += 1;
        let (y, x) = (pixel / width, pixel % width);
        (top, bottom) = (top.min(y), bottom.max(y));
        (left, right) = (left.min(x), right.max(x));
        for y in y.saturating_sub(1)..(y + 2).min(height) {
            for x in x.saturating_sub(1)..(x + 2).min(width) {
                let neighbour = y * width + x;
                if mask[neighbour] != 0 {
                    mask[neighbour] = 0;
                    pixels.push(neighbour);
                }
            }
        }
    }
    Region { pixels, top, left, height: bottom - top + 1, width: right - left + 1 }
}

/// Sets every 0 that is enclosed by ones.
pub(crate) fn fill_holes(mask: &mut [u8], height: usize, width: usize) {
    const OUTSIDE: u8 = 2;
    let mut open: Vec<usize> = (0..mask.len())
        .filter(|i| {
            let (y, x) = (i / width, i % width);
            mask[*i] == 0 && (y == 0 || x == 0 || y + 1 == height || x + 1 == width)
        })
        .collect();
    open.iter().for_each(|&pixel| mask[pixel] = OUTSIDE);
    while let Some(pixel) = open.pop() {
        let (y, x) = (pixel / width, pixel % width);
        let neighbours = [
            (y > 0).then(|| pixel - width),
            (y + 1 < height).then(|| pixel + width),
            (x > 0).then(|| pixel - 1),
            (x + 1 < width).then(|| pixel + 1),
        ];
        for neighbour in neighbours.into_iter().flatten() {
            if mask[neighbour] == 0 {
                mask[neighbour] = OUTSIDE;
                open.push(neighbour);
            }
        }
    }
    mask.iter_mut().for_each(|pixel| *pixel = u8::from(*pixel != OUTSIDE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_join_and_gaps_do_not() {
        #[rustfmt::skip]
        let mask = [
            1, 0, 0, 0, 1,
            0, 1, 0, 0, 1,
            0, 0, 0, 0, 0,
            1, 0, 0, 0, 0,
        ];
        let found = eight_connected(&mask, 4, 5);
        let boxes: Vec<_> =
            found.iter().map(|r| (r.top, r.left, r.height, r.width, r.pixels.len())).collect();
        assert_eq!(boxes, [(0, 0, 2, 2, 2), (0, 4, 2, 1, 2), (3, 0, 1, 1, 1)]);
    }

    #[test]
    fn the_end_of_a_row_does_not_touch_the_start_of_the_next() {
        assert_eq!(eight_connected(&[0, 0, 1, 1, 0, 0], 2, 3).len(), 2);
    }

    #[test]
    fn nothing_has_no_region() {
        assert!(eight_connected(&[], 0, 0).is_empty());
        assert!(eight_connected(&[0; 6], 2, 3).is_empty());
    }

    #[test]
    fn holes_are_filled_and_bays_are_not() {
        #[rustfmt::skip]
        let mut mask = [
            0, 1, 1, 0, 0,
            1, 0, 0, 1, 0,
            0, 1, 1, 1, 1,
            0, 1, 0, 0, 1,
        ];
        #[rustfmt::skip]
        let filled = [
            0, 1, 1, 0, 0,
            1, 1, 1, 1, 0,
            0, 1, 1, 1, 1,
            0, 1, 0, 0, 1,
        ];
        fill_holes(&mut mask, 4, 5);
        assert_eq!(mask, filled);
    }
}
