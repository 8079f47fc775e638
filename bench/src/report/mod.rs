//! The results as lines, as a page, and as pictures. JSON is the serde form of `Results`.

mod markdown;
pub(crate) mod metg;
mod plot;
mod series;
pub(crate) mod text;

use std::fs;
use std::path::Path;

use crate::{Result, Results};

/// A part of the page: the rows with a common prefix of their ids.
struct Section {
    title: &'static str,
    /// The prefix of the rows' ids, up to a slash, and the name of the picture.
    prefix: &'static str,
    about: &'static str,
    picture: Picture,
}

enum Picture {
    /// Every row with all its contenders.
    Points,
    /// As `Points`, for rows with this suffix of their ids.
    PointsOf(&'static str),
    /// Lines `of` a number against the number at the end of the id.
    Lines { against: &'static str, of: &'static str },
}

const SECTIONS: [Section; 10] = [
    Section {
        title: "A start",
        prefix: "start/",
        about: "From `start` to the `join` of a child that squares a number, one after the other; `rss-1g`: the parent \
            has touched 1 GiB of memory (in pages of 4 KiB). `forkserver` is measured without spares; \
            `forkserver-spare` with `set_spares(8)`, and as many starts in a row in each round, so that they find one \
            ahead. The floors: this program started anew by `std::process::Command`, with a child that does nothing \
            but exit with the answer; a plain `fork`, `_exit` and `waitpid` in a process as small as ours, and beside \
            `fork/rss-1g` as large as ours.",
        picture: Picture::Points,
    },
    Section {
        title: "A thousand starts",
        prefix: "start-many/",
        about: "A thousand children started, then all joined; the cost of each. The first have ended long \
            before the last is started.",
        picture: Picture::Points,
    },
    Section {
        title: "A round trip",
        prefix: "roundtrip/",
        about: "A number to another process, and the answer. `channel` is two channels, and a child that answers; \
            `pool` is `submit(…).wait()` on a pool of as many workers as there are processors. The processes run where \
            the kernel puts them: two that wake each other up on one processor take a fraction of what they take on \
            two; the spread tells whether they moved.",
        picture: Picture::Points,
    },
    Section {
        title: "Many small messages, many small calls",
        prefix: "throughput/",
        about: "`channel`: numbers sent one by one to a child that adds them up. `pool-map`: numbers squared by \
            `pool.map`, one call for each; the peers do the same with one call for each, too (`chunksize=1`), and \
            procspawn has 64 under way at a time. The floor of the latter is no other process at all: rayon in this \
            one.",
        picture: Picture::Points,
    },
    Section {
        title: "The efficiency of a pool",
        prefix: "efficiency/pool/",
        about: "With as many workers as processors: the length of a task times the number of tasks, divided by the \
            elapsed time times the number of workers. 100 % is a pool that costs nothing; more is better. A task is \
            processor work, a loop of which each contender has measured the speed in its own language and process. \
            offspring and rayon run one call for each task. `multiprocessing` and `concurrent.futures` send the tasks \
            in chunks, four for each worker, which is what `Pool.map` does if no size is given. joblib sizes its \
            batches itself. The floor is no other process at all: rayon in this one. Below the table is the minimum \
            effective task granularity of each (METG; Slaughter and others, *Task Bench*, SC 2020): the shortest task \
            with an efficiency, interpolated between the measured lengths on the picture's axis. Task Bench adds the \
            overhead to the length of a task; here the length is the work alone.",
        picture: Picture::Lines { against: "length of a task, µs", of: "efficiency" },
    },
    Section {
        title: "Encoding and decoding",
        prefix: "codec/",
        about: "Values into bytes and out of them, in one process: `small`, a struct of 4 fields; `rows`, 1,000 \
            structs of 5 fields with an `Option` and an enum, the cost of each; `f64`, a million floats, the cost of \
            each; `u8`, a `Vec<u8>` of 4 MiB, the cost of each byte; `json`, a `serde_json::Value` of some KiB. All \
            encode into memory that was used before, and all but those *to a slice* would let it grow; *a new vector* \
            has none. What is decoded is dropped within the time. `rmp-serde` writes the names of fields. The floors: \
            one copy into memory that was used before, beside encoding; a clone, beside decoding.",
        picture: Picture::Points,
    },
    Section {
        title: "64 MiB there and back",
        prefix: "echo/",
        about: "To a child that sends back what it gets. `vec`, `f64`, `string` and `rows` go by value, through serde: \
            a `Vec<u8>`, element by element; 8 Mi floats; a `String` of ASCII; 1 Mi structs, which take 64 MiB of \
            memory with their names, and fewer bytes on the way. `bytes` begins with ordinary memory too, and goes by \
            what each has for that: `Bytes`, `IpcSharedMemory`, `serde_bytes`, `send_bytes`; `shared` is shared memory \
            that is there already. No child looks at what is in it. The floor: memory for it, and one copy; for `rows` \
            a clone, which is an allocation for each.",
        picture: Picture::Points,
    },
    Section {
        title: "What an idle child keeps",
        prefix: "footprint/",
        about: "Ten children that wait to be killed; for each: the memory that it shares with nobody (`Private_Clean` \
            and `Private_Dirty` of `/proc/PID/smaps_rollup`), the descriptors that its parent has for it, and those \
            that it has. Under `fork` a child also has what its parent has opened. zygote's is one that has done its \
            task and waits for the next. The picture shows the memory.",
        picture: Picture::PointsOf("private"),
    },
    Section {
        title: "Many children",
        prefix: "scale/children/",
        about: "So many children started, that wait at a gate until all are alive, then joined; the cost of each.",
        picture: Picture::Lines { against: "children alive", of: "each" },
    },
    Section {
        title: "Many jobs",
        prefix: "scale/queue/",
        about: "So many jobs submitted to a pool before the first is waited for; the cost of each. The peers go as far \
            as their time (Python) or their descriptors (procspawn) allow.",
        picture: Picture::Lines { against: "jobs queued", of: "each" },
    },
];

impl Section {
    fn picture_name(&self) -> String {
        format!("{}.svg", self.prefix.trim_end_matches('/').replace('/', "-"))
    }
}

/// Writes `benchmarks.md` into the directory, and the pictures beside it.
pub(crate) fn write(directory: &Path, results: &Results) -> Result<()> {
    let pictures = directory.join("benchmarks");
    fs::create_dir_all(&pictures)?;
    for section in &SECTIONS {
        plot::draw(section, results, &pictures)?;
    }
    fs::write(directory.join("benchmarks.md"), markdown::page(results))?;
    Ok(())
}
