//! Execution never depends on the connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use crate::harness::{PATIENCE, charge, keyed, start};

fn request(body: &str) -> String {
    format!("POST /charges HTTP/1.1\r\nhost: sandbox\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn send_and_leave(address: std::net::SocketAddr, text: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    drop(stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_client_left_at_once_is_executed() {
    let sandbox = start("").await;
    for number in 0..200 {
        send_and_leave(sandbox.server().addr(), &request(&charge(&format!("sbx_ok.{number}")).to_string()));
    }
    sandbox.wait_for_lines(200).await;
}

#[tokio::test]
async fn a_charge_whose_client_left_during_a_delay_is_executed() {
    let sandbox = start("latency=100-100").await;
    send_and_leave(sandbox.server().addr(), &request(&charge("sbx_ok").to_string()));
    sandbox.wait_for_lines(1).await;
}

#[tokio::test]
async fn head_and_body_in_separate_packets_are_executed() {
    let sandbox = start("").await;
    let text = request(&charge("sbx_ok").to_string());
    let (head, body) = text.split_at(text.len() - 20);
    let mut stream = TcpStream::connect(sandbox.server().addr()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    stream.write_all(body.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    sandbox.wait_for_lines(1).await;
}

#[tokio::test]
async fn half_a_request_is_not_executed() {
    let sandbox = start("").await;
    let text = request(&charge("sbx_ok").to_string());
    send_and_leave(sandbox.server().addr(), &text[..text.len() - 1]);
    // A later charge over the same way is the first line.
    sandbox.charge(&charge("sbx_ok.whole")).await;
    assert_eq!(sandbox.wait_for_lines(1).await[0].token, "sbx_ok.whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_ends_in_a_reset() {
    let sandbox = start("drop-after=1").await;
    let mut stream = TcpStream::connect(sandbox.server().addr()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request(&charge("sbx_ok").to_string()).as_bytes()).unwrap();
    let error = stream.read(&mut [0; 16]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    sandbox.wait_for_lines(1).await;
}

#[tokio::test]
async fn a_repeat_after_the_client_left_is_recognised() {
    let sandbox = start("").await;
    let body = keyed("sbx_ok", "key-1");
    send_and_leave(sandbox.server().addr(), &request(&body.to_string()));
    sandbox.wait_for_lines(1).await;
    assert_eq!(sandbox.charge_when_free(&body).await.body["idempotency"], "replayed");
    sandbox.wait_for_lines(1).await;
}
