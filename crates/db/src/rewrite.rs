//! The portable SQL text, made fit for an engine.
//!
//! Reads a text once, telling code from strings, quoted names and comments, and changes only code: `$n` parameters, the type
//! `BYTEA`, and the marker `) /* clustered */`. It does not parse SQL.

/// A piece of SQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// Anything else, word by word.
    Code(&'a str),
    /// `$n`, with n.
    Parameter(usize),
    /// `'…'`, `"…"`, `` `…` `` or `[…]`.
    Quoted(&'a str),
    /// `-- …` or `/* … */`.
    Comment(&'a str),
}

/// `$n` → `?n`, which SQLite numbers by n (its own `$n` is a name, numbered by first appearance).
pub(crate) fn for_sqlite(sql: &str) -> String {
    replace_parameters(sql, |n, text| {
        text.push('?');
        text.push_str(&n.to_string());
    })
}

/// Each `$n` becomes what `write` appends.
pub(crate) fn replace_parameters(sql: &str, write: impl Fn(usize, &mut String)) -> String {
    let mut text = String::with_capacity(sql.len() + 32);
    for piece in Pieces(sql) {
        match piece {
            Piece::Parameter(n) => write(n, &mut text),
            Piece::Code(same) | Piece::Quoted(same) | Piece::Comment(same) => text.push_str(same),
        }
    }
    text
}

/// The largest n of the `$n` in a text; 0 if it has none.
pub(crate) fn parameter_max(sql: &str) -> usize {
    Pieces(sql)
        .map(|piece| match piece {
            Piece::Parameter(n) => n,
            Piece::Code(_) | Piece::Quoted(_) | Piece::Comment(_) => 0,
        })
        .max()
        .unwrap_or(0)
}

/// A migration's text for SQLite: `BYTEA` is `BLOB`, and a table whose definition ends in `) /* clustered */` keeps its rows
/// in the order of its primary key.
pub(crate) fn migration_for_sqlite(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    for piece in Pieces(sql) {
        match piece {
            Piece::Code(word) if word.eq_ignore_ascii_case("bytea") => text.push_str("BLOB"),
            Piece::Comment("/* clustered */") if text.trim_end().ends_with(')') => {
                text.push_str("WITHOUT ROWID")
            }
            Piece::Parameter(n) => text.push_str(&format!("${n}")),
            Piece::Code(same) | Piece::Quoted(same) | Piece::Comment(same) => text.push_str(same),
        }
    }
    text
}

/// A migration's text for PostgreSQL: every `TEXT` column compares bytes, as on SQLite. The order of a language may change with
/// the server's system, and then unique indexes on texts fail silently.
pub(crate) fn migration_for_postgres(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len());
    for piece in Pieces(sql) {
        match piece {
            Piece::Code("TEXT") => text.push_str("TEXT collate \"C\""),
            Piece::Parameter(n) => text.push_str(&format!("${n}")),
            Piece::Code(same) | Piece::Quoted(same) | Piece::Comment(same) => text.push_str(same),
        }
    }
    text
}

/// The pieces of the text that is left.
struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let text = self.0;
        let first = text.chars().next()?;
        let (end, kind): (usize, fn(&'a str) -> Piece<'a>) = match first {
            '\'' | '"' | '`' => (quoted_end(text, first), Piece::Quoted),
            '[' => (text.find(']').map_or(text.len(), |i| i + 1), Piece::Quoted),
            '-' if text.starts_with("--") => (text.find('\n').unwrap_or(text.len()), Piece::Comment),
            '/' if text.starts_with("/*") => {
                (text[2..].find("*/").map_or(text.len(), |i| i + 4), Piece::Comment)
            }
            '$' => match parameter(text) {
                Some((n, end)) => {
                    self.0 = &text[end..];
                    return Some(Piece::Parameter(n));
                }
                None => (word_end(text).max(1), Piece::Code),
            },
            _ if is_word(first) => (word_end(text), Piece::Code),
            _ => (first.len_utf8(), Piece::Code),
        };
        self.0 = &text[end..];
        Some(kind(&text[..end]))
    }
}

/// The end of a quoted piece; a doubled quote is part of it.
fn quoted_end(text: &str, quote: char) -> usize {
    let mut from = 1;
    while let Some(i) = text[from..].find(quote) {
        from += i + 1;
        if !text[from..].starts_with(quote) {
            return from;
        }
        from += 1;
    }
    text.len()
}

/// `$` and digits that end there: n and the length.
fn parameter(text: &str) -> Option<(usize, usize)> {
    let digits = text[1..].bytes().take_while(u8::is_ascii_digit).count();
    let end = digits + 1;
    if text[end..].chars().next().is_some_and(is_word) {
        return None;
    }
    Some((text[1..end].parse().ok()?, end))
}

fn word_end(text: &str) -> usize {
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// Characters that a name may go on with, in both engines.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_parameters_in_code_are_rewritten() {
        let table = [
            ("select $1, $12", "select ?1, ?12"),
            ("a=$2and b=$1", "a=$2and b=?1"),
            ("'$1' = $1", "'$1' = ?1"),
            ("'it''s $1' || $1", "'it''s $1' || ?1"),
            ("\"$1\" `$1` [$1] $1", "\"$1\" `$1` [$1] ?1"),
            ("-- $1\n$1 /* $1 */ $2", "-- $1\n?1 /* $1 */ ?2"),
            ("a$1 + 注$1 + ($1)", "a$1 + 注$1 + (?1)"),
            ("$$ $a $", "$$ $a $"),
            ("'open $1", "'open $1"),
            ("/* open $1", "/* open $1"),
        ];
        for (sql, expected) in table {
            assert_eq!(for_sqlite(sql), expected);
        }
    }

    #[test]
    fn a_migration_is_translated() {
        let sql = "create table t (a BYTEA, \"bytea\" bytea) /* clustered */; -- BYTEA\n/* clustered */ select 'bytea'";
        let expected =
            "create table t (a BLOB, \"bytea\" BLOB) WITHOUT ROWID; -- BYTEA\n/* clustered */ select 'bytea'";
        assert_eq!(migration_for_sqlite(sql), expected);
        let sql = "create table t (a TEXT not null, \"TEXT\" BYTEA) /* clustered */; -- TEXT\nselect cast('TEXT' as text)";
        let expected = "create table t (a TEXT collate \"C\" not null, \"TEXT\" BYTEA) /* clustered */; -- TEXT\nselect cast('TEXT' as text)";
        assert_eq!(migration_for_postgres(sql), expected);
    }

    #[test]
    fn the_largest_parameter_is_found() {
        assert_eq!(parameter_max("select '$9' where a = $2 and b = $1"), 2);
        assert_eq!(parameter_max("select 1"), 0);
    }

    proptest! {
        /// Whatever the pieces hold, put together they are the text, and strings and comments come out as they went in.
        #[test]
        fn strings_and_comments_are_never_touched(pieces in proptest::collection::vec(piece(), 0..12)) {
            let mut sql = String::new();
            let mut expected = String::new();
            for (text, rewritten) in &pieces {
                sql.push_str(text);
                expected.push_str(rewritten);
            }
            prop_assert_eq!(for_sqlite(&sql), expected);
        }

        #[test]
        fn any_text_is_read_to_its_end(sql in "[$'\"/*\\-\\[\\]`0-9a-z\n注 ]{0,40}") {
            let same = replace_parameters(&sql, |n, text| text.push_str(&format!("${n}")));
            let without_zeros = |text: &str| text.replace('0', "");
            prop_assert_eq!(without_zeros(&same), without_zeros(&sql));
        }
    }

    /// A piece of SQL that stands alone, and what becomes of it.
    fn piece() -> impl Strategy<Value = (String, String)> {
        let inside = "[$0-9a-z\"`\\- *注]{0,10}";
        prop_oneof![
            inside.prop_map(|text| format!("'{text}' ")).prop_map(|text| (text.clone(), text)),
            "[$0-9a-z'`\\-注]{0,10}"
                .prop_map(|text| format!("\"{text}\" "))
                .prop_map(|text| (text.clone(), text)),
            "[$0-9a-z'\"\\- ]{0,10}"
                .prop_map(|text| format!("--{text}\n"))
                .prop_map(|text| (text.clone(), text)),
            "[$0-9a-z'\"\\- ]{0,10}"
                .prop_map(|text| format!("/*{text}*/"))
                .prop_map(|text| (text.clone(), text)),
            (1usize..200).prop_map(|n| (format!(" ${n} "), format!(" ?{n} "))),
            "[a-z_][a-z_$0-9]{0,6} ".prop_map(|text| (text.clone(), text)),
        ]
    }
}
