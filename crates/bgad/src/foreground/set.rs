//! What a whole set of pictures says about where the part is.
//!
//! ```text
//! textures       more than half of the pictures show no part: all of them count as everything
//! fixed camera   the mean overlap |A ∩ M| / |A ∪ M| of the estimates A with their median M is 0.9 or more:
//!                M for every picture, so that one estimate gone wrong does no harm
//! loose parts    otherwise: each picture its own
//! ```

use super::Foreground;

/// Fewer pictures have no median worth the name.
const SMALLEST_SET: usize = 5;
/// Mean overlap with the median from which on the parts count as aligned.
const ALIGNED: f64 = 0.9;

/// What a set of pictures turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetKind {
    /// The surface fills the pictures.
    Textures,
    /// The part is at one place in all of them.
    FixedCamera,
    /// The part lies somewhere else in each.
    LooseParts,
}

impl Foreground {
    /// Corrects the estimates of a set of pictures of one size by each other.
    pub fn settle(estimates: Vec<Foreground>) -> (Vec<Foreground>, SetKind) {
        let found: Vec<&Foreground> =
            estimates.iter().filter(|estimate| estimate.inside.contains(&0)).collect();
        if 2 * found.len() < estimates.len() || found.is_empty() {
            let everything = |f: Foreground| Foreground::everything(f.height, f.width);
            return (estimates.into_iter().map(everything).collect(), SetKind::Textures);
        }
        if found.len() >= SMALLEST_SET {
            let median = median(&found);
            let overlap = found.iter().map(|found| found.overlap(&median)).sum::<f64>() / found.len() as f64;
            if overlap >= ALIGNED {
                return (vec![median; estimates.len()], SetKind::FixedCamera);
            }
        }
        (estimates, SetKind::LooseParts)
    }

    /// `|A ∩ B| / |A ∪ B|`, 1 for two that are empty.
    fn overlap(&self, other: &Foreground) -> f64 {
        let both = self.inside.iter().zip(&other.inside);
        let (shared, either) = both.fold((0usize, 0usize), |(shared, either), (a, b)| {
            (shared + usize::from(a & b), either + usize::from(a | b))
        });
        if either == 0 { 1.0 } else { shared as f64 / either as f64 }
    }
}

/// Inside where more than half are.
fn median(set: &[&Foreground]) -> Foreground {
    let Foreground { height, width, .. } = *set[0];
    let votes = |i: usize| set.iter().filter(|foreground| foreground.inside[i] != 0).count();
    let inside = (0..height * width).map(|i| u8::from(2 * votes(i) > set.len())).collect();
    Foreground { height, width, inside }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(from: usize, to: usize) -> Foreground {
        Foreground {
            height: 1,
            width: 100,
            inside: (0..100).map(|x| u8::from((from..to).contains(&x))).collect(),
        }
    }

    #[test]
    fn a_fixed_camera_is_recognised_and_one_wrong_estimate_put_right() {
        let mut set =
            vec![bar(20, 60), bar(20, 60), bar(21, 60), bar(20, 61), bar(20, 60), bar(20, 60), bar(22, 60)];
        set.push(Foreground::everything(1, 100));
        let (settled, kind) = Foreground::settle(set);
        assert_eq!((kind, settled), (SetKind::FixedCamera, vec![bar(20, 60); 8]));
    }

    #[test]
    fn parts_that_lie_about_keep_their_own() {
        let set: Vec<Foreground> = (0..8).map(|i| bar(10 * i, 10 * i + 20)).collect();
        assert_eq!(Foreground::settle(set.clone()), (set, SetKind::LooseParts));
        // Four are too few for a median.
        let few = vec![bar(20, 60); 4];
        assert_eq!(Foreground::settle(few.clone()), (few, SetKind::LooseParts));
    }

    #[test]
    fn mostly_textures_are_textures() {
        let mut set = vec![Foreground::everything(1, 100); 5];
        set.extend(vec![bar(20, 60); 4]);
        assert_eq!(Foreground::settle(set), (vec![Foreground::everything(1, 100); 9], SetKind::Textures));
        assert_eq!(Foreground::settle(vec![]), (vec![], SetKind::Textures));
    }
}
