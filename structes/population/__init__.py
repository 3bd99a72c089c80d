"""Candidates that were asked, and the values that came of them: on time, late, or of strangers.

The words of this room, each with one meaning:

asked      a candidate that the search has handed out, as a point or by its address
told       a candidate whose value has come
open       the generation that is asked now; its values join as they are
late       a value of an earlier generation, or a generation of which values are missing
stale      a late value whose importance weight is next to nothing: counted, and left out
injected   a point of the user's own, which was never asked, or was repaired
former     of the run before, in a search with restarts: it teaches this run nothing
forgotten  asked so long ago that it is not waited for any more, and not told
repeated   told before: it counts once
replaced   a candidate in whose place a point of the user's own has come
missing    a value that is NaN: the evaluation failed
"""
