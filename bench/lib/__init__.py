"""What the figures share: pins, interleaved blocks, intervals, verdicts, servers."""
