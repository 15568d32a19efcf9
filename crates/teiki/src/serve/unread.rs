//! What is left of a body when a request is answered without it: it is read and dropped, within limits.
//!
//! A connection that is closed with bytes unread is torn, and a client that still sends may never see its answer. So a body
//! that nobody reads to its end is read on, after the answer too, up to [`BYTES_MAX`] and for [`WAIT`]; then its connection is
//! closed. Who asks first whether to send (`Expect: 100-continue`) has sent nothing, and is not asked to.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use futures_util::{Stream, StreamExt};
use tokio::runtime::Handle;

/// As much is read of what nobody wants: many times the longest body that is taken.
pub(super) const BYTES_MAX: usize = 1024 * 1024;
/// As long.
pub(super) const WAIT: Duration = Duration::from_secs(2);

/// The request, whose body is read on when it is dropped.
pub(super) async fn kept(request: Request) -> Request {
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return request;
    }
    request.map(|body| Body::from_stream(Kept { rest: Some(body.into_data_stream()) }))
}

struct Kept {
    /// `None` when it has come to its end.
    rest: Option<BodyDataStream>,
}

impl Stream for Kept {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let part = rest.poll_next_unpin(cx);
        if matches!(part, Poll::Ready(None | Some(Err(_)))) {
            self.rest = None;
        }
        part
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // There is no runtime when the process ends.
        if let (Some(rest), Ok(runtime)) = (self.rest.take(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(WAIT, read_on(rest)));
        }
    }
}

/// Ends with the connection, too.
async fn read_on(mut rest: BodyDataStream) {
    let mut length = 0;
    while let Some(Ok(part)) = rest.next().await {
        length += part.len();
        if length > BYTES_MAX {
            return;
        }
    }
}
