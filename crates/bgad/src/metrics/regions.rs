//! Connected regions of a mask.
//!
//! ```text
//! 8-connected:  a pixel touches  ↖ ↑ ↗      first pass:  provisional labels, meetings joined (union-find)
//!               its neighbours   ← · →      second pass: labels 1, 2, … in the raster order of first pixels
//!                                ↙ ↓ ↘
//! ```

/// One connected region.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// Number of pixels, at least 1.
    pub area: usize,
    /// First row.
    pub y_min: usize,
    /// Last row, inclusive.
    pub y_max: usize,
    /// First column.
    pub x_min: usize,
    /// Last column, inclusive.
    pub x_max: usize,
    /// Mean row and column of its pixels (pixel centres at whole numbers); may lie outside a bent region.
    pub centroid_yx: [f64; 2],
}

/// The regions of one mask, in the raster order of their first pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Regions {
    /// `[h, w]`, row-major: 0 outside, `i + 1` inside `regions[i]`.
    pub labels: Vec<u32>,
    /// The regions.
    pub regions: Vec<Region>,
}

impl Regions {
    /// The pixels of each region, as indices `y · w + x` in raster order.
    pub fn pixels(&self) -> Vec<Vec<usize>> {
        let mut pixels: Vec<Vec<usize>> =
            self.regions.iter().map(|region| Vec::with_capacity(region.area)).collect();
        for (i, label) in self.labels.iter().enumerate().filter(|(_, label)| **label != 0) {
            pixels[*label as usize - 1].push(i);
        }
        pixels
    }
}

/// Finds the 8-connected regions of the mask `[h, w]`: 0 outside, anything else inside.
///
/// # Panics
///
/// If the mask is not `h·w` long, or has 2³² pixels or more.
pub fn label(mask: &[u8], h: usize, w: usize) -> Regions {
    assert_eq!(mask.len(), h * w, "a mask of {h}x{w}");
    label_where(h, w, |i| mask[i] != 0)
}

/// Finds the 8-connected regions of the anomaly map `[h, w]` at and above `threshold`. NaN is outside.
///
/// # Panics
///
/// If the map is not `h·w` long, or has 2³² pixels or more.
pub fn label_above(map: &[f32], threshold: f32, h: usize, w: usize) -> Regions {
    assert_eq!(map.len(), h * w, "a map of {h}x{w}");
    label_where(h, w, |i| map[i] >= threshold)
}

fn label_where(h: usize, w: usize, inside: impl Fn(usize) -> bool) -> Regions {
    assert!(u32::try_from(h * w).is_ok(), "{h}x{w} has more pixels than labels");
    let mut labels = vec![0u32; h * w];
    // parent[l] <= l: the root of a tree is the label that was given first, so roots keep raster order.
    let mut parent = vec![0u32];
    for y in 0..h {
        for x in 0..w {
            let i = y * w + x;
            if !inside(i) {
                continue;
            }
            let mut label = if x > 0 { labels[i - 1] } else { 0 };
            if y > 0 {
                for above in i - w - usize::from(x > 0)..=i - w + usize::from(x + 1 < w) {
                    let met = labels[above];
                    label = match (label, met) {
                        (_, 0) => label,
                        (0, _) => met,
                        _ => join(&mut parent, label, met),
                    };
                }
            }
            if label == 0 {
                label = parent.len() as u32;
                parent.push(label);
            }
            labels[i] = label;
        }
    }

    // Labels of the roots, counted without holes. A root comes before its children, so one sweep settles
    // all.
    let mut settled = vec![0u32; parent.len()];
    let mut count = 0;
    for l in 1..parent.len() {
        if parent[l] as usize == l {
            count += 1;
            settled[l] = count;
        } else {
            settled[l] = settled[parent[l] as usize];
        }
    }
    let unseen = Region { area: 0, y_min: h, y_max: 0, x_min: w, x_max: 0, centroid_yx: [0.0; 2] };
    let mut regions = vec![unseen; count as usize];
    for (i, label) in labels.iter_mut().enumerate().filter(|(_, label)| **label != 0) {
        *label = settled[*label as usize];
        let (y, x) = (i / w, i % w);
        let region = &mut regions[*label as usize - 1];
        region.area += 1;
        region.y_min = region.y_min.min(y);
        region.y_max = y;
        region.x_min = region.x_min.min(x);
        region.x_max = region.x_max.max(x);
        region.centroid_yx[0] += y as f64;
        region.centroid_yx[1] += x as f64;
    }
    for region in &mut regions {
        region.centroid_yx = region.centroid_yx.map(|sum| sum / region.area as f64);
    }
    Regions { labels, regions }
}

/// Joins two trees under the smaller root, and returns it.
fn join(parent: &mut [u32], a: u32, b: u32) -> u32 {
    let (a, b) = (root(parent, a), root(parent, b));
    let (low, high) = (a.min(b), a.max(b));
    parent[high as usize] = low;
    low
}

/// Root of the tree of `label`; halves the path on the way, so that long snakes stay cheap.
fn root(parent: &mut [u32], mut label: u32) -> u32 {
    while parent[label as usize] != label {
        parent[label as usize] = parent[parent[label as usize] as usize];
        label = parent[label as usize];
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(rows: &[&str]) -> (Vec<u8>, usize, usize) {
        let mask = rows.iter().flat_map(|r| r.bytes().map(|c| u8::from(c != b'.'))).collect();
        (mask, rows.len(), rows.first().map_or(0, |r| r.len()))
    }

    /// Draws the expected labels: `.` outside, `a` the first region, `b` the second …
    #[track_caller]
    fn check(rows: &[&str]) -> Vec<Region> {
        let (mask, h, w) = drawn(rows);
        let found = label(&mask, h, w);
        let got: Vec<String> = (0..h)
            .map(|y| {
                found.labels[y * w..][..w]
                    .iter()
                    .map(|&l| if l == 0 { '.' } else { char::from(b'`' + l as u8) })
                    .collect()
            })
            .collect();
        assert_eq!(got, rows);
        assert_eq!(
            found.regions.iter().map(|r| r.area).sum::<usize>(),
            mask.iter().filter(|&&m| m != 0).count()
        );
        for (i, pixels) in found.pixels().iter().enumerate() {
            assert!(pixels.is_sorted() && pixels.len() == found.regions[i].area);
            assert!(pixels.iter().all(|&pixel| found.labels[pixel] as usize == i + 1));
        }
        found.regions
    }

    #[test]
    fn diagonals_touch_and_gaps_do_not() {
        check(&["a..b", ".a.b", "a...", "..c."]);
        check(&["a.b", "...", "c.d"]);
    }

    #[test]
    fn late_meetings_are_one_region() {
        // U, W and a spiral: arms get labels of their own before they meet.
        check(&["a...a", "a...a", "aaaaa"]);
        check(&["a.a.a.b", "a.a.a.b", ".a.a..b"]);
        check(&["aaaaaaa", "......a", "aaaaa.a", "a...a.a", "a.aaa.a", "a.....a", "aaaaaaa"]);
    }

    #[test]
    fn numbers_follow_the_first_pixel() {
        check(&["..a..b", ".a...b", "a..c.b", "......", "d....e"]);
    }

    #[test]
    fn rows_do_not_wrap_around() {
        check(&["...a", "....", "b..."]);
        check(&["..a", "b..", "b.c"]);
    }

    #[test]
    fn degenerate_masks() {
        assert_eq!(label(&[], 0, 0), Regions { labels: vec![], regions: vec![] });
        assert_eq!(label(&[], 0, 7).regions, []);
        check(&["."]);
        check(&["a"]);
        check(&["a.b.c"]);
        check(&["a", ".", "b"]);
        assert!(label(&[0; 12], 3, 4).regions.is_empty());
        assert_eq!(label(&[255; 12], 3, 4).regions[0].area, 12);
    }

    #[test]
    fn a_ring_has_its_box_and_centre_but_not_its_hole() {
        let found = check(&["......", "..aaa.", "..a.a.", "..aaa."]);
        assert_eq!(
            found,
            [Region { area: 8, y_min: 1, y_max: 3, x_min: 2, x_max: 4, centroid_yx: [2.0, 3.0] }]
        );
    }

    #[test]
    fn maps_are_cut_at_and_above_the_threshold() {
        let map = [0.5, 0.4, 0.9, f32::NAN, 0.4, f32::INFINITY];
        assert_eq!(label_above(&map, 0.5, 1, 6).labels, [1, 0, 2, 0, 0, 3]);
    }

    #[test]
    fn random_masks_agree_with_a_flood_fill() {
        let mut state = 1u32;
        for round in 0..200 {
            let (h, w) = (1 + round % 13, 1 + round % 17);
            let mask: Vec<u8> = (0..h * w)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    u8::from(state >> 24 < 80 + round as u32 % 100)
                })
                .collect();
            assert_eq!(label(&mask, h, w).labels, flood(&mask, h, w), "{h}x{w} {mask:?}");
        }
    }

    /// The obvious reference: fill from each pixel not yet reached.
    fn flood(mask: &[u8], h: usize, w: usize) -> Vec<u32> {
        let mut labels = vec![0; h * w];
        let mut count = 0;
        for start in 0..h * w {
            if mask[start] == 0 || labels[start] != 0 {
                continue;
            }
            count += 1;
            let mut todo = vec![start];
            while let Some(i) = todo.pop() {
                labels[i] = count;
                let (y, x) = (i / w, i % w);
                for y in y.saturating_sub(1)..(y + 2).min(h) {
                    for x in x.saturating_sub(1)..(x + 2).min(w) {
                        if mask[y * w + x] != 0 && labels[y * w + x] == 0 {
                            todo.push(y * w + x);
                        }
                    }
                }
            }
        }
        labels
    }
}
