//! When two names are the same name.
//!
//! macOS writes an umlaut as a letter with dots behind it, everything else as one character, and archives carry either from one to
//! the other. Both look alike, so they are alike here.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// A name with its accents composed, as names are compared.
pub(crate) fn composed(name: &str) -> Cow<'_, str> {
    match is_nfc_quick(name.chars()) {
        IsNormalized::Yes => Cow::Borrowed(name),
        _ => Cow::Owned(name.nfc().collect()),
    }
}

/// A name as it is compared where upper and lower case do not matter either.
pub(crate) fn folded(name: &str) -> String {
    composed(name).to_lowercase()
}

/// The file of this relative name below `base`, with either slash and in any normal form.
pub(crate) fn file_below(base: &Path, name: &str) -> Option<PathBuf> {
    let forms = |name: String| [name.nfc().collect(), name.nfd().collect(), name];
    let written = [name.to_owned(), name.replace('\\', "/")].into_iter();
    let mut paths =
        written.flat_map(|name| forms(name).into_iter().rev()).map(|name: String| base.join(name));
    paths.find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ö` as one character and as two.
    const COMPOSED: &str = "Stör/prüfung.png";
    const DECOMPOSED: &str = "Sto\u{308}r/pru\u{308}fung.png";

    #[test]
    fn normal_forms_of_a_name_are_the_same_name() {
        assert_ne!(COMPOSED, DECOMPOSED);
        assert_eq!(composed(DECOMPOSED), COMPOSED);
        assert_eq!(composed(COMPOSED), COMPOSED);
        assert_eq!(folded("A\u{308}.PNG"), "ä.png");
    }

    #[test]
    fn a_listed_file_is_found_in_the_other_form_with_the_other_slash() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(DECOMPOSED);
        std::fs::create_dir_all(file.parent().expect("below")).expect("a folder");
        std::fs::write(&file, "").expect("a file");
        for name in [COMPOSED, DECOMPOSED, "Stör\\prüfung.png"] {
            assert_eq!(file_below(folder.path(), name), Some(file.clone()), "{name}");
        }
        assert_eq!(file_below(folder.path(), "Stor/prufung.png"), None);
    }
}
