//! Escaping and number formats.

use std::fmt::{Arguments, Write};

/// Appends formatted text.
pub fn put(out: &mut String, text: Arguments) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

/// Text made safe for element content and quoted attributes; control characters, and those that reorder text for
/// display, become U+FFFD.
pub fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Three decimals, or a dash when undefined.
pub fn three(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}").replace('-', "\u{2212}"))
}

/// A difference of scores in points (hundredths) with its sign.
pub fn points(difference: f64) -> String {
    let text = format!("{:+.1}", difference * 100.0);
    if text == "-0.0" || text == "+0.0" { "0.0".to_owned() } else { text.replace('-', "\u{2212}") }
}

/// "p = 0.008" or "p < 0.001", with no-break spaces.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "p\u{a0}<\u{a0}0.001".to_owned() } else { format!("p\u{a0}=\u{a0}{p:.3}") }
}

/// Bytes in decimal units.
pub fn bytes(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

/// Seconds as "12.3 s", "8 min 12 s" or "2 h 05 min".
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// An integer with thin spaces between thousands.
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// Base64 with padding (RFC 4648, section 4).
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, &b| w << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for k in 0..4 {
            let symbol = ALPHABET[(word >> (18 - 6 * k) & 63) as usize];
            out.push(if k <= chunk.len() { symbol as char } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_markup_controls_and_direction() {
        assert_eq!(esc("<a href='x' b=\"y\">&"), "&lt;a href=&#39;x&#39; b=&quot;y&quot;&gt;&amp;");
        assert_eq!(esc("a\u{0}b\u{202e}c\u{1b}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
    }

    #[test]
    fn numbers() {
        assert_eq!(
            (three(Some(0.81249)), three(None), three(Some(-0.5))),
            ("0.812".into(), "–".into(), "\u{2212}0.500".into())
        );
        assert_eq!(
            (points(0.0291), points(-0.004), points(-0.0001)),
            ("+2.9".into(), "\u{2212}0.4".into(), "0.0".into())
        );
        assert_eq!(
            (p_value(0.0078), p_value(0.0002)),
            ("p\u{a0}=\u{a0}0.008".into(), "p\u{a0}<\u{a0}0.001".into())
        );
        assert_eq!(
            (bytes(999), bytes(1_500_000), bytes(2_340_000_000)),
            ("999 B".into(), "1.5 MB".into(), "2.34 GB".into())
        );
        assert_eq!(
            (duration(12.34), duration(492.0), duration(7500.0)),
            ("12.3 s".into(), "8 min 12 s".into(), "2 h 05 min".into())
        );
        assert_eq!((thousands(31785), thousands(7)), ("31\u{202f}785".into(), "7".into()));
    }

    #[test]
    fn base64_vectors_of_rfc_4648() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, coded) in pairs {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
