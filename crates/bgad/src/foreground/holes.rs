//! Holes of a binary picture: background that cannot reach the edge of the picture by sides (4-connected).

/// Sets every 0 that is enclosed by ones.
pub(super) fn fill_holes(mask: &mut [u8], height: usize, width: usize) {
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
