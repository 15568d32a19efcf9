//! Full-width letters, digits and signs, which input methods and spreadsheets in Japan write, as those of ASCII.

/// A full-width letter, digit or sign as its ASCII one; anything else as it is.
pub fn letter(letter: char) -> char {
    match letter {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(letter) - 0xFEE0).unwrap_or(letter),
        '\u{3000}' => ' ',
        other => other,
    }
}
