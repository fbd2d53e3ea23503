"""Worker process of one contestant: reads jobs as JSON lines, writes measurements.

python -m benchmarks.worker NAME URL API CORE
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import statistics
import sys
import time
import warnings
from dataclasses import asdict

from benchmarks import contestants, system
from benchmarks.cells import Job, Sample
from benchmarks.contestants import Contestant, Read


async def measure(contestant: Contestant, job: Job) -> Sample:
    """Do a job and measure it."""
    gc.collect()
    system.forget_peak()
    memory = system.memory_kb("VmRSS")
    begun = (time.perf_counter(), time.process_time())
    sample = await _do(contestant, job, begun[0])
    sample.wall, sample.cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    sample.peak_kb = max(0, system.memory_kb("VmHWM") - memory)
    return sample


async def _do(contestant: Contestant, job: Job, begun: float) -> Sample:
    made = Sample(0.0, 0.0)
    for _ in range(job.times):
        if job.action == "embed":
            made.tokens += await contestant.embed(job)
            made.events += 1
        elif job.action == "chat":
            made.tokens += await contestant.chat(job)
            made.events += 1
        else:
            _add(made, await _streams(contestant, job), begun)
    return made


async def _streams(contestant: Contestant, job: Job) -> list[Read]:
    if job.streams == 1:
        return [await contestants.read(contestant, job)]
    return await asyncio.gather(*(contestants.read(contestant, job) for _ in range(job.streams)))


def _add(made: Sample, reads: list[Read], begun: float) -> None:
    made.events += sum(one.events for one in reads)
    made.tokens += sum(one.tokens for one in reads)
    moments = [one.first for one in reads if one.first]
    made.first = statistics.median(moments) - begun if moments else 0.0


async def serve(name: str, url: str, api: str) -> None:
    """Take jobs from standard input until it ends."""
    # What a library prints must not come between the measurements.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    contestant = await contestants.make(name, url, api)
    print("{}", file=out, flush=True)
    for line in sys.stdin:
        try:
            answer = asdict(await measure(contestant, Job(**json.loads(line))))
        except Exception as error:
            logging.exception("the job failed")
            answer = {"failure": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), file=out, flush=True)
    await contestant.aclose()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    system.pin(int(sys.argv[4]))
    asyncio.run(serve(*sys.argv[1:4]))
