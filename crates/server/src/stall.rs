//! A client that takes nothing of its answer is cut off.
//!
//! Invariants
//! - A connection that has bytes of an answer to write and whose client takes none of them for
//!   [`ANSWER_STALL_MAX`] ends: its share of the room for answers is free again, it is counted.
//! - Whoever takes something in that time, however little, is not cut for it; while others wait for
//!   the room, it may be for them ([`crate::answers`]), and then its connection ends, too.
//! - A live tail is not cut, neither idle nor unread: it holds what one connection holds, and what
//!   its client misses is counted there. The exemption begins when all answers before it on the same
//!   connection are with the system, so that nobody keeps a share behind a tail.
//!
//! Progress is what the system takes over. By itself it takes megabytes for a connection and says
//! that it has room again when a third of them is gone, which a slow client needs minutes for. So
//! what it may keep unsent is bounded by [`UNSENT_BYTES_MAX`]; what is on its way to the client is
//! not, and a distant one is served as fast as before.
use crate::answers::{Cut, CutMark};
use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

/// How long a client may take nothing of an answer: longer than an outage of a mobile network, short
/// enough that those who never come back do not hold the room.
pub const ANSWER_STALL_MAX: Duration = Duration::from_secs(30);
/// Bytes that the system keeps unsent for a connection. Half of them in [`ANSWER_STALL_MAX`] count as
/// progress: about 1 KiB a second.
const UNSENT_BYTES_MAX: u32 = 64 << 10;

/// Mark of a response that is a live tail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveTailResponse;

/// What kind of response a connection sends. Told by its service, asked by its stream.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// Something was given to the stream and is not with the system yet.
    has_unsent: AtomicBool,
    /// A tail began behind it.
    is_tail_next: AtomicBool,
    is_tail: AtomicBool,
    /// Answers that may be cut; one whose bytes are all with the system is gone.
    answers: Mutex<Vec<Weak<Cut>>>,
}

impl Sending {
    /// The next response begins.
    pub(crate) fn begin(&self, is_tail: bool, mark: Option<&CutMark>) {
        if let Some(CutMark(cut)) = mark {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.retain(|answer| answer.strong_count() > 0);
            answers.push(cut.clone());
        }
        let has_unsent = self.has_unsent.load(Relaxed);
        self.is_tail.store(is_tail && !has_unsent, Relaxed);
        self.is_tail_next.store(is_tail && has_unsent, Relaxed);
    }

    /// Whether an answer that is not with the system was cut; if not, the task is woken when one is.
    fn poll_cut(&self, context: &Context<'_>) -> bool {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unsent = answers.iter().filter_map(Weak::upgrade);
        unsent.any(|answer| answer.poll_cut(context))
    }

    fn flushed(&self) {
        self.has_unsent.store(false, Relaxed);
        if self.is_tail_next.swap(false, Relaxed) {
            self.is_tail.store(true, Relaxed);
        }
    }
}

/// What a connection is over.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin {
    /// Bounds what the system keeps unsent.
    fn bound_unsent(&self) -> io::Result<()>;
    /// Makes the end of the connection forget what the client has not taken.
    fn forget_unsent(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn bound_unsent(&self) -> io::Result<()> {
        socket2::SockRef::from(self).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn bound_unsent(&self) -> io::Result<()> {
        socket2::SockRef::from(self).set_send_buffer_size(UNSENT_BYTES_MAX as usize)
    }

    fn forget_unsent(&self) -> io::Result<()> {
        self.set_zero_linger()
    }
}

/// A stream whose writes end with [`io::ErrorKind::TimedOut`] when the client takes nothing.
pub(crate) struct Impatient<S> {
    socket: S,
    sending: Arc<Sending>,
    stall_max: Duration,
    /// Streams that were cut.
    cut: Arc<AtomicU64>,
    /// Since the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S: Socket> Impatient<S> {
    pub(crate) fn new(
        socket: S,
        sending: Arc<Sending>,
        stall_max: Duration,
        cut: Arc<AtomicU64>,
    ) -> Impatient<S> {
        if let Err(fault) = socket.bound_unsent() {
            // Progress is seen later then; a client of a few KiB a second might be cut.
            tracing::debug!(%fault, "what the system keeps unsent is not bounded");
        }
        Impatient {
            socket,
            sending,
            stall_max,
            cut,
            stalled: None,
        }
    }

    /// Ends a write that has waited for too long.
    fn watch(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        self.sending.has_unsent.store(true, Relaxed);
        if self.sending.poll_cut(context) {
            return Poll::Ready(Err(self.end("others need the room of this answer")));
        }
        if self.sending.is_tail.load(Relaxed) {
            self.stalled = None;
            return Poll::Pending;
        }
        let stall_max = self.stall_max;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(sleep(stall_max)));
        ready!(stalled.as_mut().poll(context));
        self.cut.fetch_add(1, Relaxed);
        Poll::Ready(Err(self.end("the client takes nothing of its answer")))
    }

    /// Ends the connection; what its writes say.
    fn end(&mut self, why: &'static str) -> io::Error {
        if let Err(fault) = self.socket.forget_unsent() {
            // The system gives the client some minutes more, out of its own memory.
            tracing::debug!(%fault, "a connection is not reset");
        }
        io::Error::new(io::ErrorKind::TimedOut, why)
    }
}

impl<S: Socket> AsyncRead for Impatient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl<S: Socket> AsyncWrite for Impatient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.watch(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, parts);
        self.watch(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked for when everything before was written.
        ready!(Pin::new(&mut self.socket).poll_flush(context))?;
        self.sending.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::{Instant, advance},
    };

    impl Socket for DuplexStream {
        fn bound_unsent(&self) -> io::Result<()> {
            Ok(())
        }

        fn forget_unsent(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Room of the connection between the two.
    const ROOM_BYTES: usize = 8;

    struct Pair {
        stream: Impatient<DuplexStream>,
        client: DuplexStream,
        sending: Arc<Sending>,
        cut: Arc<AtomicU64>,
    }

    fn pair() -> Pair {
        let (socket, client) = duplex(ROOM_BYTES);
        let (sending, cut) = (Arc::new(Sending::default()), Arc::default());
        let stream = Impatient::new(socket, sending.clone(), ANSWER_STALL_MAX, Arc::clone(&cut));
        Pair {
            stream,
            client,
            sending,
            cut,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_cut_in_time() {
        let mut pair = pair();
        let began = Instant::now();
        let outcome = pair.stream.write_all(&[b'x'; 2 * ROOM_BYTES]).await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        let took = began.elapsed();
        assert!(took >= ANSWER_STALL_MAX && took < ANSWER_STALL_MAX + Duration::from_secs(1));
        assert_eq!(pair.cut.load(Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_little_each_time_is_not_cut() {
        let Pair {
            mut stream,
            mut client,
            cut,
            ..
        } = pair();
        let writer = tokio::spawn(async move { stream.write_all(&[b'x'; 5 * ROOM_BYTES]).await });
        for _ in 0..5 * ROOM_BYTES {
            advance(ANSWER_STALL_MAX - Duration::from_secs(1)).await;
            client.read_u8().await.unwrap();
            // The writer's turn to see it.
            tokio::task::yield_now().await;
        }
        writer.await.unwrap().unwrap();
        assert_eq!(cut.load(Relaxed), 0);
    }

    /// Writes more than there is room for, and gives the outcome if there is one within an hour.
    async fn write_unread(stream: &mut Impatient<DuplexStream>) -> Option<io::Result<()>> {
        let writing = stream.write_all(&[b'x'; 2 * ROOM_BYTES]);
        tokio::time::timeout(Duration::from_secs(3_600), writing)
            .await
            .ok()
    }

    #[tokio::test(start_paused = true)]
    async fn idle_connections_and_tails_are_not_cut() {
        let mut pair = pair();
        advance(3 * ANSWER_STALL_MAX).await;
        pair.sending.begin(true, None);
        assert!(write_unread(&mut pair.stream).await.is_none());
        // An answer after the tail is an answer again.
        pair.sending.begin(false, None);
        assert!(write_unread(&mut pair.stream).await.unwrap().is_err());
        assert_eq!(pair.cut.load(Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tail_behind_an_unread_answer_does_not_keep_it() {
        let mut pair = pair();
        pair.sending.begin(false, None);
        let some = tokio::time::timeout(
            Duration::from_secs(1),
            pair.stream.write_all(&[b'x'; 2 * ROOM_BYTES]),
        );
        assert!(some.await.is_err());
        pair.sending.begin(true, None);
        assert!(write_unread(&mut pair.stream).await.unwrap().is_err());
        // Once what was before is taken, it is a tail.
        let mut read = [0; ROOM_BYTES];
        pair.client.read_exact(&mut read).await.unwrap();
        pair.stream.flush().await.unwrap();
        assert!(write_unread(&mut pair.stream).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowly_is_cut_when_its_answer_is() {
        let Pair {
            mut stream,
            mut client,
            sending,
            cut: stalled,
        } = pair();
        let (answer, next) = (Arc::new(Cut::default()), Arc::new(Cut::default()));
        sending.begin(false, Some(&CutMark(Arc::downgrade(&answer))));
        let writer = tokio::spawn(async move { stream.write_all(&[b'x'; 5 * ROOM_BYTES]).await });
        for _ in 0..ROOM_BYTES {
            advance(Duration::from_secs(1)).await;
            client.read_u8().await.unwrap();
            tokio::task::yield_now().await;
        }
        // Answers that are sent already, and those of other connections, do not matter.
        let sent = Arc::new(Cut::default());
        sending.begin(false, Some(&CutMark(Arc::downgrade(&sent))));
        sent.cut();
        drop(sent);
        next.cut();
        tokio::task::yield_now().await;
        assert!(!writer.is_finished());
        answer.cut();
        let outcome = writer.await.unwrap();
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(stalled.load(Relaxed), 0);
    }
}
