"""The operations by CPython's multiprocessing and concurrent.futures, and by joblib where it is installed.

python3 contender.py [--large] OPERATION [START_METHOD [MEASURE] | SAMPLE | MICROSECONDS]

Says "ready" (or why it cannot be), then reads how often to do the operation, line by line, and answers with the seconds
that one took (or with a share, bytes, or a number), as the Rust contenders do.
"""

import multiprocessing
import os
import sys
import time
from array import array
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from multiprocessing.shared_memory import SharedMemory

QUESTION, ANSWER = 12, 144
ECHO_BYTES, ECHO_BYTE = 64 << 20, 0x5A
ECHO_ROWS = 1 << 20  # as many as `samples.rs` has
IDLE = "bench-idle"
END = -1
WORKERS = len(os.sched_getaffinity(0))


def square(n):
    return n * n


def echo(data):
    return data


def timed(operation):
    """A round that does one thing again and again."""

    def batch(times):
        for _ in range(times):
            operation()

    return timed_batch(batch)


def timed_batch(batch):
    def run(times):
        begin = time.perf_counter()
        batch(times)
        return (time.perf_counter() - begin) / times

    return run


# Starts


def answer_with_exit():
    os._exit(square(QUESTION))


def answer_behind(gate):
    gate.wait()
    os._exit(square(QUESTION))


def expect_answer(process):
    process.join()
    assert process.exitcode == ANSWER, process.exitcode
    process.close()


def started(context, target, *arguments):
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def start(method):
    context = multiprocessing.get_context(method)
    return timed(lambda: expect_answer(started(context, answer_with_exit)))


def start_many(method):
    context = multiprocessing.get_context(method)

    def batch(count):
        for process in [started(context, answer_with_exit) for _ in range(count)]:
            expect_answer(process)

    return timed_batch(batch)


def children(method):
    """Children that are all alive at the same time."""
    context = multiprocessing.get_context(method)

    def batch(count):
        gate = context.Event()
        processes = [started(context, answer_behind, gate) for _ in range(count)]
        gate.set()
        for process in processes:
            expect_answer(process)

    return timed_batch(batch)


# What an idle child keeps


def stay_idle():
    with open("/proc/self/comm", "w") as comm:
        comm.write(IDLE)
    while True:
        time.sleep(1000)


def is_idle(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return f"({IDLE}) S " in stat.read()


def descriptors(process):
    return len(os.listdir(f"/proc/{process}/fd"))


def private_bytes(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        lines = [line.split() for line in rollup if line.startswith(("Private_Clean", "Private_Dirty"))]
    return sum(int(line[1]) for line in lines) * 1024


def footprint(method, measure):
    context = multiprocessing.get_context(method)

    def idle_children(count):
        processes = [started(context, stay_idle) for _ in range(count)]
        deadline = time.monotonic() + 60
        while not all(is_idle(process.pid) for process in processes):
            assert time.monotonic() < deadline
            time.sleep(0)
        return processes

    def end(processes):
        for process in processes:
            process.kill()
            process.join()
            process.close()

    def run(count):
        before = descriptors("self")
        processes = idle_children(count)
        if measure == "private":
            total = sum(private_bytes(process.pid) for process in processes)
        elif measure == "parent-fds":
            total = descriptors("self") - before
        else:
            total = sum(descriptors(process.pid) for process in processes)
        end(processes)
        return total / count

    end(idle_children(1))  # what there is once for all children
    return run


# Messages


def count_on(connection):
    while True:
        connection.send(connection.recv() + 1)


def roundtrip_pipe():
    own, childs = multiprocessing.Pipe()
    background(count_on, childs)

    def operation():
        own.send(QUESTION)
        assert own.recv() == QUESTION + 1

    return timed(operation)


def add_up(numbers, sums):
    total = 0
    while True:
        number = numbers.get()
        if number == END:
            sums.put(total)
            total = 0
        else:
            total += number


def throughput_queue():
    numbers, sums = multiprocessing.SimpleQueue(), multiprocessing.SimpleQueue()
    background(add_up, numbers, sums)

    def batch(count):
        for number in range(count):
            numbers.put(number)
        numbers.put(END)
        assert sums.get() == sum(range(count))

    return timed_batch(batch)


def background(target, *arguments):
    multiprocessing.Process(target=target, args=arguments, daemon=True).start()


# Pools


def roundtrip_pool():
    pool = multiprocessing.Pool()

    def operation():
        assert pool.apply(square, (QUESTION,)) == ANSWER

    return timed(operation)


def roundtrip_executor():
    executor = ProcessPoolExecutor()

    def operation():
        assert executor.submit(square, QUESTION).result() == ANSWER

    return timed(operation)


def expect_squares(results):
    for n, result in enumerate(results):
        assert result == n * n


def map_pool():
    pool = multiprocessing.Pool()
    return timed_batch(lambda count: expect_squares(pool.imap(square, range(count), chunksize=1)))


def map_executor():
    executor = ProcessPoolExecutor()
    return timed_batch(lambda count: expect_squares(executor.map(square, range(count), chunksize=1)))


def queue_pool():
    pool = multiprocessing.Pool()

    def batch(count):
        jobs = [pool.apply_async(square, (n,)) for n in range(count)]
        expect_squares(job.get() for job in jobs)

    return timed_batch(batch)


def queue_executor():
    executor = ProcessPoolExecutor()

    def batch(count):
        jobs = [executor.submit(square, n) for n in range(count)]
        expect_squares(job.result() for job in jobs)

    return timed_batch(batch)


# Tasks of a given length


def burn(steps):
    """Processor work: so many steps of a generator of random numbers, each from the number before."""
    number = 1
    for _ in repeat(None, steps):  # a step of `range` takes longer from 257 on, as it makes an object
        number = (number * 25173 + 13849) % 65536
    return number


def seconds_per_step(steps=5_000, looks=10):
    """The fastest of some looks, each a fraction of a scheduler's time slice."""

    def look():
        begin = time.perf_counter()
        burn(steps)
        return (time.perf_counter() - begin) / steps

    return min(look() for _ in range(looks))


def efficiency(microseconds, map_all):
    """A round of tasks of that length: the share of the workers' time that the tasks have taken.

    `map_all` gets the argument of all calls as a list, and the size of chunks by the rule of `Pool.map`: four for each
    worker.
    """
    length, step = float(microseconds) / 1e6, float("inf")

    def run(count):
        nonlocal step
        step = min(step, seconds_per_step())  # not at setup, as all contenders set up at the same time
        steps = round(length / step)
        answer, calls, chunk = burn(steps), [steps] * count, -(-count // (4 * WORKERS))
        begin = time.perf_counter()
        assert list(map_all(calls, chunk)).count(answer) == count
        return length * count / ((time.perf_counter() - begin) * WORKERS)

    return run


def efficiency_pool(microseconds):
    pool = multiprocessing.Pool(WORKERS)
    return efficiency(microseconds, lambda calls, chunk: pool.map(burn, calls, chunk))


def efficiency_executor(microseconds):
    executor = ProcessPoolExecutor(WORKERS)
    run = efficiency(microseconds, lambda calls, chunk: executor.map(burn, calls, chunksize=chunk))
    return run, executor.shutdown


def efficiency_loky(microseconds):
    """Joblib sizes its batches itself, by the time that the last ones took."""
    import joblib

    parallel = joblib.Parallel(n_jobs=WORKERS, backend="loky")
    parallel.__enter__()  # keeps the workers and what was learnt about batches from round to round
    task = joblib.delayed(burn)
    parallel(task(1) for _ in range(WORKERS))  # starts the workers, which takes longer than a round
    return efficiency(microseconds, lambda calls, _: parallel(map(task, calls))), lambda: parallel.__exit__(*3 * [None])


# 64 MiB


def is_echo(data):
    return len(data) == ECHO_BYTES and data[0] == data[-1] == ECHO_BYTE


def row(number):
    """Fields as the Rust contenders' rows have them."""
    state = ("placed", ("paid", number), ("shipped", number % 10, True))[number % 3]
    return number, f"{number:08}", number / 100, None if number % 3 else number % 1000, state


SAMPLES = {
    "bytes": lambda: bytes([ECHO_BYTE]) * ECHO_BYTES,
    "text": lambda: chr(ECHO_BYTE) * ECHO_BYTES,
    "array": lambda: array("d", [n / 7 for n in range(ECHO_BYTES // 8)]),
    "floats": lambda: [n / 7 for n in range(ECHO_BYTES // 8)],
    "rows": lambda: [row(number) for number in range(ECHO_ROWS)],
}


def is_like(one, other):
    return len(one) == len(other) and one[0] == other[0] and one[-1] == other[-1]


def echo_pool(sample):
    pool, data = multiprocessing.Pool(1), SAMPLES[sample]()

    def operation():
        assert is_like(pool.apply(echo, (data,)), data)

    return timed(operation)


def echo_executor(sample):
    executor, data = ProcessPoolExecutor(1), SAMPLES[sample]()

    def operation():
        assert is_like(executor.submit(echo, data).result(), data)

    return timed(operation)


def echo_messages(connection):
    while True:
        connection.send_bytes(connection.recv_bytes())


def echo_bytes():
    own, childs = multiprocessing.Pipe()
    background(echo_messages, childs)
    data = bytes([ECHO_BYTE]) * ECHO_BYTES

    def operation():
        own.send_bytes(data)
        assert is_echo(own.recv_bytes())

    return timed(operation)


def touch_shared(name):
    memory = SharedMemory(name)
    first = memory.buf[0]
    memory.close()
    return first


def echo_shared():
    memory = SharedMemory(create=True, size=ECHO_BYTES)
    memory.buf[0] = ECHO_BYTE
    pool = multiprocessing.Pool(1)

    def operation():
        assert pool.apply(touch_shared, (memory.name,)) == ECHO_BYTE

    return timed(operation), memory.unlink


OPERATIONS = {
    "start": start,
    "start-many": start_many,
    "children": children,
    "footprint": footprint,
    "roundtrip-pipe": roundtrip_pipe,
    "roundtrip-pool": roundtrip_pool,
    "roundtrip-executor": roundtrip_executor,
    "throughput-queue": throughput_queue,
    "map-pool": map_pool,
    "map-executor": map_executor,
    "queue-pool": queue_pool,
    "queue-executor": queue_executor,
    "efficiency-pool": efficiency_pool,
    "efficiency-executor": efficiency_executor,
    "efficiency-loky": efficiency_loky,
    "echo-pool": echo_pool,
    "echo-executor": echo_executor,
    "echo-bytes": echo_bytes,
    "echo-shared": echo_shared,
}


def main():
    arguments = sys.argv[1:]
    is_large = arguments[0] == "--large"
    operation, *options = arguments[is_large:]
    try:
        run = OPERATIONS[operation](*options)
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed", flush=True)
        return
    run, clean_up = run if isinstance(run, tuple) else (run, lambda: None)
    large = b"\x01" * (1 << 30) if is_large else b""
    print("ready", flush=True)
    for line in sys.stdin:
        print(run(int(line)), flush=True)
    clean_up()
    del large


if __name__ == "__main__":
    main()
