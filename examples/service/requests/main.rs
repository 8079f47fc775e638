//! The service as it is built, under every start method, driven by some hundreds of requests at once.
//!
//! Bad pictures, bombs, crashes, hangs, clients that go, and workers that are killed each cost what they must cost, and
//! nothing else. Afterwards no process, descriptor or memory is left.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Instant;

use image::ImageFormat;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use offspring::StartMethod;
use offspring_tests::{METHODS, Program, Running, procs, wait};
use tokio::task::JoinSet;

mod client;
mod pictures;

use client::{Answer, Client};

/// A running service.
struct Service {
    running: Running,
    client: Client,
}

impl Service {
    fn start(method: StartMethod, options: &[&str]) -> Self {
        let mut program = Program::of(Command::new(env!("CARGO_BIN_EXE_service")));
        program = program.args(["--listen", "127.0.0.1:0", "--bugs", "--start-method", method.as_str()]);
        // A backtrace of each crash would take the time of many pictures.
        let mut running = program.args(options).env("RUST_BACKTRACE", "0").start();
        let line = running.line();
        let address = line.strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address: {line}"));
        Self { running, client: Client::new(address) }
    }

    /// Waits until the numbers of `/stats` are as expected.
    async fn until(&self, what: &str, holds: impl Fn(&serde_json::Value) -> bool) {
        let begin = Instant::now();
        loop {
            let stats = self.client.stats().await;
            if holds(&stats) {
                return;
            }
            assert!(begin.elapsed() < wait::LIMIT, "not so: {what}: {stats}\n{}", self.running.errors());
            wait::a_moment();
        }
    }

    async fn until_idle(&self, workers: usize) {
        self.until("the pool is idle", |stats| {
            let zeros = ["queued", "queued_bytes", "running"];
            zeros.iter().all(|key| stats[key] == 0) && stats["workers"].as_array().map(Vec::len) == Some(workers)
        })
        .await;
    }

    /// Sends a signal to all processes of the service, as systemd does.
    fn signal_all(&self, signal: Signal) {
        killpg(Pid::from_raw(self.running.pid() as i32), signal).expect("the service lives");
    }

    /// Waits for the end of all processes, and returns the numbers of requests, answers, second runs, and jobs that
    /// were cut off.
    fn finish(self, method: StartMethod) -> [usize; 4] {
        let ended = self.running.finish();
        assert_eq!(ended.code(), 0, "{method}: {}\n{}", ended.stdout, ended.stderr);
        let numbers: Vec<usize> = ended.stdout.split(' ').filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().unwrap_or_else(|_| panic!("{method}: no four numbers: {}", ended.stdout))
    }
}

/// What a service holds: descriptors, mappings of shared memory, and processes.
fn held(pid: u32) -> [usize; 3] {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("the service lives").count();
    let mappings = procs::mapped_memory(&pid.to_string()).len();
    [descriptors, mappings, procs::group(pid as i32).len()]
}

/// Returns the memory of a process without that of its files, in KiB.
fn memory(pid: u32) -> usize {
    let line = procs::status(&pid.to_string(), "RssAnon");
    line.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of KiB")
}

/// Runs a test on one thread, since the work is done in the service.
fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

/// Kills the first worker.
async fn kill_worker(service: &Service) {
    let stats = service.client.stats().await;
    if let Some(pid) = stats["workers"][0].as_i64() {
        // The worker may have ended of a picture since.
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL);
    }
}

/// The numbers of requests of a storm, by what they are.
const GOOD: usize = 160;
const GARBAGE: usize = 40;
const CUT_SHORT: usize = 40;
const BOMBS: usize = 4;
const CRASHES: usize = 6;
const PANICS: usize = 6;
const STALLS: usize = 2;
const TOO_LARGE: usize = 6;
const ELSEWHERE: usize = 4;
const GONE: usize = 12;
/// A worker is killed at each such number of answers.
const KILL_EVERY: usize = 40;
const LAST_KILL: usize = 4 * KILL_EVERY;

/// The pictures of a storm.
struct Pictures {
    png: Vec<u8>,
    jpeg: Vec<u8>,
    bomb: Vec<u8>,
}

/// Sends all requests at once, kills workers meanwhile, and checks all answers.
async fn storm(service: &Service, pictures: &Pictures) {
    let client = &service.client;
    let mut uploads = JoinSet::new();
    let bodies: Vec<(usize, Vec<u8>)> = vec![
        (GARBAGE, b"This is not a picture.".to_vec()),
        (CUT_SHORT, pictures.png[..pictures.png.len() / 2].to_vec()),
        (BOMBS, pictures.bomb.clone()),
        (CRASHES, b"BUG: crash".to_vec()),
        (PANICS, b"BUG: panic".to_vec()),
        (GOOD / 2, pictures.png.clone()),
        (GOOD / 2, pictures.jpeg.clone()),
    ];
    // Each kind of request is spread over the whole storm.
    let most = bodies.iter().map(|(count, _)| *count).max().expect("bodies");
    for round in 0..most {
        for (count, body) in &bodies {
            if round * count / most != (round + 1) * count / most {
                uploads.spawn(client.clone().post(body.clone()));
            }
        }
    }
    for _ in 0..ELSEWHERE {
        uploads.spawn(client.clone().get("/nowhere"));
        uploads.spawn(client.clone().get("/thumbnail"));
    }
    let gone = async {
        for _ in 0..GONE {
            drop(client.half_a_request(&pictures.png).await);
            drop(client.whole_request(b"BUG: stall").await);
        }
    };
    let too_large: JoinSet<_> = (0..TOO_LARGE).map(|_| client.clone().post(vec![0; (1 << 20) + 1])).collect();
    let answers = async {
        let mut answers: Vec<Answer> = Vec::new();
        while let Some(answer) = uploads.join_next().await {
            answers.push(answer.expect("no panic").expect("each request is answered"));
            let is_time = answers.len().is_multiple_of(KILL_EVERY) && answers.len() <= LAST_KILL;
            if is_time {
                kill_worker(service).await;
            }
            // A hang is long enough to meet all kills, so hangs begin after the last one.
            if is_time && answers.len() == LAST_KILL {
                (0..STALLS).for_each(|_| drop(uploads.spawn(client.clone().post(b"BUG: stall".to_vec()))));
            }
        }
        answers
    };
    let ((), answers) = tokio::join!(gone, answers);
    // A client that still sends when the connection closes may miss the answer.
    for answer in too_large.join_all().await.into_iter().flatten() {
        assert_eq!(answer.status, 413);
    }

    let mut counts = BTreeMap::new();
    for answer in &answers {
        *counts.entry(answer.status).or_insert(0) += 1;
        if answer.status == 200 {
            assert_eq!(pictures::size(&answer.body), (128, 96));
        }
    }
    let bad = GARBAGE + CUT_SHORT + BOMBS + CRASHES + PANICS;
    let expected = [(200, GOOD), (404, ELSEWHERE), (405, ELSEWHERE), (422, bad), (504, STALLS)];
    assert_eq!(counts, BTreeMap::from(expected), "{}", service.running.errors());
    let said = |text: &str| answers.iter().filter(|answer| answer.text().contains(text)).count();
    assert_eq!(said("has killed 4 workers"), BOMBS + CRASHES);
    assert!(said("SIGSEGV") > 0 && said("SIGABRT") > 0);
    assert_eq!(said("panicked"), PANICS);
    assert_eq!(client.clone().get("/health").await.expect("an answer").status, 200);
}

#[test]
fn a_storm_of_good_and_bad_pictures_leaves_nothing() {
    let [png, jpeg] = [ImageFormat::Png, ImageFormat::Jpeg].map(pictures::draw);
    let pictures = Pictures { png, jpeg, bomb: pictures::bomb() };
    let options = "--workers 2 --queue 1000 --uploads 1000 --upload-mib 1 --timeout 2s --retries 3 --deadline 60s";
    for method in METHODS {
        run(async {
            let service = Service::start(method, &options.split(' ').collect::<Vec<_>>());
            let pid = service.running.pid();
            // The first answers open what stays open.
            service.client.clone().post(pictures.png.clone()).await.expect("an answer");
            let before = held(pid);
            for _ in 0..2 {
                storm(&service, &pictures).await;
                service.until_idle(2).await;
                // No more than before: the first connection may have been on its way out then.
                wait::until("all is given back", || held(pid).iter().zip(before).all(|(now, before)| *now <= before));
            }
            // Far more bytes than the service may keep: 40 uploads of the largest size, one after the other.
            let kept = memory(pid);
            for _ in 0..40 {
                let answer = service.client.clone().post(vec![b'x'; 1 << 20]).await.expect("an answer");
                assert_eq!(answer.status, 422, "{method}: {}", answer.text());
            }
            assert!(memory(pid) < kept + 16 * 1024, "{method}: {kept} KiB, and now {} KiB", memory(pid));
            service.signal_all(Signal::SIGTERM);
            let [requests, answers, _, cut_off] = service.finish(method);
            // Clients that go in the midst of a body may count as answered: nobody can tell how much was sent.
            assert!(requests - answers <= 4 * GONE && cut_off == 0, "{method}: {requests} {answers} {cut_off}");
        });
    }
}

/// One worker and four places behind it, each taken by a task that hangs.
#[test]
fn load_is_shed_and_clients_that_go_make_room() {
    let options = "--workers 1 --queue 4 --uploads 3 --timeout 60s --deadline 60s";
    for method in METHODS {
        run(async {
            let service = Service::start(method, &options.split(' ').collect::<Vec<_>>());
            let (client, picture) = (&service.client, pictures::draw(ImageFormat::Png));
            let mut stalls = Vec::new();
            for waiting in 0..5 {
                stalls.push(client.whole_request(b"BUG: stall").await);
                service.until("a hang is taken", |stats| stats["running"] == 1 && stats["queued"] == waiting).await;
            }
            for _ in 0..50 {
                is_busy(client.clone().post(picture.clone()).await, "the queue of the pool");
            }
            drop(stalls.pop());
            service.until("a client has gone", |stats| stats["queued"] == 3).await;
            // It gets the place, and no worker in time.
            is_busy(client.clone().post_within("50ms", picture.clone()).await, "deadline");
            drop(stalls);
            service.until_idle(1).await;
            let answer = client.clone().post_within("30s", picture.clone()).await.expect("an answer");
            assert_eq!(answer.status, 200, "{}", answer.text());

            // The pictures that are on their way here are limited too.
            let mut halves = Vec::new();
            for _ in 0..3 {
                halves.push(client.half_a_request(&picture).await);
            }
            service
                .until("three uploads are in progress", |stats| {
                    let in_progress = stats["requests"].as_u64().zip(stats["answers"].as_u64());
                    // The clients that went before, three uploads, and the request for these numbers.
                    in_progress.is_some_and(|(requests, answers)| requests - answers == 5 + 3 + 1)
                })
                .await;
            is_busy(client.clone().post(picture.clone()).await, "too many uploads");
            drop(halves);
            let mut answer = client.clone().post(picture.clone()).await.expect("an answer");
            while answer.status == 503 {
                answer = client.clone().post(picture.clone()).await.expect("an answer");
            }
            assert_eq!(answer.status, 200, "{}", answer.text());
            service.signal_all(Signal::SIGTERM);
            assert_eq!(service.finish(method)[3], 0);
        });
    }
}

/// Checks that a request was refused for now, and why.
#[track_caller]
fn is_busy(answered: client::Answered, reason: &str) {
    let answer = answered.expect("an answer");
    let text = answer.text();
    assert!(answer.status == 503 && text.contains(reason), "{} {text}", answer.status);
    assert_eq!(answer.headers["retry-after"], "1");
}

/// As systemd and `docker stop` do it, to all processes.
#[test]
fn all_accepted_requests_are_answered_after_sigterm() {
    let options = "--workers 2 --queue 1000 --uploads 1000 --timeout 20s --deadline 60s --grace 30s";
    for method in METHODS {
        run(async {
            let service = Service::start(method, &options.split(' ').collect::<Vec<_>>());
            let client = service.client.clone();
            let picture = pictures::draw(ImageFormat::Png);
            // Both workers hang, so all uploads wait when the signal comes.
            let hangs = [client.whole_request(b"BUG: stall").await, client.whole_request(b"BUG: stall").await];
            service.until("both workers hang", |stats| stats["running"] == 2).await;
            // Half an upload now, and the rest after the signal.
            let mut slow = client.half_a_request(&picture).await;
            let uploads: JoinSet<_> = (0..300).map(|_| client.clone().post(picture.clone())).collect();
            service
                .until("all requests have begun", |stats| {
                    let in_progress = stats["requests"].as_u64().zip(stats["answers"].as_u64());
                    in_progress.is_some_and(|(requests, answers)| requests - answers == 2 + 1 + 300 + 1)
                        && stats["queued"] == 300
                })
                .await;
            service.signal_all(Signal::SIGTERM);
            while client.connect().await.is_ok() {
                wait::a_moment();
            }
            drop(hangs);
            client::finish_upload(&mut slow, &picture).await;
            let last = client.read(&mut slow).await;
            assert!(last.starts_with("HTTP/1.1 200 "), "{method}: {last}");
            for answer in uploads.join_all().await {
                assert_eq!(answer.expect("an answer").status, 200, "{method}");
            }
            let received = client.answers();
            assert_eq!(service.finish(method), [received + 2, received, 0, 0], "{method}");
        });
    }
}

/// Clients that neither send nor go, and a task that hangs.
#[test]
fn no_client_and_no_task_holds_the_end_up() {
    let options = "--workers 2 --timeout 60s --deadline 60s --grace 300ms";
    for method in METHODS {
        run(async {
            let service = Service::start(method, &options.split(' ').collect::<Vec<_>>());
            let client = service.client.clone();
            let silent = client.connect().await.expect("the service listens");
            let half = client.half_a_request(&[0; 100]).await;
            let stall = tokio::spawn(client.clone().post(b"BUG: stall".to_vec()));
            service.until("the task hangs", |stats| stats["running"] == 1).await;
            service.signal_all(Signal::SIGTERM);
            let answer = stall.await.expect("no panic").expect("an answer");
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert_eq!(service.finish(method)[3], 1, "{method}");
            drop((silent, half));
        });
    }
}
