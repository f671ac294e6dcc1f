//! Numbers as people write them.

pub(super) fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=1024) => Ok(threads),
        _ => Err("expected 1 to 1024".to_owned()),
    }
}

pub(super) fn positive(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|n: &f64| *n > 0.0 && n.is_finite())
        .ok_or("expected a number above 0".to_owned())
}

pub(super) fn finite(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|n: &f64| n.is_finite()).ok_or("expected a number".to_owned())
}

pub(super) fn not_negative(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|n: &f64| *n >= 0.0 && n.is_finite())
        .ok_or("expected a number from 0 up".to_owned())
}

/// `0.5%` or `0.005`.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim(), 100.0),
        None => (text.trim(), 1.0),
    };
    let share = number.parse::<f64>().ok().map(|number| number / unit);
    share
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or("expected a share between 0 and 1 such as 0.005, or a percentage such as 0.5%".to_owned())
}

pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000)];
    let found = units.into_iter().find_map(|(unit, factor)| {
        let number: f64 = upper.strip_suffix(unit)?.trim().parse().ok()?;
        (0.0..=1e6).contains(&number).then_some((number * f64::from(factor)) as u64)
    });
    found.ok_or_else(|| "expected a size such as 500MB or 2GB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_fractions_or_percentages() {
        assert_eq!(share("0.5%"), Ok(0.005));
        assert_eq!(share(" 99 % "), Ok(0.99));
        assert_eq!(share("0.25"), Ok(0.25));
        for text in ["0", "0%", "1", "100%", "5", "-1%", "NaN", "%", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_a_unit() {
        for (text, want) in [("2GB", Some(2_000_000_000)), ("0mb", Some(0)), ("1.5 GB", Some(1_500_000_000))]
        {
            assert_eq!(bytes(text).ok(), want, "{text}");
        }
        for text in ["", "2", "GB", "-1GB", "nanGB", "1e30GB", "2TB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
