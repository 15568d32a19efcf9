//! A Rust file taken apart: its syntax tree, and its tokens in one flat row without comments and doc texts.
//!
//! Rules about shape read the syntax tree. Rules about what must not be written read the row, because it also shows what
//! stands inside macros, and never mistakes a comment or a string for code.

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};

use super::Finding;

/// One Rust file.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) syntax: syn::File,
    pub(super) tokens: Vec<Token>,
}

/// One token and its line, counted from 1.
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or keyword.
    Word(String),
    /// A sign, or a bracket; `::` is one token, every other sign is single.
    Sign(&'static str),
    /// The value of a string literal, without quotes and escapes.
    Text(String),
    /// A number with a point or an exponent.
    Float,
    /// Any other literal, lifetime or sign.
    Other,
}

impl Source {
    /// Takes `text` apart, or tells where it is not Rust.
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, Finding> {
        let finding = |span: Span, error: &dyn std::fmt::Display| Finding {
            path: path.to_owned(),
            line: span.start().line.max(1),
            rule: "parse",
            text: format!("this is not Rust ({error}); build it first"),
        };
        let stream: TokenStream = without_shebang(text)
            .parse()
            .map_err(|error: proc_macro2::LexError| finding(error.span(), &error))?;
        let syntax = syn::parse2(stream.clone()).map_err(|error| finding(error.span(), &error))?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        Ok(Self { path: path.to_owned(), text: text.to_owned(), syntax, tokens })
    }

    /// Every string literal with its line.
    pub(super) fn literals(&self) -> impl Iterator<Item = (usize, &str)> {
        self.tokens.iter().filter_map(|token| match &token.kind {
            Kind::Text(text) => Some((token.line, text.as_str())),
            Kind::Word(_) | Kind::Sign(_) | Kind::Float | Kind::Other => None,
        })
    }

    /// Lines at which the tokens follow each other as in `pattern`, written with blanks between them: `async fn`, `# [ allow`.
    pub(super) fn lines_of(&self, pattern: &str) -> Vec<usize> {
        let pattern: Vec<&str> = pattern.split(' ').collect();
        let matches = |window: &&[Token]| window.iter().zip(&pattern).all(|(token, wanted)| token.is(wanted));
        self.tokens.windows(pattern.len()).filter(matches).map(|window| window[0].line).collect()
    }
}

impl Token {
    /// Whether it is this word or sign.
    pub(super) fn is(&self, wanted: &str) -> bool {
        match &self.kind {
            Kind::Word(word) => word == wanted,
            Kind::Sign(sign) => *sign == wanted,
            Kind::Text(_) | Kind::Float | Kind::Other => false,
        }
    }
}

/// The text with a first line `#!/…` emptied, so that lines keep their numbers.
pub(super) fn without_shebang(text: &str) -> &str {
    if text.starts_with("#!/") { &text[text.find('\n').unwrap_or(text.len())..] } else { text }
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = brackets(group.delimiter());
                if is_doc(&group.stream()) && ends_like_attribute(tokens) {
                    continue;
                }
                tokens.push(Token { line, kind: Kind::Sign(open) });
                flatten(group.stream(), tokens);
                tokens.push(Token { line: group.span_close().start().line, kind: Kind::Sign(close) });
            }
            TokenTree::Ident(ident) => tokens.push(Token { line, kind: Kind::Word(ident.to_string()) }),
            TokenTree::Punct(punct) => {
                let next_is_colon =
                    matches!(trees.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':');
                let double = punct.as_char() == ':' && punct.spacing() == Spacing::Joint && next_is_colon;
                if double {
                    trees.next();
                }
                tokens.push(Token { line, kind: sign(punct.as_char(), double) });
            }
            TokenTree::Literal(literal) => {
                tokens.push(Token { line, kind: literal_kind(literal) });
            }
        }
    }
}

/// Whether a group holds `doc = …`.
fn is_doc(stream: &TokenStream) -> bool {
    matches!(stream.clone().into_iter().next(), Some(TokenTree::Ident(first)) if first == "doc")
}

/// Whether the tokens end in `#` or `#!`.
fn ends_like_attribute(tokens: &[Token]) -> bool {
    match tokens {
        [.., before, last] if last.is("!") => before.is("#"),
        [.., last] => last.is("#"),
        [] => false,
    }
}

fn literal_kind(literal: proc_macro2::Literal) -> Kind {
    let literal = syn::Lit::new(literal);
    if let syn::Lit::Str(text) = literal {
        Kind::Text(text.value())
    } else if let syn::Lit::Float(_) = literal {
        Kind::Float
    } else {
        Kind::Other
    }
}

const fn brackets(delimiter: Delimiter) -> (&'static str, &'static str) {
    match delimiter {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    }
}

/// The signs that rules ask for; any other is `Other`.
const fn sign(character: char, double: bool) -> Kind {
    match character {
        ':' if double => Kind::Sign("::"),
        ':' => Kind::Sign(":"),
        '#' => Kind::Sign("#"),
        '!' => Kind::Sign("!"),
        ',' => Kind::Sign(","),
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn comments_and_doc_texts_are_no_tokens() {
        let text = "//! select\n/// todo!()\n// todo!()\n#[doc = \"todo\"]\nfn f() {}\n";
        let source = Source::parse("a.rs", text).expect("it is Rust");
        assert_eq!(source.literals().count(), 0);
        assert_eq!(source.lines_of("todo !"), Vec::<usize>::new());
        assert_eq!(source.lines_of("fn f"), [5]);
    }

    #[test]
    fn literals_inside_macros_are_seen_with_their_line() {
        let source = Source::parse("a.rs", "//! A.\nfn f() {\n    g!(\"a\\\n b\", r#\"c\"#);\n}\n")
            .expect("it is Rust");
        let found: Vec<_> = source.literals().collect();
        assert_eq!(found, [(3, "ab"), (4, "c")]);
    }

    #[test]
    fn a_shebang_keeps_the_line_numbers() {
        let source = Source::parse("a.rs", "#!/usr/bin/env x\n//! A.\nfn f() {}\n").expect("it is Rust");
        assert_eq!(source.lines_of("fn f"), [3]);
    }
}
