//! A queue with a limit, and the callers that wait for room.

use std::time::Duration;

use super::fake::{FakePool, config};
use crate::error::JoinErrorKind::Signaled;
use crate::pool::model::PoolConfig;
use crate::pool::scheduler::NoEntry::{Closed, Full};
use crate::pool::scheduler::Ticket;

const SHORT: Duration = Duration::from_micros(1);

fn limited(queue_limit: Option<usize>, queue_limit_bytes: Option<usize>) -> FakePool {
    FakePool::serving(PoolConfig { queue_limit, queue_limit_bytes, ..config(1) })
}

/// Whether each caller may enter, as `+` and `-`.
fn line(pool: &FakePool, tickets: &[Ticket]) -> String {
    tickets.iter().map(|ticket| if pool.scheduler.may_enter(*ticket) { '+' } else { '-' }).collect()
}

#[test]
fn jobs_have_room_up_to_the_limit_and_one_for_each_worker() {
    for limit in [0, 1, 3] {
        let mut pool = limited(Some(limit), None);
        for _ in 0..=limit {
            assert_eq!(pool.scheduler.try_enter(0), Ok(()));
            pool.submit();
        }
        assert_eq!(pool.scheduler.try_enter(0), Err(Full));
        pool.run(1, SHORT);
        assert_eq!(pool.scheduler.try_enter(0), Ok(()), "a job that is done needs no room, taken or not");
    }
}

#[test]
fn arguments_have_room_until_the_end_of_the_job() {
    let mut pool = limited(None, Some(100));
    pool.bytes = 40;
    let job = pool.submit();
    pool.submit();
    assert_eq!([20, 21].map(|bytes| pool.scheduler.try_enter(bytes)), [Ok(()), Err(Full)]);
    assert_eq!(pool.scheduler.stats().queued_bytes, 80);
    pool.run(1, SHORT);
    assert_eq!(pool.scheduler.stats().queued_bytes, 40);
    assert_eq!(pool.scheduler.try_enter(60), Ok(()));
    // A death gives the arguments back to the queue.
    pool.begin(1);
    pool.die(1, Signaled(9));
    assert_eq!(pool.scheduler.stats().queued_bytes, 0);
    assert_eq!(pool.outcome(job), "returned by 1");
}

#[test]
fn arguments_above_the_limit_have_room_alone() {
    let mut pool = limited(None, Some(100));
    assert_eq!(pool.scheduler.try_enter(5000), Ok(()));
    pool.bytes = 1;
    pool.submit();
    assert_eq!(pool.scheduler.try_enter(5000), Err(Full));
}

#[test]
fn first_come_first_served() {
    let mut pool = limited(Some(0), None);
    pool.submit();
    let tickets = [0; 3].map(|bytes| pool.scheduler.line_up(bytes, None));
    assert_eq!(line(&pool, &tickets), "---");
    pool.run(1, SHORT);
    assert_eq!(line(&pool, &tickets), "+--");
    assert_eq!(pool.scheduler.try_enter(0), Err(Full), "the room is for the line");
    assert_eq!(pool.scheduler.room_for_map(5), 0);
    pool.scheduler.leave_line(tickets[0]);
    pool.submit();
    assert_eq!(line(&pool, &tickets[1..]), "--");
    pool.run(1, SHORT);
    // The second gives up.
    pool.scheduler.leave_line(tickets[1]);
    assert_eq!(line(&pool, &tickets[2..]), "+");
    pool.scheduler.leave_line(tickets[2]);
    assert_eq!((pool.scheduler.try_enter(0), pool.scheduler.waiting()), (Ok(()), 0));
}

/// Without it, large arguments would wait as long as there are small ones.
#[test]
fn no_small_job_overtakes_a_large_one() {
    let mut pool = limited(None, Some(100));
    pool.bytes = 50;
    pool.submit();
    let tickets = [90, 10].map(|bytes| pool.scheduler.line_up(bytes, None));
    assert_eq!((line(&pool, &tickets).as_str(), pool.scheduler.try_enter(10)), ("--", Err(Full)));
    pool.run(1, SHORT);
    assert_eq!(line(&pool, &tickets), "+-");
}

#[test]
fn a_closed_pool_keeps_no_caller_waiting() {
    let closes: [fn(&mut FakePool); 2] = [|pool| pool.scheduler.close(), |pool| pool.scheduler.terminate(pool.now)];
    for close in closes {
        let mut pool = limited(Some(0), None);
        pool.submit();
        let tickets = [0; 2].map(|bytes| pool.scheduler.line_up(bytes, None));
        for ticket in tickets {
            pool.scheduler.set_waker_in_line(ticket, std::task::Waker::noop().clone());
        }
        close(&mut pool);
        assert_eq!((line(&pool, &tickets).as_str(), pool.scheduler.try_enter(0)), ("++", Err(Closed)));
        assert_eq!(pool.scheduler.take_woken().len(), 2);
        assert!(!pool.scheduler.has_woken());
    }
}

#[test]
fn a_future_is_woken_once_when_its_turn_has_come() {
    let mut pool = limited(Some(0), None);
    pool.submit();
    let tickets = [0; 2].map(|bytes| pool.scheduler.line_up(bytes, None));
    for ticket in tickets {
        pool.scheduler.set_waker_in_line(ticket, std::task::Waker::noop().clone());
    }
    assert!(pool.scheduler.take_woken().is_empty());
    pool.run(1, SHORT);
    assert!(pool.scheduler.has_woken());
    assert_eq!(pool.scheduler.take_woken().len(), 1);
    assert!(!pool.scheduler.has_woken(), "the second is not the first in line");
    pool.scheduler.leave_line(tickets[0]);
    assert_eq!(pool.scheduler.take_woken().len(), 1, "the first gave up its place");
}

#[test]
fn more_workers_have_more_room() {
    let mut pool = limited(Some(0), None);
    pool.submit();
    let ticket = pool.scheduler.line_up(0, None);
    pool.resize(2);
    assert_eq!(line(&pool, &[ticket]), "+");
}
