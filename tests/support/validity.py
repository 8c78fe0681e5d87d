"""What a busy machine does to a measurement stands in its result: INVALID, with the codes of the
reasons (src/load/reason.h). A test expects what the result itself calls valid, and measures again
only where it blames the machine."""

# The generator was late, or did not keep the rate, or the machine was taken away; or a stall at the
# beginning of a short run made latency fall, where no server has to warm up.
MACHINE = {"send-lag", "rate", "machine", "unsteady-falling"}
TRIES = 3


def codes(reasons):
    """The codes of "CODE: words" lines; `reasons` is None, a text of lines or a list of them."""
    lines = reasons.splitlines() if isinstance(reasons, str) else reasons or []
    return {line.split(":", 1)[0] for line in lines}


def trusted(valid, reasons):
    """As a report sees it: valid, or with no fault but a backlog, which is the server's doing."""
    return bool(valid) or codes(reasons) == {"unsteady-rising"}


def measured(measure, blames):
    """What measure() gives. Again, up to TRIES times, while blames(it) - the codes for which there is
    nothing to look at, none when there is - has none but the machine's."""
    for _ in range(TRIES - 1):
        result = measure()
        why = blames(result)
        if not why or not why <= MACHINE:
            return result
    return measure()
