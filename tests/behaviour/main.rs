//! Every behaviour, written once and run for every start method.

mod batches;
mod bootstrap;
mod channel_ends;
mod channel_futures;
mod channels;
mod contexts;
mod copies;
mod descriptors;
mod descriptors_sent;
mod duplexes;
mod endings;
mod futures;
mod handles;
mod hostile;
mod identity;
mod image;
mod late;
mod lifelines;
mod namespaces;
mod options;
mod outcomes;
mod pool;
mod preloads;
mod present;
mod privileges;
mod servers;
mod shm;
mod spares;
mod statuses;
mod stdio;
mod sync;
mod tasks;
mod threads;
mod waits;

use std::process::ExitCode;

use offspring::process_main;
use offspring_tests::Suite;
use offspring_tests::program::Entry;

const SUITES: &[Suite] = &[
    ("outcomes", outcomes::CASES),
    ("handles", handles::CASES),
    ("options", options::CASES),
    ("present", present::CASES),
    ("privileges", privileges::CASES),
    ("identity", identity::CASES),
    ("contexts", contexts::CASES),
    ("namespaces", namespaces::CASES),
    ("copies", copies::CASES),
    ("lifelines", lifelines::CASES),
    ("endings", endings::CASES),
    ("late", late::CASES),
    ("descriptors", descriptors::CASES),
    ("image", image::CASES),
    ("stdio", stdio::CASES),
    ("futures", futures::CASES),
    ("threads", threads::CASES),
    ("statuses", statuses::CASES),
    ("preloads", preloads::CASES),
    ("servers", servers::CASES),
    ("spares", spares::CASES),
    ("bootstrap", bootstrap::CASES),
    ("shm", shm::CASES),
    ("shm::hostile", shm::hostile::CASES),
    ("channels", channels::CASES),
    ("batches", batches::CASES),
    ("channel_ends", channel_ends::CASES),
    ("channel_futures", channel_futures::CASES),
    ("duplexes", duplexes::CASES),
    ("waits", waits::CASES),
    ("descriptors_sent", descriptors_sent::CASES),
    ("hostile", hostile::CASES),
    ("mutexes", sync::mutexes::CASES),
    ("rwlocks", sync::rwlocks::CASES),
    ("conditions", sync::conditions::CASES),
    ("semaphores", sync::semaphores::CASES),
    ("barriers", sync::barriers::CASES),
    ("signals", sync::signals::CASES),
    ("sharing", sync::sharing::CASES),
    ("pool::descriptors", pool::descriptors::CASES),
    ("pool::pressure", pool::pressure::CASES),
    ("pool::results", pool::results::CASES),
    ("pool::maps", pool::maps::CASES),
    ("pool::jobs", pool::jobs::CASES),
    ("pool::corners", pool::corners::CASES),
    ("pool::faults", pool::faults::CASES),
    ("pool::urgency", pool::urgency::CASES),
    ("pool::waiting", pool::waiting::CASES),
    ("pool::workers", pool::workers::CASES),
    ("pool::broadcast", pool::broadcast::CASES),
    ("pool::finalizers", pool::finalizers::CASES),
    ("pool::options", pool::options::CASES),
    ("pool::template", pool::template::CASES),
    ("pool::retries", pool::retries::CASES),
    ("pool::scaling", pool::scaling::CASES),
    ("pool::sharing", pool::sharing::CASES),
    ("pool::life", pool::life::CASES),
    ("pool::futures", pool::futures::CASES),
    ("pool::hostile", pool::hostile::CASES),
];

/// The programs that cases start and watch from outside.
const PROGRAMS: &[Entry] = &[
    ("bootstrap::marker", bootstrap::marker),
    ("endings::ends", endings::ends),
    ("image::starts", image::starts),
    ("late::works", late::works),
    ("lifelines::parent", lifelines::parent),
    ("preloads::two_children", preloads::two_children),
    ("spares::keeper", spares::keeper),
    ("stdio::prints", stdio::prints),
    ("contexts::reports", contexts::reports),
    ("shm::shares_for_ever", shm::shares_for_ever),
    ("pool::life::has_a_pool", pool::life::has_a_pool),
    ("pool::life::drains", pool::life::drains),
    ("pool::life::has_a_task_with_a_program", pool::life::has_a_task_with_a_program),
];

#[process_main]
fn main() -> ExitCode {
    offspring_tests::main(SUITES, PROGRAMS)
}
