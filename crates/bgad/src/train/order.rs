//! Random numbers of training, and the order of a pass.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Random numbers of their own for each purpose, pass and index.
pub(super) fn stream(seed: u64, purpose: Purpose, pass: usize, index: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    let parts = [seed, purpose as u64, pass as u64, index as u64];
    bytes.chunks_exact_mut(8).zip(parts).for_each(|(bytes, part)| bytes.copy_from_slice(&part.to_le_bytes()));
    bytes
}

/// Normal and anomalous images in the order of a pass. Balanced: one of each in turn, the anomalous ones again and
/// again, each round in an order of its own.
pub(super) fn ordered<T: Copy>(
    normal: Vec<T>,
    anomalous: Vec<T>,
    balance: bool,
    rng: &mut ChaCha8Rng,
) -> Vec<T> {
    let mut order = normal;
    if !balance || anomalous.is_empty() {
        order.extend(anomalous);
        order.shuffle(rng);
        return order;
    }
    order.shuffle(rng);
    let mut round = Vec::new();
    let mut balanced = Vec::with_capacity(2 * order.len());
    for image in order {
        if round.is_empty() {
            round = anomalous.clone();
            round.shuffle(rng);
        }
        balanced.push(image);
        balanced.extend(round.pop());
    }
    balanced
}

/// What random numbers are for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Flow = 1,
    Order = 2,
    Positions = 3,
    Paste = 4,
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn balanced_passes_show_every_anomaly_in_turn() {
        let mut rng = ChaCha8Rng::from_seed(stream(0, Purpose::Order, 0, 0));
        let order = ordered((0..60).collect(), vec![100, 101, 102], true, &mut rng);
        assert_eq!(order.len(), 120);
        for batch in order.chunks(6) {
            let mut shown: Vec<u32> = batch.iter().copied().filter(|&image| image >= 100).collect();
            shown.sort_unstable();
            assert_eq!(shown, [100, 101, 102], "{batch:?}");
        }
        let mut normal: Vec<u32> = order.iter().copied().filter(|&image| image < 100).collect();
        assert!(!normal.is_sorted());
        normal.sort_unstable();
        assert!(normal.into_iter().eq(0..60));
        // Without anomalies, and without balance, each is shown once.
        assert_eq!(ordered(vec![1, 2, 3], vec![], true, &mut rng).len(), 3);
        assert_eq!(ordered(vec![1, 2, 3], vec![9, 9], false, &mut rng).len(), 5);
    }
}
