"""What means "the input is wrong", as opposed to "the program is wrong"."""


class InputError(ValueError):
    """Bad input from a person: a file, an option, a feature, a label.

    The message says what was wrong, what was received and what to do, in one or two lines. Scripts print it on
    standard error and exit with status 2; library callers catch it as a `ValueError`.
    """


class InputWarning(UserWarning):
    """Input that can be used and is probably not what was meant. Scripts print the message alone."""
