//! The jobs that are at no worker, by priority.

use std::collections::VecDeque;

use crate::pool::model::JobId;
use crate::task::Priority;

/// One line for each priority. Within a priority, first come first served.
#[derive(Debug, Default)]
pub(super) struct Queue([VecDeque<JobId>; Priority::LEVELS]);

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(VecDeque::is_empty)
    }

    /// Returns the next job.
    pub(super) fn front(&self) -> Option<JobId> {
        self.0.iter().rev().find_map(|level| level.front().copied())
    }

    pub(super) fn pop_front(&mut self) {
        if let Some(level) = self.0.iter_mut().rev().find(|level| !level.is_empty()) {
            level.pop_front();
        }
    }

    pub(super) fn push_back(&mut self, id: JobId, priority: Priority) {
        self.0[priority as usize].push_back(id);
    }

    /// Puts a job before all others of its priority.
    pub(super) fn push_front(&mut self, id: JobId, priority: Priority) {
        self.0[priority as usize].push_front(id);
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(JobId) -> bool) {
        self.0.iter_mut().for_each(|level| level.retain(|id| keep(*id)));
    }

    /// Takes all jobs, in the order of the queue.
    pub(super) fn take(&mut self) -> impl Iterator<Item = JobId> + use<> {
        std::mem::take(self).0.into_iter().rev().flatten()
    }
}
