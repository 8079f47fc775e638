//! Jobs that are pinned to a worker: one for each present worker in a broadcast.
//!
//! A pinned job goes to its worker before all jobs that the worker has not begun, and to no other worker. A worker with
//! a pinned job gets no other job until the pinned job is done, so there is nothing behind the job to revoke or to
//! steal. The job ends with its worker.

use super::Scheduler;
use super::worker::Worker;
use crate::error::JoinErrorKind;
use crate::pool::model::{Failure, JobEntry, JobId, JobState, WorkerId};
use crate::pool::transport::{Broken, Sent, WorkerLink};

impl<L: WorkerLink> Scheduler<L> {
    /// Submits a job for each worker that is not told to exit. Returns the workers' pids with the jobs.
    pub(in crate::pool) fn broadcast(&mut self, mut job: impl FnMut() -> JobEntry) -> Vec<(u32, JobId)> {
        let is_present = |worker: &Worker<L>| worker.is_healthy() && !worker.is_retiring();
        let present = self.workers.iter().filter(|(_, worker)| is_present(worker));
        let present: Vec<(WorkerId, u32)> = present.map(|(key, worker)| (WorkerId(key), worker.link.pid())).collect();
        let mut submitted = Vec::with_capacity(present.len());
        for (id, pid) in present {
            // The death of the worker is the end of the job.
            submitted.push((pid, self.submit(JobEntry { pin: Some(id), retries: 0, ..job() })));
        }
        submitted
    }

    /// Notes a job that is pinned to a worker, until [`note_unpinned`](Self::note_unpinned).
    pub(super) fn note_pinned(&mut self, WorkerId(key): WorkerId) {
        self.pinned += 1;
        self.workers[key].pins += 1;
    }

    pub(super) fn note_unpinned(&mut self, WorkerId(key): WorkerId) {
        self.pinned -= 1;
        // A worker that has ended is not in the table.
        if let Some(worker) = self.workers.get_mut(key) {
            worker.pins -= 1;
        }
    }

    /// Puts a new job behind the worker's other pinned jobs, and takes back all other jobs that have not begun.
    pub(super) fn queue_pinned(&mut self, id: JobId, worker: WorkerId) {
        self.revoke_all(worker);
        self.workers[worker.0].pinned.push_back(id);
    }

    /// Puts a revoked job before the worker's other pinned jobs. The job fails if the worker takes none any more.
    pub(super) fn queue_pinned_first(&mut self, id: JobId, WorkerId(key): WorkerId) {
        let worker = &mut self.workers[key];
        if worker.is_serving() {
            worker.pinned.push_front(id);
        } else {
            let pid = worker.link.pid();
            self.fail_pinned(id, pid);
        }
    }

    /// Fails a pinned job whose worker has ended or is to exit.
    pub(super) fn fail_pinned(&mut self, id: JobId, pid: u32) {
        let detail = "its worker came to its end before the job began".to_owned();
        self.finish(id, Err(Failure { detail, ..Failure::new(JoinErrorKind::Cancelled, Some(pid)) }));
    }

    /// Sends pinned jobs to the workers that serve. Returns whether a job was sent.
    pub(super) fn dispatch_pinned(&mut self) -> bool {
        let mut is_sent = false;
        if self.pinned == 0 {
            return is_sent;
        }
        for key in self.workers.iter().map(|(key, _)| key).collect::<Vec<_>>() {
            while let Some(id) = self.next_pinned(key) {
                let (worker, job) = (&mut self.workers[key], &mut self.jobs[id.0]);
                match worker.link.send(id, job) {
                    Ok(Sent::Yes) => {
                        worker.pinned.pop_front();
                        worker.note_sent(id);
                        job.state = JobState::InFlight(WorkerId(key));
                        is_sent = true;
                    }
                    Ok(Sent::NoRoom) => break,
                    Ok(Sent::Never(error)) => {
                        worker.pinned.pop_front();
                        self.finish(id, Err(Failure::new(JoinErrorKind::NotStarted(error), None)));
                        is_sent = true;
                    }
                    Err(Broken) => worker.kill(None),
                }
            }
        }
        is_sent
    }

    /// Returns the next pinned job for a worker, if the worker serves.
    fn next_pinned(&self, key: usize) -> Option<JobId> {
        self.workers.get(key).filter(|worker| worker.is_serving())?.pinned.front().copied()
    }

    /// Whether pinned jobs are queued.
    pub(super) fn has_pinned_backlog(&self) -> bool {
        self.pinned > 0 && self.workers.iter().any(|(_, worker)| !worker.pinned.is_empty())
    }
}
