//! Training in a thread of its own.

use super::Event;
use crate::error::NetError;
use fovea_fed::site::{LocalUpdate, RoundResult};
use fovea_fed::state::ServerState;
use fovea_secagg::hash::Hash;
use std::sync::mpsc::{Receiver, Sender, channel};

/// What a site brings to a federation: its own training, and a place for its state.
pub trait Learner: Send {
    /// Trains from a global model. The same model gives the same update, also in a later process: a site that was
    /// killed while it uploaded has to bring the same bytes.
    ///
    /// # Errors
    /// Why there is no update; the session ends with it.
    fn train(&mut self, round: u32, model: &[f32]) -> Result<LocalUpdate, String>;

    /// Saves the state after a round, and what the learner itself goes on from, all or nothing. `result` is `None`
    /// when this site was away and took the others' state.
    ///
    /// # Errors
    /// Why it is not on disk; the session ends with it.
    fn keep(&mut self, state: &ServerState, result: Option<&RoundResult>) -> Result<(), String>;
}

enum Task {
    Train { round: u32, model: Hash, weights: Vec<f32> },
    Keep { state: Box<ServerState>, result: Option<RoundResult> },
}

/// The thread's tasks, done one after the other.
pub(super) struct Classroom {
    tasks: Sender<Task>,
    kept: Receiver<Result<(), String>>,
}

impl Classroom {
    pub(super) fn open(mut learner: Box<dyn Learner>, events: Sender<Event>) -> Self {
        let (tasks, todo) = channel();
        let (done, kept) = channel();
        std::thread::spawn(move || {
            for task in todo {
                let delivered = match task {
                    Task::Train { round, model, weights } => {
                        let update = learner.train(round, &weights);
                        events.send(Event::Trained { model, update }).is_ok()
                    }
                    Task::Keep { state, result } => done.send(learner.keep(&state, result.as_ref())).is_ok(),
                };
                if !delivered {
                    return;
                }
            }
        });
        Self { tasks, kept }
    }

    pub(super) fn train(&self, round: u32, model: Hash, weights: Vec<f32>) -> Result<(), NetError> {
        self.tasks.send(Task::Train { round, model, weights }).map_err(|_| gone())
    }

    /// Waits until the state is on disk.
    pub(super) fn keep(&self, state: &ServerState, result: Option<&RoundResult>) -> Result<(), NetError> {
        let task = Task::Keep { state: Box::new(state.clone()), result: result.cloned() };
        self.tasks.send(task).map_err(|_| gone())?;
        self.kept.recv().map_err(|_| gone())?.map_err(NetError::Training)
    }
}

fn gone() -> NetError {
    NetError::Training("the thread that trains has ended".to_owned())
}
