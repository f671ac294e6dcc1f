//! Choices that files hold in the words of the command line.

/// What `#[serde(try_from = "String", into = "String")]` asks for, by the type's `FromStr` and `Display`.
macro_rules! written_as_text {
    ($choice:ty) => {
        impl TryFrom<String> for $choice {
            type Error = <$choice as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<$choice, Self::Error> {
                text.parse()
            }
        }

        impl From<$choice> for String {
            fn from(choice: $choice) -> String {
                choice.to_string()
            }
        }
    };
}

pub(crate) use written_as_text;
