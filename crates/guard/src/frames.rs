//! Frames over a stream: a big-endian `u32` length and that many bytes.

use hourgate_api::guard::{FRAME_BYTES_MAX, NotAFrame, decode, encode};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How much is read at once: memory is given for what arrived, not for what a length promises.
const READ_BYTES_MAX: usize = 64 << 10;

/// Why a frame could not be read or written. After any of these the only thing left is to hang up.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed, or ended inside a frame.
    #[error("the connection broke: {0}")]
    Broken(#[from] std::io::Error),
    /// The frame is longer than [`FRAME_BYTES_MAX`].
    #[error("a frame of {0} bytes is longer than {FRAME_BYTES_MAX}")]
    TooLong(usize),
    /// The bytes are not what was expected.
    #[error(transparent)]
    Garbage(#[from] NotAFrame),
}

/// Reads one frame; none where the stream ended between two. Not safe to cancel: half a frame would be lost.
pub async fn read<T, S>(stream: &mut S) -> Result<Option<T>, FrameError>
where
    T: DeserializeOwned,
    S: AsyncRead + Unpin,
{
    let mut length = [0; 4];
    if stream.read(&mut length[..1]).await? == 0 {
        return Ok(None);
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
    Ok(Some(decode(&body)?))
}

/// Writes one frame.
pub async fn write<T, S>(stream: &mut S, frame: &T) -> Result<(), FrameError>
where
    T: Serialize,
    S: AsyncWrite + Unpin,
{
    stream.write_all(&encode(frame)?).await?;
    stream.flush().await?;
    Ok(())
}
