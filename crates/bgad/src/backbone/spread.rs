//! Work that is shared out to threads, and the buffers they work in.

/// The first `n` values, grown with zeros where there are fewer.
pub(super) fn at_least(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    if buffer.len() < n {
        buffer.resize(n, 0.0);
    }
    &mut buffer[..n]
}

/// Gives each part of some work to a thread of its own; a single one runs where it is.
pub(super) fn spread<S: Send, T: Send>(
    threads: &mut [S],
    parts: impl Iterator<Item = T>,
    work: impl Fn(usize, &mut S, T) + Sync,
) {
    let mut jobs = parts.enumerate().zip(threads);
    let Some(((first, part), scratch)) = jobs.next() else { return };
    rayon::in_place_scope(|scope| {
        for ((i, part), scratch) in jobs {
            let work = &work;
            scope.spawn(move |_| work(i, scratch, part));
        }
        work(first, scratch, part);
    });
}
