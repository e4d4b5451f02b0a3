//! A connection that hyper gives away.

use std::sync::{Mutex, PoisonError};

use http::Response;
use tokio::net::TcpStream;

use crate::requests::UnderWayBody;

/// How a connection is taken from hyper: the answer is given here instead of to hyper, and hyper, when it is dropped,
/// gives the stream back.
#[derive(Default)]
pub(super) struct Handover(Mutex<Stage>);

#[derive(Default)]
enum Stage {
    /// It is hyper's.
    #[default]
    Served,
    Answered(Response<UnderWayBody>),
    /// The answer was taken.
    Leaving,
    Free(TcpStream),
}

impl Handover {
    /// This is the answer.
    pub(super) fn give(&self, response: Response<UnderWayBody>) {
        self.replace(Stage::Answered(response));
    }

    /// The answer, once.
    pub(super) fn response(&self) -> Option<Response<UnderWayBody>> {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*stage, Stage::Answered(_)) {
            return None;
        }
        match std::mem::replace(&mut *stage, Stage::Leaving) {
            Stage::Answered(response) => Some(response),
            _ => None,
        }
    }

    /// Nobody uses the stream any more.
    pub(super) fn give_back(&self, stream: TcpStream) {
        let mut stage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*stage, Stage::Leaving) {
            *stage = Stage::Free(stream);
        }
    }

    pub(super) fn stream(&self) -> Option<TcpStream> {
        match self.replace(Stage::Served) {
            Stage::Free(stream) => Some(stream),
            _ => None,
        }
    }

    fn replace(&self, stage: Stage) -> Stage {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), stage)
    }
}
