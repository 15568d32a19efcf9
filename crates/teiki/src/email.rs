//! What is taken for a mail address, wherever one is given.

/// Longest address that mail servers take (RFC 5321), in characters.
pub const ADDRESS_MAX: usize = 254;

/// Whether `text` is something, an @ and a host, with nothing in it that breaks a line or a header. Whether it can be reached
/// is not known without writing to it.
pub fn is_address(text: &str) -> bool {
    let is_inside = |letter: char| !letter.is_whitespace() && !letter.is_control();
    match text.split_once('@') {
        Some((name, host)) => {
            !name.is_empty() && !host.is_empty() && !host.contains('@') && text.chars().all(is_inside)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_has_a_name_and_a_host_and_nothing_hidden() {
        for right in ["a@b", "shop+1@example.com", "山田@例え.jp"] {
            assert!(is_address(right), "{right}");
        }
        for wrong in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a @b",
            "a@b c",
            "a@b\r\nc",
            "a\n@b",
            "a@\u{7}b",
            "a@b\0",
            "a\u{3000}@b",
        ] {
            assert!(!is_address(wrong), "{wrong:?}");
        }
    }
}
