"""Kill one of several runs of a section on one cache, again and again, and let it start anew.

``python -m tests.kills --kills 20`` prints what was lost and what was made twice: nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from book.lab import store
from book.lab.run import read_parameters, run, section_of

ROOT = Path(__file__).resolve().parents[1]
SECTION = "clusterability/01_mlps"
SMALL = {"data": ["digits"], "regularizers": ["none", "l2"], "width": 16, "clusters": 3,
         "epochs": 4, "prune_epochs": 4, "shuffles": 4, "initial_networks": 2, "batch_size": 16,
         "device": "cpu", "workers": 1}  # fmt: skip


def work(index: int, count: int, seeds: int) -> None:
    """One run in this process; a line in the cache for every record that it writes."""
    section, put = section_of(SECTION), store.put
    log = Path(os.environ["MODGRAPH_CACHE"]) / "written"

    def logged(*given):
        record = put(*given)
        file = os.open(log, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
        os.write(file, f"{record['key']}\n".encode())
        os.close(file)
        return record

    store.put = logged
    run(section, read_parameters(section, changes=SMALL | {"seeds": seeds}), shard=(index, count))


def disturbed(folder: Path, *, kills: int, runs: int, seeds: int, sharded: bool, seed: int) -> dict:
    """What is in ``folder`` once ``runs`` processes are through, of which some were killed.

    Returns records (key -> result without times), and written (key -> how many times).
    """
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MODGRAPH_CACHE": str(folder), "OMP_NUM_THREADS": "1"}
    environment |= {"MODGRAPH_RESULTS": str(folder / "results"), "PYTHONPATH": str(ROOT)}

    def start(number: int) -> subprocess.Popen:
        part = [str(number), str(runs)] if sharded else ["1", "1"]
        command = [sys.executable, "-m", "tests.kills", "--work", *part, str(seeds)]
        return subprocess.Popen(
            command, env=environment, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL
        )

    at_work = {number: start(number) for number in range(1, runs + 1)}
    done = 0
    while done < kills:
        before = _count(folder)
        patience = time.monotonic() + 60
        while _count(folder) == before and time.monotonic() < patience:
            time.sleep(0.05)  # a kill while all are still being imported would say little
        time.sleep(rng.uniform(0, 0.5))
        running = [number for number, process in at_work.items() if process.poll() is None]
        if not running:
            break
        number = rng.choice(running)
        os.killpg(at_work[number].pid, signal.SIGKILL)
        at_work[number].wait()
        at_work[number] = start(number)
        done += 1
    codes = [process.wait() for process in at_work.values()]
    assert not any(codes), codes
    written = Counter((folder / "written").read_text().split())
    left = [path.name for path in (folder / "claims").iterdir()]
    return {"records": records(folder), "written": written, "kills": done, "claims": left}


def records(folder: Path) -> dict[str, dict]:
    """Result of every record in a cache by key, times left out."""
    found = {}
    for path in (folder / "records").glob("*/*.json"):
        record = json.loads(path.read_text())
        found[record["key"]] = {n: v for n, v in record["result"].items() if "seconds" not in n}
    return found


def _count(folder: Path) -> int:
    """A number that grows while work is done."""
    return sum(1 for _ in (folder / "records").glob("*/*.json"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--whole", action="store_true", help="all do all, divided by claims alone")
    parser.add_argument("--work", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return 0
    common = {"seeds": options.seeds, "seed": 0}
    with tempfile.TemporaryDirectory() as name:
        calm = disturbed(Path(name) / "calm", kills=0, runs=1, sharded=False, **common)
        found = disturbed(
            Path(name) / "killed",
            kills=options.kills, runs=options.runs, sharded=not options.whole, **common,
        )  # fmt: skip
    lost = calm["records"].keys() - found["records"].keys()
    other = [key for key, result in found["records"].items() if calm["records"].get(key) != result]
    twice = [key for key, times in found["written"].items() if times > 1]
    print(
        f"{found['kills']} kills, {len(found['records'])} records: {len(lost)} lost, {len(twice)} "
        f"written twice, {len(other)} with another result, {len(found['claims'])} claims left"
    )
    return 1 if lost or other or twice or found["claims"] else 0


if __name__ == "__main__":
    sys.exit(main())
