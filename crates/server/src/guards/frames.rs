//! Frames of the guard's protocol over a stream, as bytes: what is large is made and understood elsewhere
//! than on the threads on which others wait.

use hourgate_api::guard::{FRAME_BYTES_MAX, NotAFrame, decode};
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::spawn_blocking,
};

/// From this many bytes on a frame is understood aside: about a millisecond of work.
const LARGE_BYTES: usize = 64 << 10;
/// Memory is given for what arrived, not for what a length promises: in steps of no more than this.
const READ_BYTES_MAX: usize = 1 << 20;

/// Why a frame could not be read or written. After any of these the only thing left is to hang up.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    #[error("the guard hung up")]
    HungUp,
    #[error("a frame of {0} bytes is longer than {FRAME_BYTES_MAX}")]
    TooLong(usize),
    #[error(transparent)]
    Garbage(#[from] NotAFrame),
    #[error("stopping")]
    Stopping,
}

/// Writes frames that were made.
pub(super) async fn write<S: AsyncWrite + Unpin>(
    stream: &mut S,
    frame: &[u8],
) -> Result<(), FrameError> {
    stream.write_all(frame).await?;
    stream.flush().await?;
    Ok(())
}

/// Reads one frame. Not safe to cancel: half a frame would be lost.
pub(super) async fn read<T, S>(stream: &mut S) -> Result<T, FrameError>
where
    T: DeserializeOwned + Send + 'static,
    S: AsyncRead + Unpin,
{
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Err(FrameError::HungUp);
    }
    stream.read_exact(&mut length[1..]).await?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > FRAME_BYTES_MAX {
        return Err(FrameError::TooLong(length));
    }
    let mut body = Vec::new();
    while body.len() < length {
        let start = body.len();
        body.resize(length.min(start + READ_BYTES_MAX), 0);
        stream.read_exact(&mut body[start..]).await?;
    }
    if length < LARGE_BYTES {
        return Ok(decode(&body)?);
    }
    let understood = spawn_blocking(move || decode(&body)).await;
    Ok(understood.map_err(|_| FrameError::Stopping)??)
}
