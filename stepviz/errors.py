"""One exception whose message is meant for the user."""


class StepvizError(Exception):
    """A user's mistake, or a limit they met; the message says what to do next.

    Broken promises inside the code are asserts, bad data is a value with a reason;
    neither is a StepvizError.
    """
