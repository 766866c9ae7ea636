"""Where the champion errs, and what explains that it got worse: slices, causes, each tested, with rows to look at."""
