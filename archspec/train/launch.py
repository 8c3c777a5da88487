"""A command → the same in several processes of this machine, by torch's own launcher.

    archspec train net.yaml --processes 2       torchrun --nproc-per-node 2 -m archspec train …

The launcher runs in this process, so that a signal to it reaches all: they save, and end. What it
would say of a process that has failed is left out: the process has said it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from archspec.train.errors import TrainError


def launch(processes: int, words: Sequence[str]) -> bool:
    """Runs `archspec WORDS` in so many processes, which see WORLD_SIZE; whether all succeeded.

    Raises TrainError where one was ended from outside.
    """
    logging.disable()  # all that this process does is to launch
    alone = ["--standalone", f"--nproc-per-node={processes}"]
    try:
        given = run.parse_args([*alone, "-m", "archspec", *words])  # type: ignore[no-untyped-call]
        run.run(given)  # type: ignore[no-untyped-call]
    except SignalException:
        return False
    except ChildFailedError as failed:
        rank, first = failed.get_first_failure()
        if first.exitcode < 0:
            message = f"process {rank} of {processes} was ended by {first.signal_name()}"
            raise TrainError("E809", message, "go on with the run by `--resume`") from None
        return False
    return True
