"""What can go wrong with the library."""


class LibraryError(Exception):
    """The library refused or can't do what was asked; doing it again won't help.

    The message says what happened, to which branch, file or repository, and what to do.
    """


class LibraryUnavailable(Exception):
    """The library can't be reached, or too many others write to it. Not a LibraryError: a retry may help."""
