//! The guide by curl (`docs/api/guide.md`): every example is run as it stands, in one shell, and answered as it says.

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::installation::on_both;
use crate::place::Ran;

const ENGLISH: &str = include_str!("../../../../../docs/api/guide.md");
const JAPANESE: &str = include_str!("../../../../../docs/api/guide.ja.md");

/// The address of the guide's server; tests take a free port instead.
const ADDRESS: &str = "127.0.0.1:8080";

/// What is run, and what it answers, shortened.
struct Example {
    commands: String,
    answer: String,
}

/// The examples of a guide: a block of commands, followed by a block with its answer.
fn examples(guide: &str) -> Vec<Example> {
    let mut blocks = Vec::new();
    let mut rest = guide;
    while let Some(start) = rest.find("```") {
        let block = &rest[start + 3..];
        let end = block.find("\n```").expect("a block ends");
        let (language, text) = block[..end].split_once('\n').expect("a block has a language");
        blocks.push((language.to_owned(), text.to_owned()));
        rest = &block[end + 4..];
    }
    assert_eq!(blocks.len() % 2, 0, "each block of commands has its answer");
    blocks
        .chunks(2)
        .map(|pair| {
            assert_eq!((pair[0].0.as_str(), pair[1].0.as_str()), ("sh", "json"), "{}", pair[0].1);
            Example { commands: pair[0].1.clone(), answer: pair[1].1.clone() }
        })
        .collect()
}

/// Whether an answer has everything that the guide shows of it. `…` stands for the rest of a text; of a list the first
/// items are shown.
fn shows(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => {
            shown.iter().all(|(name, value)| answer.get(name).is_some_and(|answer| shows(answer, value)))
        }
        (Value::Array(answer), Value::Array(shown)) => {
            answer.len() >= shown.len()
                && answer.iter().zip(shown).all(|(answer, shown)| shows(answer, shown))
        }
        (Value::String(answer), Value::String(shown)) => match shown.strip_suffix('…') {
            Some(start) => answer.starts_with(start),
            None => answer == shown,
        },
        (answer, shown) => answer == shown,
    }
}

/// One script of all examples, each with its output in a file of its own. It ends with the server.
fn script(examples: &[Example], address: &str) -> String {
    let mut script = String::from("trap 'kill $(jobs -p) 2> /dev/null; wait' EXIT\n");
    for (number, example) in examples.iter().enumerate() {
        let commands = example.commands.replace(ADDRESS, address);
        script.push_str(&format!("{{\n{commands}\n}} > answer.{number} || exit 1\n"));
    }
    script
}

#[tokio::test]
async fn every_example_of_the_guide_is_answered_as_it_says() {
    let examples = examples(ENGLISH);
    assert!(examples.len() >= 14, "only {} examples", examples.len());
    on_both(async |installation| {
        let place = &installation.place;
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        place.write("guide.sh", script(&examples, &free.to_string()));
        let teiki = std::path::Path::new(env!("CARGO_BIN_EXE_teiki")).parent().unwrap();
        let path = format!("{}:{}", teiki.display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.arg("guide.sh").current_dir(place.folder.path()).env("PATH", path);
        let ran = Ran::of(bash.env("TEIKI_DATABASE", &place.url).output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
        for (number, example) in examples.iter().enumerate() {
            let answer = std::fs::read_to_string(place.file(&format!("answer.{number}"))).unwrap();
            let parsed: Value = serde_json::from_str(&answer)
                .unwrap_or_else(|error| panic!("{error}: {} answered {answer:?}", example.commands));
            let shown: Value = serde_json::from_str(&example.answer).unwrap();
            assert!(shows(&parsed, &shown), "{}\nanswered\n{answer}\nnot\n{shown}", example.commands);
        }
    })
    .await;
}

#[test]
fn both_languages_have_the_same_examples() {
    let (english, japanese) = (examples(ENGLISH), examples(JAPANESE));
    assert_eq!(english.len(), japanese.len());
    for (english, japanese) in english.iter().zip(&japanese) {
        assert_eq!((&english.commands, &english.answer), (&japanese.commands, &japanese.answer));
    }
}

#[test]
fn an_answer_that_differs_is_seen() {
    let answer = serde_json::json!({"id": "sub_1", "count": 2, "data": [{"a": 1, "b": 2}, {"a": 3}]});
    for (shown, is_so) in [
        (r#"{"id": "sub_…"}"#, true),
        (r#"{"id": "in_…"}"#, false),
        (r#"{"data": [{"a": 1}]}"#, true),
        (r#"{"data": [{"a": 1}, {"a": 2}]}"#, false),
        (r#"{"count": 3}"#, false),
        (r#"{"more": null}"#, false),
    ] {
        assert_eq!(shows(&answer, &serde_json::from_str(shown).unwrap()), is_so, "{shown}");
    }
}
