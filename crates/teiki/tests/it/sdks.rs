//! The official PAY.JP SDKs, a raw socket and a fuzzer against `teiki serve` on each engine: the suites of `tests/sdk`.
//!
//! A suite is a process of its own. Its interpreter and packages are in the folder of `TEIKI_TEST_SDKS`, which `./test`
//! prepares; where that is not said, the tests fail.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop where it stands: the line of the panic is the message"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::place::Place;
use crate::serve::Server;

/// A suite needs seconds; only one that hangs is ended.
const SUITE_LIMIT: Duration = Duration::from_secs(300);

/// For how many seconds the fuzzer goes on; a minute when it is not said.
const FUZZ_SECONDS: &str = "TEIKI_FUZZ_SECONDS";

/// The limits of PAY.JP's test mode.
const RATE_LIMIT: &str = "rate_limits=payjp";

/// How much of what the server said is shown with a suite that failed.
const SERVER_LINES_SHOWN: usize = 40;

#[test]
fn the_python_sdk_on_sqlite() {
    check(&Place::sqlite(), python("python"), &[]);
}

#[test]
fn the_python_sdk_on_postgres() {
    check(&Place::postgres(), python("python"), &[]);
}

#[test]
fn the_node_sdk_version_3_on_sqlite() {
    check(&Place::sqlite(), node("payjp3", "flows.js"), &[]);
}

#[test]
fn the_node_sdk_version_3_on_postgres() {
    check(&Place::postgres(), node("payjp3", "flows.js"), &[]);
}

#[test]
fn the_node_sdk_version_2_on_sqlite() {
    check(&Place::sqlite(), node("payjp2", "flows.js"), &[]);
}

#[test]
fn the_node_sdk_version_2_on_postgres() {
    check(&Place::postgres(), node("payjp2", "flows.js"), &[]);
}

#[test]
fn a_raw_socket_on_sqlite() {
    check(&Place::sqlite(), python("raw"), &[]);
}

#[test]
fn a_raw_socket_on_postgres() {
    check(&Place::postgres(), python("raw"), &[]);
}

#[test]
fn the_node_sdks_come_again_when_the_rate_limit_says_so() {
    for sdk in ["payjp3", "payjp2"] {
        check(&Place::sqlite(), node(sdk, "rate_limit.js"), &[RATE_LIMIT]);
    }
}

#[test]
fn the_openapi_document_describes_every_answer_on_sqlite() {
    fuzz(&Place::sqlite());
}

#[test]
fn the_openapi_document_describes_every_answer_on_postgres() {
    fuzz(&Place::postgres());
}

/// Asks for whatever the OpenAPI document allows, and for what it does not. Afterwards the books are in order.
fn fuzz(place: &Place) {
    check(place, python_of("openapi", "openapi"), &[]);
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

/// Runs a suite against a server with two accounts, the first one with these settings.
fn check(place: &Place, mut suite: Command, settings: &[&str]) {
    let [own, other] = ["one", "other"].map(|name| place.run(&["account", "create", name, "--json"]).json());
    if !settings.is_empty() {
        let account = own["account"].as_str().unwrap();
        place.run(&[&["account", "set", account], settings].concat()).text();
    }
    // The suite of webhooks receives them on this machine.
    let server = Server::start(place, &["--allow-private-webhooks"]);
    let key = |account: &serde_json::Value, mode: &str, kind: &str| {
        account[mode][kind].as_str().unwrap().to_owned()
    };
    suite
        .env("TEIKI_URL", server.url())
        .env("TEIKI_SECRET_KEY", key(&own, "test", "secret_key"))
        .env("TEIKI_PUBLIC_KEY", key(&own, "test", "public_key"))
        .env("TEIKI_LIVE_SECRET_KEY", key(&own, "live", "secret_key"))
        .env("TEIKI_OTHER_SECRET_KEY", key(&other, "test", "secret_key"));
    if !settings.is_empty() {
        suite.env("TEIKI_LIMITED_URL", server.url());
    }
    let output = finish(suite);
    assert!(
        output.status.success(),
        "{}\n\n{}\n{}\n\nthe server said last:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        last_lines(&Server::log(place)),
    );
    assert_eq!(server.stop(), Some(0));
}

/// What a suite said when it ended, by itself or at its limit.
fn finish(mut suite: Command) -> Output {
    let child = suite.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|error| panic!("{suite:?} does not start: {error}"));
    let pid = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    let waiting = thread::spawn(move || {
        let output = child.wait_with_output().unwrap();
        // Nobody listens after the limit.
        let _ = sender.send(());
        output
    });
    if receiver.recv_timeout(SUITE_LIMIT + fuzz_time()).is_err() {
        Command::new("kill").args(["-KILL", &pid]).status().unwrap();
    }
    waiting.join().unwrap()
}

/// How long the fuzzer is asked to go on.
fn fuzz_time() -> Duration {
    let seconds = std::env::var(FUZZ_SECONDS).map_or(0, |seconds| seconds.parse().unwrap());
    Duration::from_secs(seconds)
}

/// A suite of Python, or of its standard library alone.
fn python(folder: &str) -> Command {
    python_of("python", folder)
}

/// A suite of Python with the packages of `packages`.
fn python_of(packages: &str, folder: &str) -> Command {
    let mut command = Command::new(prepared(&format!("{packages}/bin/python")));
    command.args(["-B", "-m", "unittest", "discover", "-s", folder]).current_dir(suites());
    command
}

/// A suite of Node with one version of the SDK.
fn node(sdk: &str, script: &str) -> Command {
    let mut command = Command::new(prepared("node/bin/node"));
    command
        .arg(script)
        .current_dir(suites().join("node"))
        .env("TEIKI_NODE_SDK", sdk)
        .env("NODE_PATH", prepared("node/node_modules"))
        .env_remove("NODE_OPTIONS");
    command
}

fn suites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk")
}

fn prepared(path: &str) -> PathBuf {
    let folder = std::env::var_os("TEIKI_TEST_SDKS").expect("run ./test, which installs the SDKs");
    let path = Path::new(&folder).join(path);
    assert!(path.exists(), "{} is missing: run ./test, which installs the SDKs", path.display());
    path
}

fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(SERVER_LINES_SHOWN)..].join("\n")
}
