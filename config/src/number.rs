//! Numbers and dates as the file writes them.

/// Why a number is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NumberError {
    #[error("integer '{0}' is out of the range")]
    IntegerRange(String),
    #[error("expected integer, but got '{0}'")]
    Integer(String),
    #[error("float '{0}' is out of the range")]
    FloatRange(String),
    #[error("expected float, but got '{0}'")]
    Float(String),
    #[error("expected Zulu formatted DateTime, but got '{0}'")]
    DateTime(String),
}

/// An integer, maybe with a suffix. `None` for a suffix that is none (`1kbb`).
pub(crate) fn integer(text: &str) -> Result<Option<i64>, NumberError> {
    let end = text.find(|next: char| !next.is_ascii_digit() && next != '-').unwrap_or(text.len());
    let (digits, suffix) = text.split_at(end);
    let number: i64 = digits.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => {
            NumberError::IntegerRange(digits.to_owned())
        }
        _ => NumberError::Integer(digits.to_owned()),
    })?;
    let suffix = suffix.to_ascii_lowercase();
    let mut letters = suffix.chars();
    let Some(letter) = letters.next() else { return Ok(Some(number)) };
    let base: i64 = match letters.as_str() {
        "" => 1000,
        "b" | "i" | "ib" => 1024,
        _ => return Ok(None),
    };
    let power = match letter {
        'k' => 1,
        'm' => 2,
        'g' => 3,
        't' => 4,
        'p' => 5,
        'e' => 6,
        _ => return Ok(None),
    };
    match number.checked_mul(base.pow(power)) {
        Some(product) => Ok(Some(product)),
        // Upstream goes on with what is left after the overflow, which is nobody's wish.
        None => Err(NumberError::IntegerRange(text.to_owned())),
    }
}

pub(crate) fn float(text: &str) -> Result<f64, NumberError> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        Ok(_) => Err(NumberError::FloatRange(text.to_owned())),
        Err(_) => Err(NumberError::Float(text.to_owned())),
    }
}

/// Checks a date of the form `YYYY-MM-DDTHH:MM:SSZ`, whose form the lexer has seen to.
pub(crate) fn date_time(text: &str) -> Result<&str, NumberError> {
    let error = || NumberError::DateTime(text.to_owned());
    let part = |from: usize, to: usize| -> Result<u32, NumberError> {
        text.get(from..to).and_then(|digits| digits.parse().ok()).ok_or_else(error)
    };
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(error()),
    };
    if (1..=days).contains(&day) && hour < 24 && minute < 60 && second < 60 { Ok(text) } else { Err(error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_thousands_or_1024s() {
        for (text, number) in [
            ("1", 1),
            ("-1", -1),
            ("007", 7),
            ("2m", 2_000_000),
            ("1K", 1000),
            ("1kb", 1024),
            ("1ki", 1024),
            ("1KiB", 1024),
            ("512MB", 512 << 20),
            ("1gib", 1 << 30),
            ("3tb", 3 << 40),
            ("1p", 1_000_000_000_000_000),
            ("8e", 8_000_000_000_000_000_000),
            ("7eb", 7 << 60),
            ("-9223372036854775808", i64::MIN),
        ] {
            assert_eq!(integer(text), Ok(Some(number)), "{text}");
        }
        assert_eq!(integer("1kbb"), Ok(None));
        assert_eq!(
            integer("9223372036854775808").unwrap_err().to_string(),
            "integer '9223372036854775808' is out of the range"
        );
        assert!(integer("10e").is_err() && integer("8eb").is_err());
        assert_eq!(integer("-").unwrap_err().to_string(), "expected integer, but got '-'");
    }

    #[test]
    fn dates_exist() {
        for text in ["2025-01-02T03:04:05Z", "2024-02-29T23:59:59Z", "2000-02-29T00:00:00Z"] {
            assert_eq!(date_time(text), Ok(text));
        }
        for text in [
            "2025-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "2025-04-31T00:00:00Z",
            "2025-01-00T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:00:60Z",
        ] {
            assert!(date_time(text).is_err(), "{text}");
        }
    }
}
