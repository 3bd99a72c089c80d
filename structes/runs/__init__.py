"""Experiments and the folders that they leave: run, recorded, read and resumed.

A run folder says what a run was, what happened, and what came out, in files that anything reads.

    runs/20260131-142500-quickstart/
        config.yaml      the experiment, every key: `structes run` on it repeats the run
        signature        where the config names code: whose run it is (trust.py)
        versions.json    of structes and what it stands on, the command, the machine, the start
        log.csv          a row for each generation, all problems one below the other
        result.json      for each problem: best point and value, why it stopped, how many
                         evaluations failed in which way, a row for each run of a search with
                         restarts; rewritten whole
        failures.jsonl   a line for each of the first failures of a kind: the parameters, the
                         message, the traceback
        state-….npz      the search distribution at the end of each problem
        search-….ckpt    each search as it was a few seconds ago (checkpoint.py): `structes resume`
                         goes on from there
        lock             held by the process that writes the folder, and by one only (locks.py)

A run can be killed at any moment, so nothing here needs an orderly end. The folder is filled under
a hidden name and renamed, so it appears complete, and no two runs share one. Each row of the log
goes to the operating system at once, and to the disk before a checkpoint that counts on it. Every
other file is written beside its place and moved there. The best point of a search under way is in
result.json too, a few seconds old at most.

A search does not end because its folder cannot be written: what is to be written waits in memory,
and is tried again (writes.py). A folder that is renamed meanwhile is written where it is; one that
is deleted is made again.
"""
