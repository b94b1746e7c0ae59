//! A buffer on its way from the device to the host.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Ready once the device has copied the buffer: its floats, or what went wrong. On native systems the callback comes from polling
/// the device, which is not done here; a browser calls back by itself.
pub(crate) struct Mapped {
    buffer: wgpu::Buffer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    result: Option<Result<(), wgpu::BufferAsyncError>>,
    waker: Option<Waker>,
}

impl Mapped {
    /// Asks for the buffer's contents.
    pub fn start(buffer: wgpu::Buffer) -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        buffer.map_async(wgpu::MapMode::Read, .., move |result| {
            let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.result = Some(result);
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        });
        Mapped { buffer, state }
    }
}

impl Future for Mapped {
    type Output = Result<Vec<f32>, String>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(result) = state.result.take() else {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(result.map_err(|error| error.to_string()).and_then(|()| {
            let view = self.buffer.get_mapped_range(..).map_err(|error| error.to_string())?;
            Ok(bytemuck::pod_collect_to_vec(&view))
        }))
    }
}
